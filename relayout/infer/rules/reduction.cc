// SPDX-License-Identifier: Apache-2.0
//
//   ReduceSum  x[a,b] axis 1             -> y[a]        mesh a b; b is contracted
//   ReduceSum  x[a,b] axis 1, keep_dims  -> y[a,1]
//   Argmax     x[a,b] axis 1             -> y[a]
//
// Without an axis all dims are reduced.
#include "relayout/base/text.h"
#include "relayout/infer/rules/default_cuts.h"
#include "relayout/infer/rules/dims.h"
#include "relayout/infer/rules/families.h"

namespace relayout {
namespace {

// The axes of what is left of `dims` in a result of `shape`: the dims that are reduced are gone, or
// of length 1.
Result<std::vector<int>> Remaining(const Operator& op, const std::vector<int>& dims, const Dims& x,
                                   const std::vector<bool>& reduced, const Dims& shape) {
  const bool keeps = shape.size() == x.size();
  std::vector<int> remaining;
  Dims expected;
  for (size_t d = 0; d < dims.size(); ++d) {
    if (reduced[d] && !keeps) continue;
    remaining.push_back(reduced[d] ? OperatorAxes::kWhole : dims[d]);
    expected.push_back(reduced[d] ? 1 : x[d]);
  }
  if (expected == shape) return remaining;
  return InvalidInput(Format("{}: reduces {} to {}, where its axes mean {}", Describe(op),
                             ToText(x), ToText(shape), ToText(expected)));
}

Result<OperatorAxes> ReducedAxes(const Graph& graph, const Operator& op,
                                 const std::vector<bool>& reduced) {
  OperatorAxes axes;
  const Dims& x = InputShape(graph, op, 0);
  axes.inputs.push_back(AddAxes(axes, x));
  for (size_t i = 1; i < op.inputs.size(); ++i) {
    axes.inputs.push_back(AllWhole(InputShape(graph, op, i)));
  }
  for (const ValueId output : op.outputs) {
    RELAYOUT_ASSIGN_OR_RETURN(std::vector<int> dims,
                              Remaining(op, axes.inputs[0], x, reduced, graph.value(output).shape));
    axes.outputs.push_back(std::move(dims));
  }
  return axes;
}

Result<OperatorAxes> ReduceAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 1));
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<bool> reduced,
                            AxesAttribute(op, {"axis", "dim"}, InputShape(graph, op, 0).size()));
  return ReducedAxes(graph, op, reduced);
}

// One axis, `otherwise` when it is not said.
Result<OperatorAxes> OneAxis(const Graph& graph, const Operator& op, int64_t otherwise) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 1));
  const size_t dim_count = InputShape(graph, op, 0).size();
  RELAYOUT_ASSIGN_OR_RETURN(const size_t axis,
                            AxisAttribute(op, {"axis", "dim"}, otherwise, dim_count));
  std::vector<bool> reduced(dim_count, false);
  reduced[axis] = true;
  return ReducedAxes(graph, op, reduced);
}

Result<OperatorAxes> ArgmaxAxes(const Graph& graph, const Operator& op) {
  return OneAxis(graph, op, -1);
}

Result<OperatorAxes> ArgMaxWithValueAxes(const Graph& graph, const Operator& op) {
  return OneAxis(graph, op, 0);
}

// MindSpore cuts the batch only when it is not what is searched through.
Cuts CutBatchUnlessReduced(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                           int64_t device_count) {
  const int batch = axes.inputs[0].empty() ? OperatorAxes::kWhole : axes.inputs[0][0];
  if (batch == OperatorAxes::kWhole || axes.IsContracted(batch)) return WholeCuts(graph, op);
  return CutFirstBatch(graph, op, axes, device_count);
}

}  // namespace

std::vector<OperatorRule> ReductionRules() {
  std::vector<OperatorRule> rules;
  for (const std::string_view type :
       {"Max", "MeanExt", "Min", "ReduceAll", "ReduceAny", "ReduceMax", "ReduceMean", "ReduceMin",
        "ReduceProd", "ReduceSum", "SumExt"}) {
    rules.push_back({.type = type, .axes = ReduceAxes});
  }
  for (const std::string_view type : {"ArgMaxWithValue", "ArgMinWithValue"}) {
    rules.push_back({.type = type, .axes = ArgMaxWithValueAxes});
  }
  for (const std::string_view type : {"Argmax", "Argmin"}) {
    rules.push_back({.type = type, .axes = ArgmaxAxes, .default_cuts = CutBatchUnlessReduced});
  }
  return rules;
}

}  // namespace relayout
