// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/plausibility.h"

#include <algorithm>
#include <bitset>
#include <optional>
#include <string>
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
  const std::vector<int64_t> ranks = HoldersOf(value.sources[0], shard);
  for (const HeldValue& held : source.catalog.Holders(value.name)) {
    if (std::find(ranks.begin(), ranks.end(), held.rank()) != ranks.end()) return held;
  }
  return std::nullopt;
}

// The first bytes of a value, or none where it has none.
Result<std::vector<std::byte>> Sample(FileSystem& fs, const HeldValue& held) {
  if (held.value->extents.empty()) return std::vector<std::byte>();
  const Extent& first = held.value->extents[0];
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
  std::vector<const TargetValue*> cut;
  for (const TargetValue& value : contents.values) {
    if (!IsFloat(value.dtype)) continue;
    if (value.sources[0].partition.layout().shard_count() > 1) cut.push_back(&value);
  }
  const TargetValue* equal = nullptr;
  int64_t equal_count = 0;
  int64_t first_rank = 0;
  int64_t last_rank = 0;
  const size_t count = std::min(kMaxTensors, cut.size());
  for (size_t i = 0; i < count; ++i) {
    const TargetValue& value = *cut[i * cut.size() / count];
    const int64_t last_shard = value.sources[0].partition.layout().shard_count() - 1;
    const auto first = HolderOf(source, value, 0);
    const auto last = HolderOf(source, value, last_shard);
    if (!first || !last) continue;
    RELAYOUT_ASSIGN_OR_RETURN(const auto first_bytes, Sample(fs, *first));
    if (!IsTelling(first_bytes)) continue;
    RELAYOUT_ASSIGN_OR_RETURN(const auto last_bytes, Sample(fs, *last));
    if (first_bytes != last_bytes) return OkStatus();
    if (equal == nullptr) {
      equal = &value;
      first_rank = first->rank();
      last_rank = last->rank();
    }
    ++equal_count;
  }
  if (equal == nullptr) return OkStatus();
  return InvalidInput(
      Format("{}: rank {} and rank {} should hold different slices of it by {}, but hold the same "
             "bytes{}. "
             "Saved with integrated_save=True? If every rank holds the whole model, convert one "
             "rank's file "
             "without a source strategy (--trust-strategy goes on)",
             Printable(equal->name), first_rank, last_rank, *source.spec.strategy_path,
             equal_count > 1 ? Format(", as of {}", Count(equal_count - 1, "more tensor")) : ""));
}

Status CheckStagesAreApart(const CheckpointSet& source) {
  const auto file_count = std::ssize(source.catalog.files());
  if (source.strategy.stage_count() < 2 || file_count < source.strategy.rank_count()) {
    return OkStatus();
  }
  const std::vector<std::string> names = source.strategy.Names();
  bool is_apart = false;  // Some parameter is not on all stages.
  for (const std::string& name : names) {
    if (IsScratch(name)) continue;
    if (std::ssize(source.catalog.Holders(name)) < file_count) return OkStatus();
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
