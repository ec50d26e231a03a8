// SPDX-License-Identifier: Apache-2.0
#include "relayout/layout/layout.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <utility>

#include "relayout/base/checked_math.h"
#include "relayout/base/text.h"

namespace relayout {
namespace {

constexpr int64_t kMaxDevices = int64_t{1} << 31;

Result<int64_t> DeviceCount(const std::vector<int64_t>& mesh) {
  int64_t count = 1;
  for (const int64_t size : mesh) {
    if (size < 1) return InvalidInput(Format("the device mesh has an axis of size {}", size));
    const auto product = CheckedMul(count, size);
    if (!product || *product > kMaxDevices) {
      return InvalidInput("the device mesh has more than 2^31 devices");
    }
    count = *product;
  }
  return count;
}

// Which axes cut a dimension; fails on axes that do not exist or cut twice.
Result<std::vector<bool>> UsedAxes(const LayoutSpec& spec) {
  std::vector<bool> used(spec.mesh.size(), false);
  for (const auto& axes : spec.dim_axes) {
    for (const int axis : axes) {
      if (axis < 0 || static_cast<size_t>(axis) >= used.size()) {
        return InvalidInput(Format("the tensor map names an axis that the mesh of {} axes lacks",
                                   spec.mesh.size()));
      }
      const auto i = static_cast<size_t>(axis);
      if (used[i]) return InvalidInput(Format("mesh axis {} cuts the tensor twice", axis));
      used[i] = true;
    }
  }
  return used;
}

Status CheckUnevenRows(const LayoutSpec& spec, int64_t row_pieces) {
  if (spec.uneven_rows.empty()) return OkStatus();
  if (spec.dim_axes.empty() || std::ssize(spec.uneven_rows) != row_pieces) {
    return InvalidInput(Format("param_split_shape lists {} pieces, but dim 0 is cut into {}",
                               spec.uneven_rows.size(), row_pieces));
  }
  if (spec.optimizer_group != 1) {
    return Unsupported("param_split_shape together with an optimizer split is not defined");
  }
  int64_t rows = 0;
  for (const int64_t piece : spec.uneven_rows) {
    const auto sum = CheckedAdd(rows, piece);
    if (piece < 0 || !sum) return InvalidInput("param_split_shape holds an impossible length");
    rows = *sum;
  }
  return OkStatus();
}

Dims CoordinatesOf(const std::vector<int64_t>& mesh, int64_t local_rank) {
  Dims coordinates = Dims::Filled(mesh.size(), 0);
  for (size_t axis = mesh.size(); axis-- > 0;) {
    coordinates[axis] = local_rank % mesh[axis];
    local_rank /= mesh[axis];
  }
  return coordinates;
}

// Coordinates on `axes` as one mixed-radix number, first axis outermost.
int64_t Mix(const std::vector<int64_t>& mesh, const std::vector<int>& axes,
            const Dims& coordinates) {
  int64_t number = 0;
  for (const int axis : axes) {
    const auto i = static_cast<size_t>(axis);
    number = number * mesh[i] + coordinates[i];
  }
  return number;
}

void Unmix(const std::vector<int64_t>& mesh, const std::vector<int>& axes, int64_t number,
           Dims& coordinates) {
  for (size_t i = axes.size(); i-- > 0;) {
    const auto axis = static_cast<size_t>(axes[i]);
    coordinates[axis] = number % mesh[axis];
    number /= mesh[axis];
  }
}

size_t HashOf(const LayoutSpec& spec) {
  uint64_t hash = static_cast<uint64_t>(spec.optimizer_group);
  const auto mix = [&hash](int64_t number) {
    hash = (hash ^ static_cast<uint64_t>(number)) * 0x9E3779B97F4A7C15U;
    hash ^= hash >> 29;
  };
  for (const int64_t size : spec.mesh) mix(size);
  for (const auto& axes : spec.dim_axes) {
    mix(-1);  // Between dims.
    for (const int axis : axes) mix(axis);
  }
  for (const int64_t rows : spec.uneven_rows) mix(rows);
  return static_cast<size_t>(hash);
}

// A cut as ranks see it: rank r is in piece (r / stride) % pieces.
struct StridedCut {
  int64_t pieces = 1;
  int64_t stride = 1;
};

// Adds a further cut inside the last one; two that count on are one.
void AddCut(StridedCut cut, std::vector<StridedCut>& cuts) {
  if (cut.pieces == 1) return;
  if (!cuts.empty() && cuts.back().stride == cut.pieces * cut.stride) {
    cut.pieces *= cuts.back().pieces;
    cuts.pop_back();
  }
  cuts.push_back(cut);
}

int64_t StrideOf(const LayoutSpec& spec, int axis) {
  return std::accumulate(spec.mesh.begin() + axis + 1, spec.mesh.end(), int64_t{1},
                         std::multiplies<int64_t>());
}

// The optimizer split of groups of `count` replicas as strided cuts, outermost first; nothing when
// a group ends inside an axis that its size does not divide.
std::optional<std::vector<StridedCut>> OptimizerCuts(const LayoutSpec& spec,
                                                     const std::vector<int>& unused_axes,
                                                     int64_t count) {
  // As cuts of their own, so that axes which count on are one.
  std::vector<StridedCut> unused;
  for (const int axis : unused_axes) {
    AddCut({spec.mesh[static_cast<size_t>(axis)], StrideOf(spec, axis)}, unused);
  }
  std::vector<StridedCut> cuts;
  for (auto cut = unused.rbegin(); cut != unused.rend() && count > 1; ++cut) {
    const int64_t pieces = std::min(cut->pieces, count);
    if (cut->pieces % pieces != 0 || count % pieces != 0) return std::nullopt;
    cuts.push_back({pieces, cut->stride});
    count /= pieces;
  }
  std::reverse(cuts.begin(), cuts.end());
  return cuts;
}

}  // namespace

std::vector<std::vector<std::pair<int64_t, int64_t>>> Layout::StridedCuts() const {
  std::vector<std::vector<std::pair<int64_t, int64_t>>> result;
  for (size_t d = 0; d < dim_count(); ++d) {
    std::vector<StridedCut> cuts;
    for (const int axis : spec().dim_axes[d]) {
      AddCut({spec().mesh[static_cast<size_t>(axis)], StrideOf(spec(), axis)}, cuts);
    }
    if (d == 0 && optimizer_count() > 1) {
      const auto more = OptimizerCuts(spec(), facts_->unused_axes, optimizer_count());
      if (more) {
        for (const StridedCut& cut : *more) AddCut(cut, cuts);
      } else {
        cuts.push_back({optimizer_count(), 0});
      }
    }
    result.emplace_back();
    for (const StridedCut& cut : cuts) result.back().emplace_back(cut.pieces, cut.stride);
  }
  return result;
}

bool HoldSameShards(const Layout& a, const Layout& b) {
  return a.device_count() == b.device_count() && a.dim_count() == b.dim_count() &&
         a.spec().uneven_rows == b.spec().uneven_rows && a.StridedCuts() == b.StridedCuts();
}

Result<Layout> Layout::Create(LayoutSpec spec) {
  if (spec.mesh.size() > kMaxDims || spec.dim_axes.size() > kMaxDims) {
    return Unsupported(Format("{} mesh axes and {} tensor dims; at most {} of each are supported",
                              spec.mesh.size(), spec.dim_axes.size(), kMaxDims));
  }
  Facts facts;
  RELAYOUT_ASSIGN_OR_RETURN(facts.device_count, DeviceCount(spec.mesh));
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<bool> used, UsedAxes(spec));
  int64_t replicas = 1;
  for (size_t axis = 0; axis < spec.mesh.size(); ++axis) {
    if (used[axis]) continue;
    facts.unused_axes.push_back(static_cast<int>(axis));
    replicas *= spec.mesh[axis];
  }
  for (const auto& axes : spec.dim_axes) {
    int64_t count = 1;
    for (const int axis : axes) count *= spec.mesh[static_cast<size_t>(axis)];
    facts.mesh_counts.push_back(count);
  }
  RELAYOUT_RETURN_IF_ERROR(
      CheckUnevenRows(spec, facts.mesh_counts.empty() ? 0 : facts.mesh_counts[0]));

