// SPDX-License-Identifier: Apache-2.0
#include "relayout/exec/shard_reader.h"

#include <algorithm>

#include "relayout/exec/copy_box.h"
#include "relayout/plan/runs.h"

namespace relayout {
namespace {

size_t AsSize(int64_t size_bytes) { return static_cast<size_t>(size_bytes); }

}  // namespace

Status ShardReader::Read(const ShardLocation& shard, int64_t begin_bytes,
                         std::span<std::byte> buffer) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto file, files_.Get(shard.path));
  read_bytes_ += std::ssize(buffer);
  for (const Extent& extent : MapRange(shard.extents, begin_bytes, std::ssize(buffer))) {
    RELAYOUT_RETURN_IF_ERROR(
        file->ReadAt(extent.offset_bytes, buffer.first(AsSize(extent.size_bytes))));
    buffer = buffer.subspan(AsSize(extent.size_bytes));
  }
  return OkStatus();
}

Status ShardReader::ReadStretchOf(const ShardLocation& shard, const ReadStretch& stretch,
                                  std::byte* to) {
  if (stretch.size_bytes == stretch.wanted_bytes()) {
    return Read(shard, stretch.begin_bytes, {to, AsSize(stretch.size_bytes)});
  }
  std::byte* const raw = strided_.Reserve(stretch.size_bytes);
  RELAYOUT_RETURN_IF_ERROR(Read(shard, stretch.begin_bytes, {raw, AsSize(stretch.size_bytes)}));
  ExtractRuns(stretch, raw, to);
  return OkStatus();
}

Status ShardReader::ReadBox(const ShardLocation& shard, const Box& shard_box, const Box& box,
                            int64_t element_size_bytes, std::byte* to, const Box& to_box) {
  if (box.volume() == 0) return OkStatus();
  // One run on both sides: as long as it likes, straight to where it belongs.
  if (RunElements(shard_box, box) == box.volume() && RunElements(to_box, box) == box.volume()) {
    return Read(shard, OffsetIn(shard_box, box.begin) * element_size_bytes,
                {to + OffsetIn(to_box, box.begin) * element_size_bytes,
                 AsSize(box.volume() * element_size_bytes)});
  }
  const int64_t max_elements = std::max<int64_t>(1, kStridedBufferBytes / element_size_bytes);
  return ForEachPiece(box, max_elements, [&](const Box& piece) {
    return ReadPiece(shard, shard_box, piece, element_size_bytes, to, to_box);
  });
}

Status ShardReader::ReadPiece(const ShardLocation& shard, const Box& shard_box, const Box& piece,
                              int64_t element_size_bytes, std::byte* to, const Box& to_box) {
  std::byte* const gathered = gathered_.Reserve(piece.volume() * element_size_bytes);
  std::byte* next = gathered;
  RELAYOUT_RETURN_IF_ERROR(ForEachStretch(shard_box, piece, element_size_bytes, kStridedBufferBytes,
                                          [&](const ReadStretch& stretch) {
                                            std::byte* const buffer = next;
                                            next += stretch.wanted_bytes();
                                            return ReadStretchOf(shard, stretch, buffer);
                                          }));
  CopyBox(gathered, piece, to, to_box, piece, element_size_bytes);
  return OkStatus();
}

Status ForEachPiece(const Box& box, int64_t max_elements,
                    const std::function<Status(const Box&)>& use) {
  RELAYOUT_CHECK(max_elements >= 1);
  if (box.volume() == 0) return OkStatus();
  // Dimensions after `cut` are whole, those before it one element long.
  size_t cut = box.begin.size();
  int64_t inner = 1;
  while (cut > 0 && inner * (box.end[cut - 1] - box.begin[cut - 1]) <= max_elements) {
    --cut;
    inner *= box.end[cut] - box.begin[cut];
  }
  if (cut == 0) return use(box);
  --cut;
  const int64_t step = max_elements / inner;
  Dims outer_end = box.end;
  for (size_t d = cut; d < outer_end.size(); ++d) outer_end[d] = box.begin[d] + 1;
  Dims index = box.begin;
  do {
    Box piece{.begin = index, .end = box.end};
    for (size_t d = 0; d < cut; ++d) piece.end[d] = index[d] + 1;
    for (int64_t begin = box.begin[cut]; begin < box.end[cut]; begin += step) {
      piece.begin[cut] = begin;
      piece.end[cut] = std::min(begin + step, box.end[cut]);
      RELAYOUT_RETURN_IF_ERROR(use(piece));
    }
  } while (NextIndex(box.begin, outer_end, index));
  return OkStatus();
}

}  // namespace relayout
