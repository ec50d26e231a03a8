// SPDX-License-Identifier: Apache-2.0
//
// Layout: how one tensor lies on the devices of one pipeline stage. The centre of relayout.
//
// # Definitions
//
// A *mesh* is the stage's devices as an n-d array with axes of sizes a_0 x ... x a_{n-1}, axis 0
// outermost. Local rank r has the coordinates of r written in mixed radix a_0 ... a_{n-1}, the last
// axis fastest. (MindSpore: dev_matrix.)
//
// Each tensor dimension d is cut into *mesh pieces* by a list of axes, outermost first; the piece
// that a rank holds is its coordinates on those axes in mixed radix. No axis cuts twice. Axes that
// cut nothing make *replicas*: the ranks with the same pieces, counted in ascending rank. Because
// coordinates are major to minor, a rank's replica index is its coordinates on the unused axes in
// mixed radix. (MindSpore: tensor_map, which counts axes from the right.)
//
// The *optimizer split* cuts dimension 0 of what the replicas would share a second time: replicas
// are taken in consecutive groups of k, and member p of a group keeps the p-th of k equal pieces.
// (MindSpore: opt_weight_shard_size.)
//
// So a tensor of shape s is always cut into a *grid*: dimension d into grid_count(d) pieces, where
// grid_count(0) includes k. A *shard* is a cell of that grid, held by replica_count() ranks.
//
// # Example
//
//   {a:2,b:2,c:2} f32[784,512] @ (-,b) opt:4
//
//   Eight ranks; dim 1 cut in two by axis b; axes a and c leave 4 replicas of each half; those keep
//   a quarter of the rows each: grid 4 x 2, shards of [196,256], one holder each. Rank 5 = (1,0,1):
//   b = 0, so columns 0..255; replica index (a,c) = (1,1) = 3, so rows 588..783.
//
// Everything here is a value, computed by arithmetic: no list of ranks is ever built. A Layout is a
// handle of two words on facts that never change, so a million parameters may share a few.
// Source of the rules: MindSpore's compiler; see docs/formats.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "relayout/base/dims.h"
#include "relayout/base/status.h"
#include "relayout/layout/box.h"

namespace relayout {

// What a layout is made from, before it is checked.
struct LayoutSpec {
  static constexpr int64_t kAllReplicas = -1;

  // Sizes of the mesh axes, outermost first. Empty: one device.
  std::vector<int64_t> mesh;
  // For each tensor dimension the mesh axes (index from the left) that cut it, outermost first.
  std::vector<std::vector<int>> dim_axes;
  // Members of an optimizer group: 1 = no optimizer split, kAllReplicas = every replica.
  int64_t optimizer_group = 1;
  // Lengths of dimension 0's mesh pieces when they are not equal (MindSpore: param_split_shape).
  std::vector<int64_t> uneven_rows;

  friend bool operator==(const LayoutSpec&, const LayoutSpec&) = default;
};

// Cheap to copy; copies share. A moved-from layout may only be destroyed or assigned to.
class Layout {
 public:
  // Fails when an axis does not exist or cuts twice, a size is below 1, the devices exceed 2^31,
  // the optimizer group does not divide the replicas or has no dimension to cut, or uneven rows
  // disagree with dimension 0's pieces or come with an optimizer split.
  static Result<Layout> Create(LayoutSpec spec);

  // Every rank of `device_count` holds the whole tensor.
  static Layout Replicated(int64_t device_count, size_t dim_count);

  const LayoutSpec& spec() const { return facts_->spec; }
  int64_t device_count() const { return facts_->device_count; }
  size_t dim_count() const { return facts_->grid.size(); }

  // Pieces that mesh axes make of dimension d, without the optimizer split.
  int64_t mesh_count(size_t d) const { return facts_->mesh_counts[d]; }
  // k of the optimizer split; 1 = none.
  int64_t optimizer_count() const { return facts_->optimizer_count; }
  // Pieces of each dimension, the optimizer split included.
  const Dims& grid() const { return facts_->grid; }
  int64_t shard_count() const { return facts_->shard_count; }
  // Ranks that hold each shard. @post shard_count() * replica_count() == device_count()
  int64_t replica_count() const { return facts_->replica_count; }