  int64_t group = spec.optimizer_group;
  if (group == LayoutSpec::kAllReplicas) group = replicas;
  if (group < 1 || replicas % group != 0) {
    return InvalidInput(Format("an optimizer split in groups of {} does not fit {}", group,
                               Count(replicas, "replica")));
  }
  if (group > 1 && spec.dim_axes.empty()) {
    return InvalidInput("a 0-d tensor cannot have an optimizer split");
  }
  facts.optimizer_count = group;
  facts.replica_count = replicas / group;
  facts.grid = facts.mesh_counts;
  if (group > 1) facts.grid[0] *= group;
  facts.shard_count = facts.device_count / facts.replica_count;
  facts.spec = std::move(spec);
  return Layout(std::make_shared<const Facts>(std::move(facts)));
}

Layout Layout::Replicated(int64_t device_count, size_t dim_count) {
  LayoutSpec spec;
  spec.mesh = {device_count};
  spec.dim_axes.resize(dim_count);
  return Create(std::move(spec)).value();
}

int64_t Layout::RawReplicaOf(const Dims& coordinates) const {
  return Mix(spec().mesh, facts_->unused_axes, coordinates);
}

Dims Layout::CellOf(int64_t local_rank) const {
  RELAYOUT_CHECK(local_rank >= 0 && local_rank < device_count());
  const Dims coordinates = CoordinatesOf(spec().mesh, local_rank);
  Dims cell;
  for (const auto& axes : spec().dim_axes) cell.push_back(Mix(spec().mesh, axes, coordinates));
  if (optimizer_count() > 1) {
    cell[0] = cell[0] * optimizer_count() + RawReplicaOf(coordinates) % optimizer_count();
  }
  return cell;
}

