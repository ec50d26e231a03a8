// SPDX-License-Identifier: Apache-2.0
//
//   SoftmaxCrossEntropyWithLogits        x[n,c] t[n,c] -> loss[n] gradient[n,c]    mesh n; c whole
//   SparseSoftmaxCrossEntropyWithLogits  x[n,c] t[n]   -> loss[]                   n: all or
//   nothing KLDivLoss                            x[a,b] t[a,b] -> loss[a,b] or []          mesh a b
//   L2Loss                               x[a,b]        -> loss[]                   mesh a b
//
// Other losses: batch_parallel.cc. nn.CrossEntropyLoss is made of smaller operators.
#include "relayout/base/text.h"
#include "relayout/infer/rules/default_cuts.h"
#include "relayout/infer/rules/dims.h"
#include "relayout/infer/rules/families.h"

namespace relayout {
namespace {

Result<OperatorAxes> CrossEntropyAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 2));
  const Dims& logits = InputShape(graph, op, 0);
  const Dims& labels = InputShape(graph, op, 1);
  const bool fits = logits.size() == 2 && !labels.empty() && labels[0] == logits[0];
  if (!fits) {
    return InvalidInput(Format("{}: compares logits of {} with labels of {}", Describe(op),
                               ToText(logits), ToText(labels)));
  }
  OperatorAxes axes;
  const int batch = AddAxis(axes, logits[0]);
  const auto along_batch = [batch, length = logits[0]](const Dims& shape) {
    std::vector<int> dims = AllWhole(shape);
    if (!dims.empty() && shape[0] == length) dims[0] = batch;
    return dims;
  };
  axes.inputs = {along_batch(logits), along_batch(labels)};
  for (size_t i = 2; i < op.inputs.size(); ++i) {
    axes.inputs.push_back(AllWhole(InputShape(graph, op, i)));  // Weights of the classes.
  }
  for (const ValueId output : op.outputs) {
    axes.outputs.push_back(along_batch(graph.value(output).shape));
  }
  return axes;
}

Cuts CutFirstTwoBatches(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                        int64_t device_count) {
  (void)axes;
  std::vector<bool> marked(op.inputs.size(), false);
  marked[0] = true;
  marked[1] = true;
  return CutBatches(graph, op, marked, device_count);
}

Status CheckDataParallel(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                         const AxisCuts& axis_cuts, int64_t device_count) {
  (void)axes;
  if (axis_cuts.empty() || axis_cuts[0] == 1 || axis_cuts[0] == device_count) return OkStatus();
  return InvalidInput(
      Format("{}: MindSpore cuts dim 0 = {} of input 0 ({}) by all {} of a stage or not at all, "
             "not into {} pieces",
             Describe(op), InputShape(graph, op, 0)[0], Describe(graph, op.inputs[0]),
             Count(device_count, "device"), axis_cuts[0]));
}

// All inputs have one shape; the result has it too, or is a number.
Result<OperatorAxes> ElementLossAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 1));
  OperatorAxes axes;
  const Dims& shape = InputShape(graph, op, 0);
  const std::vector<int> dims = AddAxes(axes, shape);
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    axes.inputs.push_back(Follow(dims, shape, InputShape(graph, op, i)));
  }
  for (const ValueId output : op.outputs) {
    axes.outputs.push_back(Follow(dims, shape, graph.value(output).shape));
  }
  return axes;
}

}  // namespace

std::vector<OperatorRule> LossRules() {
  return {
      {.type = "CrossEntropyLoss", .axes = CrossEntropyAxes, .default_cuts = CutFirstTwoBatches},
      {.type = "KLDivLoss", .axes = ElementLossAxes, .default_cuts = CutEveryBatch},
      {.type = "L2Loss", .axes = ElementLossAxes},
      {.type = "SoftmaxCrossEntropyWithLogits",
       .axes = CrossEntropyAxes,
       .default_cuts = CutEveryBatch},
      {.type = "SparseSoftmaxCrossEntropyWithLogits",
       .axes = CrossEntropyAxes,
       .default_cuts = CutEveryBatch,
       .check = CheckDataParallel}};
}

}  // namespace relayout
