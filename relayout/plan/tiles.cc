// SPDX-License-Identifier: Apache-2.0
#include "relayout/plan/tiles.h"

#include <algorithm>

#include "relayout/base/checked_math.h"
#include "relayout/plan/runs.h"

namespace relayout {
namespace {

// `cuts` with further cuts so that no interval is longer than `limit`; intervals stay about equal.
std::vector<int64_t> Refine(const std::vector<int64_t>& cuts, int64_t limit) {
  std::vector<int64_t> refined;
  for (size_t i = 0; i + 1 < cuts.size(); ++i) {
    const int64_t length = cuts[i + 1] - cuts[i];
    const int64_t parts = std::max<int64_t>(1, CeilDiv(length, limit));
    for (int64_t part = 0; part < parts; ++part) {
      refined.push_back(cuts[i] + length / parts * part + std::min(part, length % parts));
    }
  }
  refined.push_back(cuts.back());
  return refined;
}

void AppendPieceBegins(const Partition& partition, size_t d, int64_t begin, int64_t end,
                       std::vector<int64_t>& cuts) {
  const int64_t last = partition.PieceAt(d, end - 1);
  for (int64_t piece = partition.PieceAt(d, begin) + 1; piece <= last; ++piece) {
    cuts.push_back(partition.PieceBegin(d, piece));
  }
}

bool IsOnePieceOf(const Partition& partition, size_t d, int64_t begin, int64_t end) {
  const int64_t piece = partition.PieceAt(d, begin);
  return partition.PieceBegin(d, piece) == begin && partition.PieceBegin(d, piece + 1) == end;
}

}  // namespace

TileCursor::TileCursor(const Transfer& transfer, const TileOptions& options)
    : transfer_(transfer), options_(options) {
  if (transfer.wants_everything()) {
    const Box whole = Box::Whole(transfer.shape());
    if (whole.volume() > 0) regions_.push_back({.box = whole, .only_target = {}, .only_shard = 0});
  } else {
    for (size_t t = 0; t < transfer.targets.size(); ++t) {
      const TransferTarget& target = transfer.targets[t];
      const Partition& partition = target.placed.partition;
      for (int64_t shard = 0; shard < partition.layout().shard_count(); ++shard) {
        if (!target.wants(shard)) continue;
        const Box box = partition.BoxOf(partition.layout().CellOfShard(shard));
        if (box.volume() > 0) {
          regions_.push_back({.box = box, .only_target = t, .only_shard = shard});
        }
      }
    }
  }
  if (!regions_.empty()) BeginRegion();
}

bool TileCursor::Participates(size_t target) const {
  const auto& only = regions_[region_].only_target;
  return !only || *only == target;
}

bool TileCursor::IsWhole(size_t d) const {
  const Box& box = regions_[region_].box;
  if (!IsOnePieceOf(transfer_.source.partition, d, box.begin[d], box.end[d])) return false;
  for (size_t t = 0; t < transfer_.targets.size(); ++t) {
    const Partition& partition = transfer_.targets[t].placed.partition;
    if (Participates(t) && !IsOnePieceOf(partition, d, box.begin[d], box.end[d])) return false;
  }
  return true;
}

std::vector<int64_t> TileCursor::CutsOf(size_t d) const {
  const Box& box = regions_[region_].box;
  std::vector<int64_t> cuts = {box.begin[d], box.end[d]};
  AppendPieceBegins(transfer_.source.partition, d, box.begin[d], box.end[d], cuts);
  for (size_t t = 0; t < transfer_.targets.size(); ++t) {
    if (!Participates(t)) continue;
    AppendPieceBegins(transfer_.targets[t].placed.partition, d, box.begin[d], box.end[d], cuts);
  }
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  return cuts;
}

// Decides between direct and gather, and along which dimension the region is stepped.
void TileCursor::ChooseStep() {
  const Dims shape = regions_[region_].box.shape();
  // The last dimension in which shards begin or end: what lies inside it is contiguous everywhere.
  size_t last_cut = shape.size();
  while (last_cut > 0 && IsWhole(last_cut - 1)) --last_cut;
  step_dim_ = last_cut == 0 ? 0 : last_cut - 1;
  // A dimension of length 1 offers nothing to step along: [1,N] is stepped along N.
  while (step_dim_ + 1 < shape.size() && shape[step_dim_] == 1) ++step_dim_;
  int64_t outer_steps = 1;
  for (size_t d = 0; d < step_dim_; ++d) outer_steps *= shape[d];
  int64_t row_bytes = transfer_.element_size_bytes;
  for (size_t d = step_dim_ + 1; d < shape.size(); ++d) row_bytes *= shape[d];

  cuts_ = CutsOf(step_dim_);
  int64_t shortest = shape[step_dim_];
  for (size_t i = 0; i + 1 < cuts_.size(); ++i) {
    shortest = std::min(shortest, cuts_[i + 1] - cuts_[i]);
  }
  // Without steps before the step dimension the intervals are all there is, however short they are.
  const bool few_runs = outer_steps == 1;
  direct_ = few_runs || shortest * row_bytes >= options_.min_direct_bytes;
  if (direct_) {
    cuts_ = Refine(cuts_, std::max<int64_t>(1, options_.max_direct_bytes / row_bytes));
    return;
  }
  while (step_dim_ > 0 && row_bytes * shape[step_dim_] <= options_.gather_bytes) {
    row_bytes *= shape[step_dim_];
    --step_dim_;
  }
  const Box& box = regions_[region_].box;
  cuts_ = Refine({box.begin[step_dim_], box.end[step_dim_]},
                 std::max<int64_t>(1, options_.gather_bytes / row_bytes));
}

void TileCursor::BeginRegion() {
  const Box& box = regions_[region_].box;
  covered_elements_ = 0;
  next_cut_ = 0;
  outer_ = box.begin;
  if (box.begin.empty()) {
    direct_ = true;
    cuts_ = {0, 1};
    return;
  }
  ChooseStep();
}

std::optional<Tile> TileCursor::Next() {
  if (region_ == regions_.size()) return std::nullopt;
  const Box& region = regions_[region_].box;
  Box box = region;
  if (!box.begin.empty()) {
    for (size_t d = 0; d < step_dim_; ++d) {
      box.begin[d] = outer_[d];
      box.end[d] = outer_[d] + 1;
    }
    box.begin[step_dim_] = cuts_[next_cut_];
    box.end[step_dim_] = cuts_[next_cut_ + 1];
  }
  Tile tile = MakeTile(box);
  covered_elements_ += box.volume();

  if (++next_cut_ + 1 == cuts_.size()) {
    next_cut_ = 0;
    Dims end = region.end;
    for (size_t d = step_dim_; d < end.size(); ++d) end[d] = region.begin[d] + 1;
    if (outer_.empty() || !NextIndex(region.begin, end, outer_)) {
      RELAYOUT_CHECK(covered_elements_ == region.volume());
      if (++region_ < regions_.size()) BeginRegion();
    }
  }
  return tile;
}

Tile TileCursor::MakeTile(const Box& box) const {
  Tile tile{.box = box, .direct = direct_, .sources = {}, .targets = {}};
  const Partition& partition = transfer_.source.partition;
  const CellRange cells = CellsOverlapping(partition, box);
  Dims cell = cells.begin;
  do {
    const Box shard_box = partition.BoxOf(cell);
    tile.sources.push_back({.shard = partition.layout().ShardIndexOf(cell),
                            .shard_box = shard_box,
                            .box = Intersect(shard_box, box)});
  } while (NextIndex(cells.begin, cells.end, cell));
  AddTargets(box, cells, tile);
  return tile;
}

void TileCursor::AddTargets(const Box& box, const CellRange& source_cells, Tile& tile) const {
  for (size_t t = 0; t < transfer_.targets.size(); ++t) {
    if (!Participates(t)) continue;
    const Partition& partition = transfer_.targets[t].placed.partition;
    const CellRange cells = CellsOverlapping(partition, box);
    Dims cell = cells.begin;
    do {
      const Box shard_box = partition.BoxOf(cell);
      TargetPiece piece{.target = t,
                        .piece = {.shard = partition.layout().ShardIndexOf(cell),
                                  .shard_box = shard_box,
                                  .box = Intersect(shard_box, box)},
                        .sources = {}};
      if (piece.piece.box.volume() == 0) continue;  // An empty uneven piece.
      // Every element of the piece comes from exactly one source piece: the cells of a grid are
      // disjoint, and their volumes in the piece add up to its own.
      const CellRange overlapping = CellsOverlapping(transfer_.source.partition, piece.piece.box);
      Dims source_cell = overlapping.begin;
      int64_t covered = 0;
      do {
        const auto source = static_cast<size_t>(source_cells.IndexOf(source_cell));
        covered += Intersect(tile.sources[source].box, piece.piece.box).volume();
        piece.sources.push_back(source);
      } while (NextIndex(overlapping.begin, overlapping.end, source_cell));
      RELAYOUT_CHECK(covered == piece.piece.box.volume());
      tile.targets.push_back(std::move(piece));
    } while (NextIndex(cells.begin, cells.end, cell));
  }
}

}  // namespace relayout