int64_t Layout::ReplicaOf(int64_t local_rank) const {
  return RawReplicaOf(CoordinatesOf(spec().mesh, local_rank)) / optimizer_count();
}

int64_t Layout::RankOf(const Dims& cell, int64_t replica) const {
  RELAYOUT_CHECK(cell.size() == grid().size() && replica >= 0 && replica < replica_count());
  Dims coordinates = Dims::Filled(spec().mesh.size(), 0);
  int64_t raw_replica = replica * optimizer_count();
  for (size_t d = 0; d < cell.size(); ++d) {
    RELAYOUT_CHECK(cell[d] >= 0 && cell[d] < grid()[d]);
    int64_t piece = cell[d];
    if (d == 0) {
      raw_replica += piece % optimizer_count();
      piece /= optimizer_count();
    }
    Unmix(spec().mesh, spec().dim_axes[d], piece, coordinates);
  }
  Unmix(spec().mesh, facts_->unused_axes, raw_replica, coordinates);
  int64_t rank = 0;
  for (size_t axis = 0; axis < spec().mesh.size(); ++axis) {
    rank = rank * spec().mesh[axis] + coordinates[axis];
  }
  return rank;
}

int64_t Layout::ShardIndexOf(const Dims& cell) const {
  int64_t index = 0;
  for (size_t d = 0; d < cell.size(); ++d) index = index * grid()[d] + cell[d];
  return index;
}

Dims Layout::CellOfShard(int64_t shard_index) const {
  Dims cell = Dims::Filled(grid().size(), 0);
  for (size_t d = grid().size(); d-- > 0;) {
    cell[d] = shard_index % grid()[d];
    shard_index /= grid()[d];
  }
  return cell;
}

Layout LayoutPool::Share(const Layout& layout) {
  const size_t hash = HashOf(layout.spec());
  const auto [begin, end] = by_hash_.equal_range(hash);
  const auto found =
      std::find_if(begin, end, [&](const auto& entry) { return entry.second == layout; });
  return found != end ? found->second : by_hash_.emplace(hash, layout)->second;
}

