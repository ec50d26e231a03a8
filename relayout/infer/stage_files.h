// SPDX-License-Identifier: Apache-2.0
//
// The strategy files of a network that is laid out: one a stage, with what MindSpore puts into it.
//
// * A layout for each trained parameter of the stage and for each state that the optimizer keeps
//   of it.
// * An entry for each operator that has a trained parameter, "MatMul_layer1.weight", with the cuts
//   of its inputs. Operators of one type on one parameter share an entry; the last one stands.
// * In training, an entry "Receive_layer2.weight" for each tensor that another stage sends, with
//   the cuts of the operator that sends it. It is called after the first trained parameter on the
//   tensor's way.
// * In training a parameter that several stages use belongs to the first of them. The others have
//   an entry "Receive_table" for their operator on it, which the first has as "Send_table". For
//   inference each stage has the parameter for itself.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "relayout/format/strategy_file.h"
#include "relayout/graph/graph.h"
#include "relayout/infer/operator_axes.h"
#include "relayout/infer/parameter_layouts.h"

namespace relayout {

struct LaidNetwork {
  const Graph& graph;
  int64_t stage_count = 1;
  bool training = true;
  // By OperatorId.
  const std::vector<OperatorLayout>& layouts;
  const std::vector<int64_t>& stage_of;
  // With the optimizer's split; see LayOutParameters.
  const std::vector<LaidParameter>& parameters;
  // What stands before a parameter's name in the names of its states.
  const std::vector<std::string_view>& state_prefixes;
};

std::vector<StrategyFile> MakeStageFiles(const LaidNetwork& network);

}  // namespace relayout
