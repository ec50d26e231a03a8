// SPDX-License-Identifier: Apache-2.0
//
// Propagation: cuts for every operator from a few annotated ones, as MindSpore's auto parallel does
// it with search_mode="sharding_propagation".
//
//   MatMul ((2,1),(1,2))  ->  Add ((2,2),(2))  ->  ReLU ((2,2),)  ->  MatMul ((2,2),(2,2))  ...
//
// # The rule
//
// Operators have numbers. In training they are those of the network's order: an operator comes
// after those that make its inputs, the makers of its first inputs first. For inference they run
// against it: an operator comes before those that make its inputs, the makers of its last inputs
// first, as on a walk from the result.
//
// Operators are visited breadth first from each annotated one, in the order of their numbers. A
// visited operator makes its neighbours choose, users first (ascending):
//
// * An operator with one input, or a maker of an input, takes of all its cuts those that are
//   cheapest beside the visited neighbour by MindSpore's cost model (mindspore_cost.h): least
//   communication on the edge, then least computation on it, then least communication of its own,
//   then the most pieces, then the largest numbers.
// * A user with several inputs waits until all of them come from visited operators, or until
//   nothing else is left to visit; then the waiting one with the lowest number takes what is
//   cheapest over its visited inputs: communication, computation, its own computation, its own
//   communication, its first cuts. If that one has been visited meanwhile, or comes after an
//   annotated one that is still to begin, this walk ends.
// * An operator with one input may also take its neighbour's mesh as it is, where its own would
//   order the devices differently; so may one with several when all its inputs have one mesh.
// * A Reshape joins the layouts on its two sides: of the pairs that fit the visited side the one
//   without communication and with the least computation, else with the least communication.
// * A redistribution costs what the first one between the same two layouts cost, whatever the
//   shapes (MindSpore's cache, which has been seen to decide).
// * The data set counts as annotated, last of all: its first dim is cut by all devices, or by none
//   with full_batch.
// * What no walk reaches is not cut at all.
//
// A parameter with several users stands between them as an operator of its own that may not be
// redistributed.
//
// Source of the rule: MindSpore's compiler, by its own log; docs/strategy.md tells how it was
// checked.
#pragma once

#include <cstdint>

#include "relayout/base/status.h"
#include "relayout/graph/graph.h"
#include "relayout/infer/assignment.h"

namespace relayout {

struct PropagationOptions {
  bool training = true;
  // The data set gives every device the whole batch.
  bool full_batch = false;
};

// Fails, naming the operator, when a type has no rule, an annotation does not fit, or users of one
// parameter cannot agree.
Result<Assignment> Propagate(const Graph& graph, int64_t device_count,
                             const PropagationOptions& options);

}  // namespace relayout
