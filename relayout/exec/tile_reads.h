// SPDX-License-Identifier: Apache-2.0
//
// Which bytes of source shards a tile is read from. The executor reads by this list and a dry run
// counts by it, so that the two cannot disagree.
//
//   f32[4,8], {a:2} (-,a) to the rank that wants columns 0:2 only, one tile:
//   one stretch of 56 bytes of shard 0, of which 4 runs of 8 bytes are wanted
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "relayout/base/status.h"
#include "relayout/exec/stretch.h"
#include "relayout/plan/tiles.h"

namespace relayout {

// Calls `read` for the stretches of tile.sources[source], one source after the other. A direct tile
// has one stretch, which may be longer than any buffer. Stops at the first failure and returns it.
// @post the runs of all stretches are, in order, what Intersect(source, tile) packs densely
Status ForEachTileRead(
    const Tile& tile, int64_t element_size_bytes,
    const std::function<Status(size_t source, const ReadStretch& stretch)>& read);

}  // namespace relayout
