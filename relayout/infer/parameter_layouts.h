// SPDX-License-Identifier: Apache-2.0
//
// Where parameters lie: as the operators that use them need them.
//
//   w -> MatMul ((2,1),(1,2)) on 8 devices     w  {a:2,b:2,c:2} (-,b)
//
// Rules of MindSpore's compiler:
// * A parameter lies as its first user in the order of the network has that input. All users must
//   need the same shards, however their meshes are written; two that differ are an error, not a
//   redistribution.
// * A Cast is looked through, whatever it is annotated with: the parameter lies as the user behind
//   it. A Cast is no user that must agree.
// * Any other operator, a Transpose or a Reshape too, is a user like a MatMul.
// * A parameter that no operator uses is in no strategy.
#pragma once

#include <vector>

#include "relayout/base/status.h"
#include "relayout/graph/graph.h"
#include "relayout/infer/operator_axes.h"
#include "relayout/layout/layout.h"

namespace relayout {

struct LaidParameter {
  ValueId parameter = kNoId;
  // The operator that decides, and which of its inputs this is.
  Graph::Use user;
  Layout layout;
};

// The parameters that operators use, in the order of the network's parameters. `layouts` is by
// OperatorId, and so is `group_of`: only users of one group must agree, and a parameter with users
// in several groups comes once for each, in the order of their first users. (Stages of a network
// for inference are such groups: each keeps the parameter as it needs it.)
// Fails when two users of a group need different shards; the message names the parameter, both
// operators and both layouts.
Result<std::vector<LaidParameter>> LayOutParameters(const Graph& graph,
                                                    const std::vector<OperatorLayout>& layouts,
                                                    const std::vector<int64_t>& group_of);

}  // namespace relayout
