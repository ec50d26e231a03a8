// SPDX-License-Identifier: Apache-2.0
#include "relayout/exec/stretch.h"

#include <algorithm>

#include "relayout/exec/copy_box.h"
#include "relayout/plan/runs.h"

namespace relayout {
namespace {

constexpr int64_t kPageBytes = 4096;

bool Joins(const ReadStretch& stretch, int64_t run_begin, int64_t limit_bytes) {
  const int64_t gap = run_begin - (stretch.begin_bytes + stretch.size_bytes);
  return gap < kPageBytes && run_begin + stretch.run_bytes - stretch.begin_bytes <= limit_bytes;
}

}  // namespace

Status ForEachStretch(const Box& shard_box, const Box& box, int64_t element_size_bytes,
                      int64_t limit_bytes, const std::function<Status(const ReadStretch&)>& read) {
  ReadStretch stretch;
  stretch.run_bytes = RunElements(shard_box, box) * element_size_bytes;
  Status status;
  ForEachRun(shard_box, box, [&](int64_t offset_elements) {
    const int64_t begin = offset_elements * element_size_bytes;
    if (!status.ok()) return;
    if (!stretch.run_begins_bytes.empty() && !Joins(stretch, begin, limit_bytes)) {
      status = read(stretch);
      stretch.run_begins_bytes.clear();
    }
    if (stretch.run_begins_bytes.empty()) stretch.begin_bytes = begin;
    stretch.size_bytes = begin + stretch.run_bytes - stretch.begin_bytes;
    stretch.run_begins_bytes.push_back(begin);
  });
  if (!status.ok() || stretch.run_begins_bytes.empty()) return status;
  return read(stretch);
}

void ExtractRuns(const ReadStretch& stretch, const std::byte* raw, std::byte* to) {
  const std::vector<int64_t>& begins = stretch.run_begins_bytes;
  // Equally spaced runs go in one call; a step of an outer dimension starts a new group.
  for (size_t first = 0; first < begins.size();) {
    size_t last = first;
    const int64_t stride = first + 1 < begins.size() ? begins[first + 1] - begins[first] : 0;
    while (last + 1 < begins.size() && begins[last + 1] - begins[last] == stride) ++last;
    const auto count = static_cast<int64_t>(last - first + 1);
    CopyRows(raw + (begins[first] - stretch.begin_bytes), stride,
             to + static_cast<int64_t>(first) * stretch.run_bytes, stretch.run_bytes, count,
             stretch.run_bytes);
    first = last + 1;
  }
}

}  // namespace relayout