  // The grid cell that `local_rank` holds. @pre 0 <= local_rank < device_count()
  Dims CellOf(int64_t local_rank) const;
  // Which of the holders of its cell `local_rank` is, in ascending rank.
  int64_t ReplicaOf(int64_t local_rank) const;
  // The rank that holds `cell` as its `replica`-th holder.
  // @post CellOf(RankOf(c, i)) == c and ReplicaOf(RankOf(c, i)) == i
  int64_t RankOf(const Dims& cell, int64_t replica) const;

  // Of each dimension its cuts as ranks see them, outermost first, as (pieces, stride): rank r is
  // in piece (r / stride) % pieces of what the cuts before made. The same for all ways to write a
  // mesh. The optimizer split is a cut of dimension 0; one that no strides say has stride 0.
  std::vector<std::vector<std::pair<int64_t, int64_t>>> StridedCuts() const;

  // Cells in C order: a number in [0, shard_count()) and back.
  int64_t ShardIndexOf(const Dims& cell) const;
  Dims CellOfShard(int64_t shard_index) const;

  friend bool operator==(const Layout& a, const Layout& b) {
    return a.facts_ == b.facts_ || a.spec() == b.spec();
  }
  // Equal for copies, and for equal layouts that came through one LayoutPool; different for
  // different layouts. For use as a key while the layout lives.
  const void* identity() const { return facts_.get(); }

 private:
  struct Facts {
    LayoutSpec spec;
    std::vector<int> unused_axes;
    Dims mesh_counts;
    Dims grid;
    int64_t device_count = 1;
    int64_t optimizer_count = 1;
    int64_t shard_count = 1;
    int64_t replica_count = 1;
  };

  explicit Layout(std::shared_ptr<const Facts> facts) : facts_(std::move(facts)) {}
  // A rank's coordinates on the axes no dimension uses, in mixed radix.
  int64_t RawReplicaOf(const Dims& coordinates) const;

  std::shared_ptr<const Facts> facts_;
};

// True when each rank holds the same pieces under both, however their meshes are written:
//   {a:8} (-)  and  {a:4,b:2} (-);   {a:2,b:4} (a*b)  and  {a:8} (a)
bool HoldSameShards(const Layout& a, const Layout& b);

// Makes equal layouts share: what is built from many parameters passes them through one pool.
//
//   LayoutPool pool;
//   for (...) parameters.push_back({name, pool.Share(layout)});
class LayoutPool {
 public:
  // A layout equal to `layout`: the first equal one that was passed in.
  Layout Share(const Layout& layout);

 private:
  std::unordered_multimap<size_t, Layout> by_hash_;
};

// A layout applied to a shape: where the cuts are. Cheap to copy.
class Partition {
 public:
  // Fails when the number of dims differs or a dim does not divide; the message names the dim, its
  // length and the factor: "dim 0 = 784 is not divisible by 6".
  static Result<Partition> Create(Layout layout, const Dims& shape);

  const Layout& layout() const { return layout_; }
  const Dims& shape() const { return shape_; }

  // Piece `index` of dimension d covers [PieceBegin(d, index), PieceBegin(d, index + 1)).
  int64_t PieceBegin(size_t d, int64_t index) const;
  // The piece of dimension d that holds coordinate x. @pre 0 <= x < shape()[d]
  int64_t PieceAt(size_t d, int64_t x) const;
  Box BoxOf(const Dims& cell) const;

 private:
  Partition(Layout layout, const Dims& shape) : layout_(std::move(layout)), shape_(shape) {}

  Layout layout_;
  Dims shape_;
  // Only for uneven rows: grid()[0] + 1 positions.
  std::shared_ptr<const std::vector<int64_t>> row_begins_;
};

// The shape of the whole tensor when `local_rank` stores `shard_shape`.
// Fails when the number of dims differs, an uneven piece has another length, or on overflow.
Result<Dims> WholeShape(const Layout& layout, int64_t local_rank, const Dims& shard_shape);

}  // namespace relayout
