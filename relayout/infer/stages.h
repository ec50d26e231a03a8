// SPDX-License-Identifier: Apache-2.0
//
// Pipeline stages: which operator belongs to which. A network's file does not say; the user does,
// by prefixes of cells or parameters:
//
//   layer1=0, layer2=1     Default/layer1-Dense/MatMul-op0 -> 0
//                          Default/layer2-Dense/MatMul-op0 -> 1    (uses layer2.weight)
//                          Default/ReLU-op0                -> the latest stage that feeds it
//
// A prefix names a cell and all below it: "layers.1" is not a prefix of "layers.10".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/graph/graph.h"

namespace relayout {

// Whether `prefix` names `name` (of a cell or a parameter) or a cell that it is in.
bool IsUnder(std::string_view name, std::string_view prefix);

struct StageRule {
  std::string prefix;
  int64_t stage = 0;
};

// "layer1=0" as a rule. Fails on anything else.
Result<StageRule> ParseStageRule(std::string_view text);

// The cell that an operator's name says it stands in, as parameters' names have it:
// "Default/backbone-Net/layers-CellList/0-Block/MatMul-op0" -> "backbone.layers.0".
std::string CellOf(const Operator& op);

// The stage of each operator, by OperatorId. The longest prefix of an operator's cell decides, else
// that of a parameter that it uses, else the latest stage of what it reads. An operator without
// parameters that its cell puts before what it reads is in the latter's stage, unless a prefix
// names that very cell: MindSpore calls the activations of equal layers all after the first
// layer's. Fails when a prefix names nothing, a stage does not exist or has no operator, or a stage
// would need a result of a later one; the message names the prefix or both operators.
Result<std::vector<int64_t>> AssignStages(const Graph& graph, const std::vector<StageRule>& rules,
                                          int64_t stage_count);

}  // namespace relayout
