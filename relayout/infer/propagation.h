// SPDX-License-Identifier: Apache-2.0
//
// Propagation: cuts for every operator from a few annotated ones, as MindSpore's auto parallel does
// it with search_mode="sharding_propagation".
//
//   MatMul ((2,1),(1,2))  ->  Add ((2,2),(2))  ->  ReLU ((2,2),)  ->  MatMul ((2,2),(2,2))  ...
//
// # The rule
//
// Operators are visited breadth first from each annotated one, beginning with the annotated one
// nearest to the network's result. (The operators are numbered by a walk from the result against
// the data's flow, last inputs first; wherever an order is needed it is that of the numbers.) A
// visited operator makes its neighbours choose, users first:
//
// * An operator with one input, or a maker of an input, takes of all its cuts those that are
//   cheapest beside the visited neighbour by MindSpore's cost model (mindspore_cost.h): least
//   communication on the edge, then least computation on it, then least communication of its own,
//   then the most pieces, then the largest numbers.
// * A user with several inputs waits until all of them come from visited operators, or until
//   nothing else is left to visit; then the waiting one with the lowest number takes what is
//   cheapest over its visited inputs: communication, computation, its own computation, its own
//   communication, its first cuts. If that one has been visited meanwhile, the walk ends here; nor
//   does one go on that lies before (nearer to the inputs than) an annotated one still to come.
// * An operator with one input may also take its neighbour's mesh as it is, where its own would
//   order the devices differently; so may one with several when all its inputs have one mesh.
// * A Reshape joins the layouts on its two sides: of the pairs that fit the visited side the one
//   without communication and with the least computation, else with the least communication.
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

// Fails, naming the operator, when a type has no rule, an annotation does not fit, or users of one
// parameter cannot agree.
Result<Assignment> Propagate(const Graph& graph, int64_t device_count, bool full_batch);

}  // namespace relayout
