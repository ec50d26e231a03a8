// SPDX-License-Identifier: Apache-2.0
//
// Types that MindSpore has no rule for. All devices cut dim 0 of the first input and of the results
// if they divide it in the first input and the first result; the other inputs are whole. Otherwise
// every device does everything. Annotations are not read.
//
//   Flatten  x[32,16,4] -> y[32,64]            8 devices    ((8,1,1))
//   Flatten  x[12,16,4] -> y[12,64]                         ((1,1,1))
//   Dense    x[32,16] w[8,16] b[8] -> y[32,8]               ((8,1),(1,1),(1))
//   NLLLoss  x[32,16] t[32] w[16] -> y[]                    ((1,1),(1),(1))     y has no batch
#include <algorithm>
#include <numeric>

#include "relayout/base/text.h"
#include "relayout/infer/rules/default_cuts.h"
#include "relayout/infer/rules/dims.h"
#include "relayout/infer/rules/families.h"

namespace relayout {
namespace {

// What the first input's and the first result's batch have in common; 1 where one has none.
int64_t CommonBatch(const Graph& graph, const Operator& op) {
  if (op.inputs.empty()) return 1;
  const Dims& input = InputShape(graph, op, 0);
  const Dims& output = OutputShape(graph, op, 0);
  return input.empty() || output.empty() ? 1 : std::gcd(input[0], output[0]);
}

Result<OperatorAxes> BatchAxes(const Graph& graph, const Operator& op) {
  if (op.outputs.empty()) return InvalidInput(Format("{}: gives nothing", Describe(op)));
  OperatorAxes axes;
  for (const ValueId input : op.inputs) axes.inputs.push_back(AllWhole(graph.value(input).shape));
  for (const ValueId output : op.outputs) {
    axes.outputs.push_back(AllWhole(graph.value(output).shape));
  }
  const int64_t length = CommonBatch(graph, op);
  const int batch = AddAxis(axes, length);
  if (batch == OperatorAxes::kWhole) return axes;
  axes.inputs[0][0] = batch;
  for (size_t i = 0; i < op.outputs.size(); ++i) {
    const Dims& shape = OutputShape(graph, op, i);
    if (!shape.empty() && shape[0] % length == 0) axes.outputs[i][0] = batch;
  }
  return axes;
}

Cuts AllOrNothing(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                  int64_t device_count) {
  (void)axes;
  Cuts cuts = WholeCuts(graph, op);
  const bool divides = device_count > 1 && CommonBatch(graph, op) % device_count == 0;
  if (divides) cuts[0][0] = device_count;
  return cuts;
}

Status CheckAllOrNothing(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                         const AxisCuts& axis_cuts, int64_t device_count) {
  (void)graph;
  (void)axes;
  if (axis_cuts.empty() || axis_cuts[0] == 1 || axis_cuts[0] == device_count) return OkStatus();
  return InvalidInput(
      Format("{}: MindSpore cuts its batch by all {} of a stage or not at all, not "
             "into {} pieces",
             Describe(op), Count(device_count, "device"), axis_cuts[0]));
}

constexpr std::string_view kTypes[] = {"AdaptiveAvgPool2D",
                                       "AdaptiveAvgPool2DExt",
                                       "AddScalar",
                                       "Addbmm",
                                       "Addmm",
                                       "Addmv",
                                       "ArgMaxExt",
                                       "ArgMinExt",
                                       "AvgPool2D",
                                       "BCEWithLogitsLoss",
                                       "BatchNormExt",
                                       "BinaryCrossEntropy",
                                       "BitwiseNot",
                                       "Conv1DExt",
                                       "Conv2DExt",
                                       "Conv3DExt",
                                       "Copy",
                                       "Dense",
                                       "Divs",
                                       "EqScalar",
                                       "Exp2",
                                       "Flatten",
                                       "FlattenExt",
                                       "FloorDivScalar",
                                       "GeluExt",
                                       "HSwish",
                                       "InstanceNorm",
                                       "IsInf",
                                       "IsNan",
                                       "L1LossExt",
                                       "LayerNormExt",
                                       "LessScalar",
                                       "Log10",
                                       "Log2",
                                       "LogSigmoid",
                                       "LogSoftmaxExt",
                                       "LogSumExp",
                                       "LogicalXor",
                                       "LpNorm",
                                       "MSELossExt",
                                       "MaskedFillScalar",
                                       "MinDim",
                                       "MishExt",
                                       "Mm",
                                       "NLLLoss",
                                       "Narrow",
                                       "Norm",
                                       "Pad",
                                       "PowScalarTensor",
                                       "PowTensorScalar",
                                       "ProdExt",
                                       "Roll",
                                       "SeLUExt",
                                       "SelectV2",
                                       "SmoothL1Loss",
                                       "Std",
                                       "SubScalar",
                                       "Unstack",
                                       "UpsampleNearest2D"};

}  // namespace

std::vector<OperatorRule> BatchParallelRules() {
  std::vector<OperatorRule> rules;
  for (const std::string_view type : kTypes) {
    rules.push_back({.type = type,
                     .axes = BatchAxes,
                     .default_cuts = AllOrNothing,
                     .ignores_annotation = true,
                     .check = CheckAllOrNothing});
  }
  return rules;
}

}  // namespace relayout
