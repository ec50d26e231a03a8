// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/redistribute.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <optional>
#include <string_view>
#include <utility>

#include "relayout/base/text.h"
#include "relayout/comm/all_reduce.h"
#include "relayout/exec/copy_box.h"
#include "relayout/plan/runs.h"
#include "relayout/plan/transfer.h"
#include "relayout/spmd/mesh_group.h"

namespace relayout {
namespace {

// ------------------------------------------------------------------------------------- planning

// A box that a rank takes; ranks are local here.
struct Move {
  int64_t giver = 0;
  Box box;
  bool adds = false;
};

class Planner {
 public:
  static Result<Planner> Create(const RedistributionRequest& request) {
    RELAYOUT_RETURN_IF_ERROR(Check(request));
    auto from = Partition::Create(request.from, request.shape);
    if (!from.ok()) return from.status().WithContext("redistribution, the layout it comes from");
    auto to = Partition::Create(request.to, request.shape);
    if (!to.ok()) return to.status().WithContext("redistribution, the layout it goes to");
    return Planner(request, std::move(*from), std::move(*to));
  }

  RedistributionPlan PlanOf(int64_t local_rank) const {
    RedistributionPlan plan;
    plan.element_size_bytes = request_.element_size_bytes;
    plan.from_box = BoxOf(from_, local_rank);
    plan.to_box = BoxOf(to_, local_rank);
    if (term_count_ > 1 && !adds_on_the_way_) {
      plan.reduce_group =
          MeshGroup(request_.from.spec().mesh, request_.sum_axes, local_rank, request_.first_rank);
    }
    const std::vector<int64_t> group = GroupOf(local_rank);
    plan.give.resize(group.size());
    plan.take.resize(group.size());
    for (size_t i = 0; i < group.size(); ++i) {
      plan.group.push_back(static_cast<int>(request_.first_rank + group[i]));
      if (group[i] == local_rank) plan.member = i;
      for (const Move& move : MovesTo(group[i])) {
        if (group[i] == local_rank) {
          plan.take[IndexIn(group, move.giver)] = RedistributionPlan::Taken{move.box, move.adds};
        } else if (move.giver == local_rank) {
          plan.give[i] = move.box;
        }
      }
    }
    return plan;
  }

 private:
  Planner(const RedistributionRequest& request, Partition from, Partition to)
      : request_(request), from_(std::move(from)), to_(std::move(to)) {
    const LayoutSpec& spec = request.from.spec();
    for (const int axis : request.sum_axes) term_count_ *= spec.mesh[static_cast<size_t>(axis)];
    // Adding up on the way moves term_count_ times what is wanted; an all-reduce moves each shard
    // about twice, and then what is wanted still has to move. The sums are the same.
    adds_on_the_way_ =
        term_count_ > 1 && term_count_ * request.from.shard_count() <= 2 * request.to.shard_count();
  }

  static Status Check(const RedistributionRequest& request) {
    if (request.from.device_count() != request.to.device_count()) {
      return InvalidInput(
          Format("a redistribution goes from a layout on {} devices to one on {}; both must be of "
                 "one stage",
                 request.from.device_count(), request.to.device_count()));
    }
    RELAYOUT_CHECK(request.element_size_bytes >= 1 && request.ranks_per_node >= 0);
    return request.sum_axes.empty() ? OkStatus() : CheckSumAxes(request);
  }

