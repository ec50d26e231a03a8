// SPDX-License-Identifier: Apache-2.0
#include "relayout/exec/tile_reads.h"

#include "relayout/exec/work.h"

namespace relayout {
namespace {

// A piece that is one run of its shard.
ReadStretch WholeRun(const ShardPiece& piece, int64_t element_size_bytes) {
  const int64_t begin = OffsetIn(piece.shard_box, piece.box.begin) * element_size_bytes;
  const int64_t size = piece.box.volume() * element_size_bytes;
  return {.begin_bytes = begin, .size_bytes = size, .run_bytes = size, .run_begins_bytes = {begin}};
}

}  // namespace

Status ForEachTileRead(
    const Tile& tile, int64_t element_size_bytes,
    const std::function<Status(size_t source, const ReadStretch& stretch)>& read) {
  if (tile.direct) return read(0, WholeRun(tile.sources[0], element_size_bytes));
  for (size_t i = 0; i < tile.sources.size(); ++i) {
    const ShardPiece& piece = tile.sources[i];
    if (piece.box.volume() == 0) continue;
    RELAYOUT_RETURN_IF_ERROR(
        ForEachStretch(piece.shard_box, piece.box, element_size_bytes, kStridedBufferBytes,
                       [&](const ReadStretch& stretch) { return read(i, stretch); }));
  }
  return OkStatus();
}

}  // namespace relayout
