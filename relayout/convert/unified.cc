// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/unified.h"

#include <algorithm>
#include <numeric>
#include <queue>
#include <utility>

#include "relayout/base/json_writer.h"
#include "relayout/base/text.h"
#include "relayout/checkpoint/target_names.h"
#include "relayout/convert/contents.h"

namespace relayout {
namespace {

int64_t SizeOf(const TargetValue& value) {
  return Box::Whole(value.shape).volume() * ElementSize(value.dtype);
}

// The part of each value of `positions`.
std::vector<int64_t> DealToParts(const TargetValues& values, std::vector<size_t> positions,
                                 int64_t part_count) {
  std::stable_sort(positions.begin(), positions.end(),
                   [&](size_t a, size_t b) { return SizeOf(values[a]) > SizeOf(values[b]); });
  // The emptiest part first, of equals the lowest.
  using Load = std::pair<int64_t, int64_t>;  // Bytes, part.
  std::priority_queue<Load, std::vector<Load>, std::greater<>> parts;
  for (int64_t part = 0; part < part_count; ++part) parts.emplace(0, part);
  std::vector<int64_t> part_of(values.size(), -1);
  for (const size_t i : positions) {
    const auto [bytes, part] = parts.top();
    parts.pop();
    part_of[i] = part;
    parts.emplace(bytes + SizeOf(values[i]), part);
  }
  return part_of;
}

// What task number `task` writes of `count` parts: an equal share, the first ones one more.
std::pair<int64_t, int64_t> ShareOf(const UnifiedOptions& options, int64_t count) {
  const int64_t share = count / options.task_count;
  const int64_t rest = count % options.task_count;
  const int64_t begin = share * options.task + std::min(options.task, rest);
  return {begin, begin + share + (options.task < rest ? 1 : 0)};
}

std::string NameMap(const TargetValues& values, const std::vector<int64_t>& part_of,
                    const TargetNames& names, int64_t total_bytes) {
  std::vector<std::vector<size_t>> of_part(static_cast<size_t>(names.part_count));
  for (size_t i = 0; i < values.size(); ++i) {
    if (part_of[i] >= 0) of_part[static_cast<size_t>(part_of[i])].push_back(i);
  }
  JsonWriter json;
  json.BeginObject().Key("metadata").BeginObject().Key("total_size").Int(total_bytes).EndObject();
  json.Key("weight_map").BeginObject();
  for (size_t part = 0; part < of_part.size(); ++part) {
    const std::string file =
        RelativePath(names, FileFormat::kSafetensors, static_cast<int64_t>(part));
    for (const size_t i : of_part[part]) json.Key(values[i].name).String(file);
  }
  json.EndObject().EndObject();
  return json.text();
}

}  // namespace

Status CheckUnifiedOptions(const UnifiedOptions& options) {
  if (options.part_bytes < 1) {
    return InvalidInput(Format("--part-size {}: at least one byte", options.part_bytes));
  }
  if (options.task_count < 1 || options.task < 0 || options.task >= options.task_count) {
    return InvalidInput(Format("--task {}/{}: tasks are numbered from 1 to their number",
                               options.task + 1, options.task_count));
  }
  return OkStatus();
}

UnifiedSet DealToFiles(TargetValues& values, const UnifiedOptions& options) {
  std::vector<size_t> positions;  // Of what goes into parts.
  int64_t total_bytes = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].carried) continue;
    positions.push_back(i);
    total_bytes += SizeOf(values[i]);
  }
  const bool has_hyper = positions.size() < values.size();
  UnifiedSet set;
  if (!positions.empty()) {
    const int64_t wanted = std::max<int64_t>(1, (total_bytes - 1) / options.part_bytes + 1);
    set.part_count = std::min(wanted, std::ssize(positions));
  }
  set.file_count = set.part_count + (has_hyper ? 1 : 0) + 1;
  std::vector<int64_t> file_of = DealToParts(values, std::move(positions), set.part_count);
  const TargetNames names{.unified_file_count = set.file_count, .part_count = set.part_count};
  set.name_map = NameMap(values, file_of, names, total_bytes);
  std::replace(file_of.begin(), file_of.end(), int64_t{-1}, set.part_count);
  values = values.PlacedWhole([&](size_t i) { return file_of[i]; });

  const auto [begin, end] = ShareOf(options, set.part_count);
  for (int64_t part = begin; part < end; ++part) set.my_files.push_back(part);
  if (options.task == 0) {
    for (int64_t file = set.part_count; file < set.file_count; ++file) set.my_files.push_back(file);
  }
  return set;
}

}  // namespace relayout