Result<Partition> Partition::Create(Layout layout, const Dims& shape) {
  if (shape.size() != layout.dim_count()) {
    return InvalidInput(Format("the tensor {} has {}, but its layout is for {}", ToText(shape),
                               Count(static_cast<int64_t>(shape.size()), "dim"),
                               static_cast<int64_t>(layout.dim_count())));
  }
  if (!ElementCount(shape)) return InvalidInput(Format("impossible shape {}", ToText(shape)));
  Partition partition(std::move(layout), shape);
  const LayoutSpec& spec = partition.layout_.spec();
  for (size_t d = 0; d < shape.size(); ++d) {
    if (d == 0 && !spec.uneven_rows.empty()) {
      const int64_t rows =
          std::accumulate(spec.uneven_rows.begin(), spec.uneven_rows.end(), int64_t{0});
      if (rows != shape[0]) {
        return InvalidInput(
            Format("dim 0 = {}, but param_split_shape adds up to {}", shape[0], rows));
      }
      std::vector<int64_t> begins = {0};
      for (const int64_t piece : spec.uneven_rows) begins.push_back(begins.back() + piece);
      partition.row_begins_ = std::make_shared<const std::vector<int64_t>>(std::move(begins));
    } else if (shape[d] % partition.layout_.grid()[d] != 0) {
      return InvalidInput(
          Format("dim {} = {} is not divisible by {}", d, shape[d], partition.layout_.grid()[d]));
    }
  }
  return partition;
}

int64_t Partition::PieceBegin(size_t d, int64_t index) const {
  if (d == 0 && row_begins_) return (*row_begins_)[static_cast<size_t>(index)];
  return shape_[d] / layout_.grid()[d] * index;
}

int64_t Partition::PieceAt(size_t d, int64_t x) const {
  RELAYOUT_CHECK(x >= 0 && x < shape_[d]);
  if (d == 0 && row_begins_) {
    const auto after = std::upper_bound(row_begins_->begin(), row_begins_->end(), x);
    return after - row_begins_->begin() - 1;
  }
  return x / (shape_[d] / layout_.grid()[d]);
}

Box Partition::BoxOf(const Dims& cell) const {
  Box box;
  for (size_t d = 0; d < cell.size(); ++d) {
    box.begin.push_back(PieceBegin(d, cell[d]));
    box.end.push_back(PieceBegin(d, cell[d] + 1));
  }
  return box;
}

Result<Dims> WholeShape(const Layout& layout, int64_t local_rank, const Dims& shard_shape) {
  if (shard_shape.size() != layout.dim_count()) {
    return InvalidInput(Format("the stored slice {} has {}, but its layout is for {}",
                               ToText(shard_shape),
                               Count(static_cast<int64_t>(shard_shape.size()), "dim"),
                               static_cast<int64_t>(layout.dim_count())));
  }
  const std::vector<int64_t>& uneven = layout.spec().uneven_rows;
  Dims whole;
  for (size_t d = 0; d < shard_shape.size(); ++d) {
    auto length = CheckedMul(shard_shape[d], layout.grid()[d]);
    if (d == 0 && !uneven.empty()) {
      const auto piece = static_cast<size_t>(layout.CellOf(local_rank)[0]);
      if (shard_shape[0] != uneven[piece]) {
        return InvalidInput(Format("the stored slice {} has {} rows, but param_split_shape says {}",
                                   ToText(shard_shape), shard_shape[0], uneven[piece]));
      }
      length = std::accumulate(uneven.begin(), uneven.end(), int64_t{0});
    }
    if (!length) {
      return InvalidInput(
          Format("the stored slice {} times its pieces overflows", ToText(shard_shape)));
    }
    whole.push_back(*length);
  }
  if (!ElementCount(whole)) {
    return InvalidInput(Format("impossible whole shape {}", ToText(whole)));
  }
  return whole;
}

}  // namespace relayout
