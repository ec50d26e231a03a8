// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/checkpoint_reader.h"

#include <utility>

#include "relayout/base/near_names.h"
#include "relayout/base/text.h"
#include "relayout/exec/shard_reader.h"

namespace relayout {
namespace {

constexpr int64_t kOpenFiles = 256;

bool IsInside(const Box& box, const Dims& shape) {
  if (box.begin.size() != shape.size() || box.end.size() != shape.size()) return false;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (box.begin[d] < 0 || box.begin[d] > box.end[d] || box.end[d] > shape[d]) return false;
  }
  return true;
}

}  // namespace

CheckpointReader::CheckpointReader(FileSystem& fs, CheckpointSet set)
    : set_(std::move(set)), files_(fs, kOpenFiles) {}

Result<std::unique_ptr<CheckpointReader>> CheckpointReader::Open(FileSystem& fs,
                                                                 const CheckpointSetSpec& spec,
                                                                 int thread_count) {
  RELAYOUT_ASSIGN_OR_RETURN(CheckpointSet set, OpenCheckpointSet(fs, spec, thread_count));
  return std::unique_ptr<CheckpointReader>(new CheckpointReader(fs, std::move(set)));
}

Result<ReadableValue> CheckpointReader::Describe(std::string_view name) const {
  if (!set_.catalog.Contains(name)) {
    NearNames near(name);
    for (const std::string_view there : set_.catalog.names()) near.Consider(there);
    return NotFound(
        Format("{}: no value is called {}{}", set_.spec.text(), Printable(name), near.Hint("")));
  }
  auto source = DescribeValue(set_, name);
  if (!source.ok()) return source.status().WithContext(Printable(name));
  auto placed = PlaceSources(set_, *source);
  if (!placed.ok()) return placed.status().WithContext(Printable(name));
  return ReadableValue{
      .name = std::string(name), .source = *std::move(source), .placed = *std::move(placed)};
}

std::optional<int64_t> CheckpointReader::HolderOf(const PlacedTensor& placed, int64_t shard,
                                                  std::span<const Catalog::Place> places) const {
  for (const int64_t rank : HoldersOf(placed, shard)) {
    if (set_.catalog.FindAt(rank, places)) return rank;
  }
  return std::nullopt;
}

Status CheckpointReader::Read(const ReadableValue& value, const Box& box,
                              std::span<std::byte> bytes) {
  if (!IsInside(box, value.source.shape)) {
    return InvalidInput(Format("{}: {} is not inside {}", Printable(value.name), ToText(box),
                               ToText(value.source.shape)));
  }
  RELAYOUT_CHECK(std::ssize(bytes) == box.volume() * ElementSize(value.source.dtype));
  if (box.volume() == 0) return OkStatus();
  // A tied parameter is in several stages; the first that has all of the box serves.
  Status first_failure;
  for (const PlacedTensor& placed : value.placed) {
    Status status = ReadFrom(placed, value, box, bytes);
    if (status.ok() || status.code() != StatusCode::kNotFound) return status;
    if (first_failure.ok()) first_failure = status;
  }
  return first_failure;
}

Status CheckpointReader::ReadFrom(const PlacedTensor& placed, const ReadableValue& value,
                                  const Box& box, std::span<std::byte> bytes) {
  const Partition& partition = placed.partition;
  const auto places = set_.catalog.PlacesOf(value.name);
  ShardReader reader(files_);
  const CellRange cells = CellsOverlapping(partition, box);
  Dims cell = cells.begin;
  do {
    const Box shard_box = partition.BoxOf(cell);
    const Box wanted = Intersect(shard_box, box);
    if (wanted.volume() == 0) continue;  // An uneven piece without rows.
    const auto rank = HolderOf(placed, partition.layout().ShardIndexOf(cell), places);
    if (!rank) {
      return NotFound(
          Format("{}: the slice {} of {} should be in the file of rank {}, but is in "
                 "none",
                 Printable(value.name), ToText(shard_box), ToText(partition.shape()),
                 RankRuns(HoldersOf(placed, partition.layout().ShardIndexOf(cell)))));
    }
    const ShardLocation location{.path = set_.catalog.FileOf(*rank)->path,
                                 .extents = set_.catalog.FindAt(*rank, places)->extents};
    RELAYOUT_RETURN_IF_ERROR(reader
                                 .ReadBox(location, shard_box, wanted,
                                          ElementSize(value.source.dtype), bytes.data(), box)
                                 .WithContext(Printable(value.name)));
  } while (NextIndex(cells.begin, cells.end, cell));
  return OkStatus();
}

}  // namespace relayout
