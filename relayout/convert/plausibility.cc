// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/plausibility.h"

#include <algorithm>
#include <bitset>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/text.h"

namespace relayout {
namespace {

constexpr size_t kMaxTensors = 16;
constexpr int64_t kSampleBytes = 4096;
constexpr size_t kMinSampleBytes = 64;
constexpr size_t kMinDistinctBytes = 8;

// Some holder of a shard, or nothing.
std::optional<HeldValue> HolderOf(const CheckpointSet& source, const TargetValue& value,
                                  int64_t shard) {
  for (const int64_t rank : HoldersOf(value.sources[0], shard)) {
    if (const auto held = source.catalog.Find(rank, value.source_name)) {
      return HeldValue{source.catalog.FileOf(rank), *held};
    }
  }
  return std::nullopt;
}

// The first bytes of a value, or none where it has none.
Result<std::vector<std::byte>> Sample(FileSystem& fs, const HeldValue& held) {
  if (held.value.extents.empty()) return std::vector<std::byte>();
  const Extent& first = held.value.extents[0];
  std::vector<std::byte> bytes(static_cast<size_t>(std::min(kSampleBytes, first.size_bytes)));
  RELAYOUT_ASSIGN_OR_RETURN(const auto file, fs.OpenForRead(held.file->path));
  RELAYOUT_RETURN_IF_ERROR(file->ReadAt(first.offset_bytes, bytes));
  return bytes;
}

// Integers and booleans repeat themselves by nature; trained weights do not.
bool IsFloat(DType dtype) {
  return dtype == DType::kFloat16 || dtype == DType::kBFloat16 || dtype == DType::kFloat32 ||
         dtype == DType::kFloat64;
}

// Is it out of the question that two different slices begin with these bytes by chance?
bool IsTelling(const std::vector<std::byte>& sample) {
  if (sample.size() < kMinSampleBytes) return false;
  std::bitset<256> seen;
  for (const std::byte byte : sample) seen.set(std::to_integer<size_t>(byte));
  return seen.count() >= kMinDistinctBytes;
}

Status CheckSlicesDiffer(FileSystem& fs, const CheckpointSet& source, const Contents& contents) {
  std::vector<size_t> cut;  // Positions in contents.values.
  for (size_t i = 0; i < contents.values.size(); ++i) {
    const TargetValue& value = contents.values[i];
    if (!IsFloat(value.dtype)) continue;
    if (value.sources[0].partition.layout().shard_count() > 1) cut.push_back(i);
  }
  std::string_view equal;  // The first such name.
  int64_t equal_count = 0;
  int64_t first_rank = 0;
  int64_t last_rank = 0;
  const size_t count = std::min(kMaxTensors, cut.size());
  for (size_t i = 0; i < count; ++i) {
    const TargetValue& value = contents.values[cut[i * cut.size() / count]];
    const int64_t last_shard = value.sources[0].partition.layout().shard_count() - 1;
    const auto first = HolderOf(source, value, 0);
    const auto last = HolderOf(source, value, last_shard);
    if (!first || !last) continue;
    RELAYOUT_ASSIGN_OR_RETURN(const auto first_bytes, Sample(fs, *first));
    if (!IsTelling(first_bytes)) continue;
    RELAYOUT_ASSIGN_OR_RETURN(const auto last_bytes, Sample(fs, *last));
    if (first_bytes != last_bytes) return OkStatus();
    if (equal_count == 0) {
      equal = value.source_name;
      first_rank = first->rank();
      last_rank = last->rank();
    }
    ++equal_count;
  }
  if (equal_count == 0) return OkStatus();
  return InvalidInput(
      Format("{}: rank {} and rank {} should hold different slices of it by {}, but hold the same "
             "bytes{}. "
             "Saved with integrated_save=True? If every rank holds the whole model, convert one "
             "rank's file "
             "without a source strategy (--trust-strategy goes on)",
             Printable(equal), first_rank, last_rank, *source.spec.strategy_path,
             equal_count > 1 ? Format(", as of {}", Count(equal_count - 1, "more tensor")) : ""));
}

Status CheckStagesAreApart(const CheckpointSet& source) {
  const auto file_count = std::ssize(source.catalog.files());
  if (source.strategy.stage_count() < 2 || file_count < source.strategy.rank_count()) {
    return OkStatus();
  }
  const std::vector<std::string_view> names = source.strategy.Names();
  bool is_apart = false;  // Some parameter is not on all stages.
  for (const std::string_view name : names) {
    if (IsScratch(name)) continue;
    if (source.catalog.HolderCount(name) < file_count) return OkStatus();
    is_apart = is_apart || std::ssize(source.strategy.Find(name)) < source.strategy.stage_count();
  }
  if (!is_apart) return OkStatus();
  return InvalidInput(
      Format("{}: every rank holds the parameters of all {} stages of {}, so no pipeline saved it; "
             "give the "
             "strategy it was saved under (--trust-strategy goes on)",
             source.spec.text(), source.strategy.stage_count(), *source.spec.strategy_path));
}

}  // namespace

Status CheckStrategyIsPlausible(FileSystem& fs, const CheckpointSet& source,
                                const Contents& contents) {
  if (!source.has_strategy) return OkStatus();
  RELAYOUT_RETURN_IF_ERROR(CheckStagesAreApart(source));
  return CheckSlicesDiffer(fs, source, contents);
}

}  // namespace relayout
