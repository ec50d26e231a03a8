// SPDX-License-Identifier: Apache-2.0
//
// Redistribution: a tensor in the memories of the ranks of a stage goes from one layout to another.
// The boxes are those of the planner that moves shards between files (plan/transfer.h); here they
// travel through a Comm. A plan is made once for a pair of layouts, and used at every step:
//
//   RELAYOUT_ASSIGN_OR_RETURN(const RedistributionPlan plan, PlanRedistribution(request, rank));
//   RELAYOUT_RETURN_IF_ERROR(Redistribute(comm, plan, shard_under_from, shard_under_to));
//
// # Example
//
// f32[4,4] on four ranks, mesh {a:2,b:2}, rank r = (a,b) = (r / 2, r % 2). Under (a,-) each rank
// holds two rows, 32 bytes; ranks 0 and 1 hold the same ones. Rank 0 does the following:
//
//   to        rank 0 wants   it has     it gets               as others call it
//   (a,-)     [0:2,0:4]      all        nothing               nothing (one copy)
//   (a,b)     [0:2,0:2]      all        nothing               slice
//   (-,-)     [0:4,0:4]      [0:2,0:4]  32 bytes from rank 2  all-gather in {0,2} and in {1,3}
//   (-,b)     [0:4,0:2]      [0:2,0:2]  16 bytes from rank 2  all-to-all in {0,2} and in {1,3}
//
// Which of these it is falls out of the boxes; nothing asks. Of several ranks that hold what a rank
// wants, it takes from itself, or from the one that has the same place among the holders as it has
// among its own, so that each holder serves equally many and groups stay small: in the table rank
// 0 = (0,0) takes from rank 2 = (1,0), and rank 1 = (0,1) from rank 3 = (1,1). With ranks_per_node
// a holder of its own node goes before one of another. `group` is the smallest set of ranks that
// exchange with each other; groups work at the same time.
//
// # Sums
//
// A product over a dimension that a mesh axis cuts leaves on each rank a term: `from` says where
// the term lies, and sum_axes along which axes the terms are to be added up. From (a,-) as a sum
// over b, where the ranks of each row pair hold terms of 32 bytes:
//
//   to (a,-)    ranks {0,1} and {2,3} add up; each gets the sum        all-reduce
//   to (a*b,-)  rank 0 keeps row 0 and gets 16 bytes of it from rank 1  reduce-scatter
//
// Terms are added in ascending ranks, so that the sum is the same to the last bit on all ranks that
// want it, on each transport, and whichever way it is made.
//
// # Gradients
//
// Think of the logical tensor x, and of the gradient g of the loss with respect to it, which has a
// layout as x has. g is *replicated* where each holder of a piece of x holds that piece of g; it is
// *partial* along some axes where each holder holds a term of it: what its own use of x contributed
// (each replica used x for its part of the batch). Partial or not is known from the operator that
// used x, not from the layout. A redistribution leaves x as it is, hence g too; and a sum of terms
// hands its gradient to each term. So backwards goes
//
//   forward                           gradient of the result   backward
//   R(from -> to)                     replicated               R(to -> from)
//   R(from -> to)                     partial along axes P     R(to -> from), summed over P
//   R(from -> to), summed over S      replicated               R(to -> from): the same to each term
//   R(from -> to), summed over S      partial along axes P     R(to -> from), summed over P
//
// as Backward() says it. For instance a weight f32[4,4] @ (a,-) on mesh {a:2} that each rank
// gathers (all-gather to (-,-)) and uses for its half of the batch: the gradient is partial along
// a, and going back is the reduce-scatter. Had both ranks used it for the same batch, the gradient
// would be replicated, and going back the slice. Means over replicas are the caller's to divide.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "relayout/base/dims.h"
#include "relayout/base/status.h"
#include "relayout/comm/comm.h"
#include "relayout/layout/layout.h"

namespace relayout {

struct RedistributionRequest {
  Dims shape;  // Of the whole tensor.
  int64_t element_size_bytes = 4;
  // On the same devices: local rank r is rank first_rank + r of the Comm.
  Layout from;
  Layout to;
  int64_t first_rank = 0;
  // Axes of from's mesh along which its shards are terms of a sum; they cut no dimension of it.
  // Sums are of float32.
  std::vector<int> sum_axes = {};
  // Consecutive ranks of the Comm on one machine; 0: all of them.
  int64_t ranks_per_node = 0;
};

// What takes the gradient of the result of `forward` back to that of its input. `partial_axes` are
// those of forward.to's mesh along which the gradient is partial.
RedistributionRequest Backward(const RedistributionRequest& forward,
                               const std::vector<int>& partial_axes = {});

// One rank's part. Boxes are in the tensor's coordinates; shards are dense in C order.
struct RedistributionPlan {
  struct Taken {
    Box box;
    bool adds = false;  // A further term of what came from an earlier member.
  };

  int64_t element_size_bytes = 4;
  Box from_box;  // This rank's shards.
  Box to_box;
  // Shards under `from` are first replaced by their sum over these ranks; empty: they are not.
  std::vector<int> reduce_group;
  // Ranks of the Comm that exchange with each other; [member] is this one.
  std::vector<int> group;
  size_t member = 0;
  // What each member of the group gets of this rank's shard, and what it has for this rank, which
  // may take from itself but gives itself nothing.
  std::vector<std::optional<Box>> give;
  std::vector<std::optional<Taken>> take;

  int64_t from_bytes() const { return from_box.volume() * element_size_bytes; }
  int64_t to_bytes() const { return to_box.volume() * element_size_bytes; }
  // Both shards are the same bytes: whoever reads only may go on with the old one.
  bool is_identity() const;
  // What goes to, and comes from, other ranks in the exchange; a reduce_group's sum not counted.
  int64_t given_bytes() const;
  int64_t taken_bytes() const;
};

// Pure. Fails when a layout does not fit the shape, the layouts are of different numbers of
// devices, or sum_axes are no axes or cut something; the message names both layouts' sides.
// @pre 0 <= local_rank < from.device_count()
Result<RedistributionPlan> PlanRedistribution(const RedistributionRequest& request,
                                              int64_t local_rank);

// Collective among the ranks of the stage, each with its plan of the same request. Fills `to`; a
// plan that sums wants it aligned for floats. Fails as Comm::Exchange does, and with kInvalidInput
// where another rank's plan does not fit this one's. @pre `from` and `to` are shards of the plan's
// sizes that do not overlap
Status Redistribute(Comm& comm, const RedistributionPlan& plan, std::span<const std::byte> from,
                    std::span<std::byte> to);

}  // namespace relayout
