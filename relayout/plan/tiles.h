// SPDX-License-Identifier: Apache-2.0
//
// Tiles: a Transfer cut into pieces of work that fit in memory. Pure arithmetic.
//
// A tile is a box of the tensor. It reads one or more pieces of source shards, and writes one or
// more pieces of target shards. Tiles are cut so that pieces are contiguous in the shards they
// belong to wherever that is possible:
//
// * *direct* tiles have one source piece and one target piece per target, contiguous on both sides:
// the
//   bytes move as they are (row re-layouts, merges of stages, whole tensors);
// * *gather* tiles are runs of rows that cross several shards: each source piece is read as a
// contiguous
//   range, the pieces are interleaved in memory, each target piece is written as a contiguous
//   range.
//
// Example: f32[8,8], sources {a:2} (-,a) on ranks 0-1, target {a:1} (-,-): runs are 16 bytes, so
// tiles gather; with 64-byte tiles there are four of two rows each:
//   tile [0:2,0:8]  reads rank 0 [0:2,0:4] and rank 1 [0:2,4:8], writes rank 0 [0:2,0:8]
// When only some target ranks are wanted, each wanted shard is tiled by itself, and source pieces
// may then be strided.
//
// The tiles of a Transfer cover each wanted target element exactly once; Next() checks that.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "relayout/plan/transfer.h"

namespace relayout {

struct TileOptions {
  // A gather tile's bytes: it needs that much for its source pieces and again for each target. A
  // single row of the innermost cut dimension may exceed it.
  int64_t gather_bytes = int64_t{1} << 20;
  // Runs from this length on are moved directly.
  int64_t min_direct_bytes = int64_t{128} << 10;
  // Direct tiles are cut to about this size, so that several threads share a big tensor.
  int64_t max_direct_bytes = int64_t{16} << 20;
};

// Part of a shard. `box` is in the tensor's coordinates and lies inside the shard's own box.
struct ShardPiece {
  int64_t shard = 0;
  Box shard_box;
  Box box;
};

struct TargetPiece {
  size_t target = 0;  // Index into Transfer::targets.
  ShardPiece piece;
  // Indices into Tile::sources of the pieces that overlap this one.
  std::vector<size_t> sources;
};

struct Tile {
  Box box;
  bool direct = false;  // One source piece and one piece per target, each one contiguous run.
  std::vector<ShardPiece> sources;
  std::vector<TargetPiece> targets;
};

class TileCursor {
 public:
  // `transfer` must outlive the cursor.
  TileCursor(const Transfer& transfer, const TileOptions& options);

  // The next tile in a fixed order (regions, then C order), or nothing at the end.
  std::optional<Tile> Next();

 private:
  // A box to be tiled by itself, for one shard of one target or for all of them.
  struct Region {
    Box box;
    std::optional<size_t> only_target;
    int64_t only_shard = 0;
  };

  void BeginRegion();
  bool Participates(size_t target) const;
  // Is dimension d of the region one piece, covered completely, in the source and all its targets?
  bool IsWhole(size_t d) const;
  // Begin of every piece of dimension d in the region, the region's end last.
  std::vector<int64_t> CutsOf(size_t d) const;
  void ChooseStep();
  Tile MakeTile(const Box& box) const;
  void AddTargets(const Box& box, const CellRange& source_cells, Tile& tile) const;

  const Transfer& transfer_;
  TileOptions options_;
  std::vector<Region> regions_;
  size_t region_ = 0;
  // Inside the region: dims before step_dim_ are stepped one by one, step_dim_ from cut to cut,
  // later dims are taken whole.
  size_t step_dim_ = 0;
  bool direct_ = false;
  std::vector<int64_t> cuts_;
  size_t next_cut_ = 0;
  Dims outer_;
  int64_t covered_elements_ = 0;
};

}  // namespace relayout
