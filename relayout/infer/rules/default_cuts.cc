// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/rules/default_cuts.h"

#include <numeric>

namespace relayout {
namespace {

bool FirstDimIsWhole(const OperatorAxes& axes) {
  return axes.inputs[0].empty() || axes.inputs[0][0] == OperatorAxes::kWhole;
}

}  // namespace

Cuts WholeCuts(const Graph& graph, const Operator& op) {
  Cuts cuts;
  for (const ValueId input : op.inputs) cuts.emplace_back(graph.value(input).shape.size(), 1);
  return cuts;
}

Cuts CutBatches(const Graph& graph, const Operator& op, const std::vector<bool>& marked,
                int64_t device_count) {
  Cuts cuts = WholeCuts(graph, op);
  int64_t pieces = device_count;
  for (size_t i = 0; i < cuts.size(); ++i) {
    if (marked[i] && !cuts[i].empty()) {
      pieces = std::gcd(pieces, graph.value(op.inputs[i]).shape[0]);
    }
  }
  for (size_t i = 0; i < cuts.size(); ++i) {
    if (marked[i] && !cuts[i].empty()) cuts[i][0] = pieces;
  }
  return cuts;
}

Cuts CutNothing(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                int64_t device_count) {
  (void)axes;
  (void)device_count;
  return WholeCuts(graph, op);
}

Cuts CutFirstBatch(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                   int64_t device_count) {
  (void)axes;
  std::vector<bool> marked(op.inputs.size(), false);
  if (!marked.empty()) marked[0] = true;
  return CutBatches(graph, op, marked, device_count);
}

Cuts CutFirstBatchIfFree(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                         int64_t device_count) {
  return FirstDimIsWhole(axes) ? WholeCuts(graph, op)
                               : CutFirstBatch(graph, op, axes, device_count);
}

Cuts CutEveryBatch(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                   int64_t device_count) {
  (void)axes;
  return CutBatches(graph, op, std::vector<bool>(op.inputs.size(), true), device_count);
}

Cuts CutEveryBatchIfFree(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                         int64_t device_count) {
  return FirstDimIsWhole(axes) ? WholeCuts(graph, op)
                               : CutEveryBatch(graph, op, axes, device_count);
}

Cuts CutBroadcastBatch(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                       int64_t device_count) {
  (void)axes;
  const size_t dim_count = graph.value(op.outputs[0]).shape.size();
  std::vector<bool> marked;
  for (const ValueId input : op.inputs) {
    const Dims& shape = graph.value(input).shape;
    marked.push_back(shape.size() == dim_count && !shape.empty() && shape[0] != 1);
  }
  return CutBatches(graph, op, marked, device_count);
}

}  // namespace relayout