  static Status CheckSumAxes(const RedistributionRequest& request) {
    const LayoutSpec& spec = request.from.spec();
    if (request.element_size_bytes != sizeof(float)) {
      return Unsupported(
          Format("a sum of elements of {} bytes; sums are of float32", request.element_size_bytes));
    }
    if (request.from.optimizer_count() > 1) {
      return InvalidInput(
          Format("a layout with an optimizer split of {} cannot be a sum over mesh axes, because "
                 "the split takes ranks along them apart",
                 request.from.optimizer_count()));
    }
    for (size_t i = 0; i < request.sum_axes.size(); ++i) {
      const int axis = request.sum_axes[i];
      if (axis < 0 || axis >= std::ssize(spec.mesh)) {
        return InvalidInput(
            Format("a sum over mesh axis {} of a mesh of {} axes", axis, spec.mesh.size()));
      }
      for (size_t d = 0; d < spec.dim_axes.size(); ++d) {
        if (std::ranges::find(spec.dim_axes[d], axis) == spec.dim_axes[d].end()) continue;
        return InvalidInput(Format("a sum over mesh axis {}, which cuts dim {}", axis, d));
      }
      if (std::count(request.sum_axes.begin(), request.sum_axes.end(), axis) > 1) {
        return InvalidInput(Format("a sum over mesh axis {} twice", axis));
      }
    }
    return OkStatus();
  }

  static size_t IndexIn(const std::vector<int64_t>& ascending, int64_t rank) {
    return static_cast<size_t>(std::ranges::lower_bound(ascending, rank) - ascending.begin());
  }
  static Box BoxOf(const Partition& partition, int64_t local_rank) {
    return partition.BoxOf(partition.layout().CellOf(local_rank));
  }

  // What a rank takes, in ascending order of the cells, and within a cell of the givers.
  std::vector<Move> MovesTo(int64_t taker) const {
    std::vector<Move> moves;
    const Box wanted = BoxOf(to_, taker);
    if (wanted.volume() == 0) return moves;
    const CellRange cells = CellsOverlapping(from_, wanted);
    Dims cell = cells.begin;
    do {
      const Box box = Intersect(from_.BoxOf(cell), wanted);
      if (box.volume() == 0) continue;
      bool adds = false;
      for (const int64_t giver : GiversOf(cell, taker)) {
        moves.push_back({giver, box, adds});
        adds = true;
      }
    } while (NextIndex(cells.begin, cells.end, cell));
    return moves;
  }

  // Who gives a cell to `taker`: one holder, or those of all terms, ascending.
  std::vector<int64_t> GiversOf(const Dims& cell, int64_t taker) const {
    const Layout& layout = request_.from;
    const int64_t same_place = layout.RankOf(cell, layout.ReplicaOf(taker));
    if (adds_on_the_way_) {
      const auto group = MeshGroup(layout.spec().mesh, request_.sum_axes, same_place, 0);
      return {group.begin(), group.end()};
    }
    if (NodeOf(same_place) == NodeOf(taker)) return {same_place};
    std::vector<int64_t> near;
    for (int64_t replica = 0; replica < layout.replica_count(); ++replica) {
      const int64_t holder = layout.RankOf(cell, replica);
      if (NodeOf(holder) == NodeOf(taker)) near.push_back(holder);
    }
    if (near.empty()) return {same_place};
    return {near[static_cast<size_t>(layout.ReplicaOf(taker) % std::ssize(near))]};
  }

  int64_t NodeOf(int64_t local_rank) const {
    const int64_t node_size = request_.ranks_per_node;
    return node_size == 0 ? 0 : (request_.first_rank + local_rank) / node_size;
  }

  // The ranks that `local_rank` exchanges with, directly or through others, itself included.
  std::vector<int64_t> GroupOf(int64_t local_rank) const {
    std::vector<int64_t> parents(static_cast<size_t>(request_.from.device_count()));
    std::iota(parents.begin(), parents.end(), 0);
    const auto root = [&](int64_t rank) {
      while (parents[static_cast<size_t>(rank)] != rank) {
        int64_t& parent = parents[static_cast<size_t>(rank)];
        parent = parents[static_cast<size_t>(parent)];
        rank = parent;
      }
      return rank;
    };
    for (int64_t taker = 0; taker < std::ssize(parents); ++taker) {
      for (const Move& move : MovesTo(taker)) {
        parents[static_cast<size_t>(root(move.giver))] = root(taker);
      }
    }
    std::vector<int64_t> group;
    for (int64_t rank = 0; rank < std::ssize(parents); ++rank) {
      if (root(rank) == root(local_rank)) group.push_back(rank);
    }
    return group;
  }

  const RedistributionRequest& request_;
  Partition from_;
  Partition to_;
  int64_t term_count_ = 1;
  bool adds_on_the_way_ = false;
};

// ------------------------------------------------------------------------------------ execution

std::string_view Text(const std::byte* bytes, int64_t size_bytes) {
  return {reinterpret_cast<const char*>(bytes), static_cast<size_t>(size_bytes)};
}
const std::byte* BytesOf(std::string_view text) {
  return reinterpret_cast<const std::byte*>(text.data());
}

// What a rank gives, as bytes in its shard where they lie together, else packed.
struct Packed {
  std::unique_ptr<std::byte[]> memory;
  std::vector<std::string_view> give;
};

bool IsContiguous(const Box& container, const Box& box) {
  return RunElements(container, box) == box.volume();
}

Packed Pack(const RedistributionPlan& plan, const std::byte* from) {
  const auto needs_packing = [&](const std::optional<Box>& box) {
    return box && !IsContiguous(plan.from_box, *box);
  };
  int64_t packed_bytes = 0;
  for (const std::optional<Box>& box : plan.give) {
    if (needs_packing(box)) packed_bytes += box->volume() * plan.element_size_bytes;
  }
  Packed packed;
  packed.memory = std::make_unique_for_overwrite<std::byte[]>(static_cast<size_t>(packed_bytes));
  std::byte* next = packed.memory.get();
  for (const std::optional<Box>& box : plan.give) {
    const int64_t size_bytes = box ? box->volume() * plan.element_size_bytes : 0;
    if (!box) {
      packed.give.emplace_back();
    } else if (needs_packing(box)) {
      CopyBox(from, plan.from_box, next, *box, *box, plan.element_size_bytes);
      packed.give.push_back(Text(next, size_bytes));
      next += size_bytes;
    } else {
      const int64_t begin = OffsetIn(plan.from_box, box->begin) * plan.element_size_bytes;
      packed.give.push_back(Text(from + begin, size_bytes));
    }
  }
  return packed;
}

// Adds the floats of `box`, which `bytes` holds densely, to those in `target`.
void AddBox(std::string_view bytes, const Box& box, std::byte* target, const Box& target_box) {
  const int64_t run = RunElements(target_box, box);
  const auto run_bytes = static_cast<size_t>(run) * sizeof(float);
  auto* sums = reinterpret_cast<float*>(target);
  ForEachRun(target_box, box, [&](int64_t begin) {
    AddFloats(bytes.substr(0, run_bytes), {sums + begin, static_cast<size_t>(run)});
    bytes.remove_prefix(run_bytes);
  });
}

// `source` holds source_box, which contains the box that is taken.
void Place(const RedistributionPlan& plan, const RedistributionPlan::Taken& taken,
           const std::byte* source, const Box& source_box, std::byte* to) {
  if (!taken.adds) {
    CopyBox(source, source_box, to, plan.to_box, taken.box, plan.element_size_bytes);
  } else if (IsContiguous(source_box, taken.box)) {
    const int64_t begin = OffsetIn(source_box, taken.box.begin) * plan.element_size_bytes;
    AddBox(Text(source + begin, taken.box.volume() * plan.element_size_bytes), taken.box, to,
           plan.to_box);
  } else {
    const int64_t size_bytes = taken.box.volume() * plan.element_size_bytes;
    const auto dense = std::make_unique_for_overwrite<std::byte[]>(static_cast<size_t>(size_bytes));
    CopyBox(source, source_box, dense.get(), taken.box, taken.box, plan.element_size_bytes);
    AddBox(Text(dense.get(), size_bytes), taken.box, to, plan.to_box);
  }
}

int64_t TakenBytes(const RedistributionPlan& plan, size_t member) {
  const auto& taken = plan.take[member];
  return taken ? taken->box.volume() * plan.element_size_bytes : 0;
}

Status PlansDiffer(const Comm& comm, const RedistributionPlan& plan, size_t member,
                   int64_t size_bytes) {
  const auto& taken = plan.take[member];
  return InvalidInput(
      Format("rank {} gave {} bytes where rank {} expects {} ({}); all ranks must plan the same "
             "redistribution",
             plan.group[member], size_bytes, comm.rank(), TakenBytes(plan, member),
             taken ? ToText(taken->box) : "nothing"));
}

Status MoveBoxes(Comm& comm, const RedistributionPlan& plan, const std::byte* from, std::byte* to) {
  const auto place_own = [&] {
    const auto& own = plan.take[plan.member];
    if (own) Place(plan, *own, from, plan.from_box, to);
  };
  if (plan.group.size() == 1) {
    place_own();
    return OkStatus();
  }
  const Packed packed = Pack(plan, from);
  Status outcome;
  RELAYOUT_RETURN_IF_ERROR(
      comm.Exchange(plan.group, packed.give, [&](size_t member, std::string_view bytes) {
        if (member == plan.member) return place_own();
        if (std::ssize(bytes) != TakenBytes(plan, member)) {
          if (outcome.ok()) outcome = PlansDiffer(comm, plan, member, std::ssize(bytes));
        } else if (const auto& taken = plan.take[member]) {
          Place(plan, *taken, BytesOf(bytes), taken->box, to);
        }
      }));
  return outcome;
}

}  // namespace

bool RedistributionPlan::is_identity() const {
  return reduce_group.empty() && group.size() == 1 && from_box == to_box;
}

int64_t RedistributionPlan::given_bytes() const {
  int64_t elements = 0;
  for (const auto& box : give) elements += box ? box->volume() : 0;
  return elements * element_size_bytes;
}

int64_t RedistributionPlan::taken_bytes() const {
  int64_t bytes = 0;
  for (size_t i = 0; i < take.size(); ++i) bytes += i == member ? 0 : TakenBytes(*this, i);
  return bytes;
}

RedistributionRequest Backward(const RedistributionRequest& forward,
                               const std::vector<int>& partial_axes) {
  RedistributionRequest backward = forward;
  backward.from = forward.to;
  backward.to = forward.from;
  backward.sum_axes = partial_axes;
  return backward;
}

Result<RedistributionPlan> PlanRedistribution(const RedistributionRequest& request,
                                              int64_t local_rank) {
  RELAYOUT_ASSIGN_OR_RETURN(const Planner planner, Planner::Create(request));
  RELAYOUT_CHECK(local_rank >= 0 && local_rank < request.from.device_count());
  return planner.PlanOf(local_rank);
}

Status Redistribute(Comm& comm, const RedistributionPlan& plan, std::span<const std::byte> from,
                    std::span<std::byte> to) {
  RELAYOUT_CHECK(std::ssize(from) == plan.from_bytes() && std::ssize(to) == plan.to_bytes());
  RELAYOUT_CHECK(plan.group[plan.member] == comm.rank());
  if (plan.reduce_group.empty()) return MoveBoxes(comm, plan, from.data(), to.data());
  if (plan.group.size() == 1 && plan.from_box == plan.to_box) {
    if (!from.empty()) std::memcpy(to.data(), from.data(), from.size());
    return AllReduceSum(comm, plan.reduce_group,
                        {reinterpret_cast<float*>(to.data()), to.size() / sizeof(float)});
  }
  const auto sums = std::make_unique_for_overwrite<float[]>(from.size() / sizeof(float));
  std::memcpy(sums.get(), from.data(), from.size());
  RELAYOUT_RETURN_IF_ERROR(
      AllReduceSum(comm, plan.reduce_group, {sums.get(), from.size() / sizeof(float)}));
  return MoveBoxes(comm, plan, reinterpret_cast<const std::byte*>(sums.get()), to.data());
}

}  // namespace relayout
