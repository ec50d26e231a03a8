// SPDX-License-Identifier: Apache-2.0
//
// Operators that need some dims whole and work element by element along the others.
//
//   Softmax    x[a,b]                    -> y[a,b]         mesh a; b is whole (axis)
//   LayerNorm  x[a,b,c] g[c] h[c]        -> y mean variance     mesh a b; c is whole
//   RmsNorm    x[a,b,c] g[c]             -> y rstd         mesh a b c; c may be cut
//   BatchNorm  x[n,c,h,w] 4 vectors [c]  -> y, 4 vectors   mesh n c h w
//   GroupNorm  x[n,c,h,w] g[c] h[c]      -> y ..           mesh n
//   TopK       x[a,b]                    -> y[a,k] i[a,k]  mesh a
//   CumSum     x[a,b]                    -> y[a,b]         mesh a; b is whole (axis)
#include <algorithm>

#include "relayout/base/text.h"
#include "relayout/infer/rules/default_cuts.h"
#include "relayout/infer/rules/dims.h"
#include "relayout/infer/rules/families.h"

namespace relayout {
namespace {

// The axes of the first input, whole where marked; all results follow them, the other inputs too.
Result<OperatorAxes> AlongFirst(const Graph& graph, const Operator& op,
                                const std::vector<bool>& whole) {
  OperatorAxes axes;
  const Dims& x = InputShape(graph, op, 0);
  const std::vector<int> dims = AddAxes(axes, x, whole);
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    axes.inputs.push_back(Follow(dims, x, InputShape(graph, op, i)));
  }
  for (const ValueId output : op.outputs) {
    axes.outputs.push_back(Follow(dims, x, graph.value(output).shape));
  }
  return axes;
}

// The attribute `axis` (or `dim`) names what is whole; the last dim when there is none.
Result<OperatorAxes> WholeAxisAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 1));
  const size_t dim_count = InputShape(graph, op, 0).size();
  std::vector<bool> whole(dim_count, false);
  if (IntsAttribute(op, {"axis", "dim"})) {
    RELAYOUT_ASSIGN_OR_RETURN(whole, AxesAttribute(op, {"axis", "dim"}, dim_count));
  } else if (dim_count > 0) {
    whole.back() = true;
  }
  return AlongFirst(graph, op, whole);
}

// The last two dims are a matrix; MindSpore cuts its rows all the same, not its columns.
Result<OperatorAxes> TriangleAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 1));
  std::vector<bool> whole(InputShape(graph, op, 0).size(), false);
  if (!whole.empty()) whole.back() = true;
  return AlongFirst(graph, op, whole);
}

Result<OperatorAxes> LayerNormAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 3));
  const Dims& x = InputShape(graph, op, 0);
  RELAYOUT_ASSIGN_OR_RETURN(const size_t begin_norm,
                            AxisAttribute(op, {"begin_norm_axis"}, 1, x.size()));
  RELAYOUT_ASSIGN_OR_RETURN(const size_t begin_params,
                            AxisAttribute(op, {"begin_params_axis"}, 1, x.size()));
  for (size_t i = 1; i < 3; ++i) {
    const Dims& vector = InputShape(graph, op, i);
    const bool fits = vector.size() == x.size() - begin_params &&
                      std::equal(vector.begin(), vector.end(), x.begin() + begin_params);
    if (!fits) {
      return InvalidInput(Format("{}: input {} of {} is not what dims {} and on of {} need",
                                 Describe(op), i, ToText(vector), begin_params, ToText(x)));
    }
  }
  std::vector<bool> whole(x.size(), false);
  std::fill(whole.begin() + static_cast<int64_t>(begin_norm), whole.end(), true);
  RELAYOUT_ASSIGN_OR_RETURN(OperatorAxes axes, AlongFirst(graph, op, whole));
  // Mean and variance have x's dims, with 1 for those that are summed up; older versions have
  // fewer dims, which are x's first ones.
  for (size_t i = 1; i < op.outputs.size(); ++i) {
    const Dims& shape = OutputShape(graph, op, i);
    for (size_t d = 0; d < shape.size(); ++d) {
      axes.outputs[i][d] =
          d < begin_norm && shape[d] == x[d] ? axes.inputs[0][d] : OperatorAxes::kWhole;
    }
  }
  return axes;
}

Result<OperatorAxes> RmsNormAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 2));
  const Dims& x = InputShape(graph, op, 0);
  const Dims& gamma = InputShape(graph, op, 1);
  const bool fits =
      gamma.size() <= x.size() && std::equal(gamma.begin(), gamma.end(), x.end() - gamma.size());
  if (!fits) {
    return InvalidInput(Format("{}: gamma of {} is not what the last dims of {} need", Describe(op),
                               ToText(gamma), ToText(x)));
  }
  RELAYOUT_ASSIGN_OR_RETURN(OperatorAxes axes, AlongFirst(graph, op, {}));
  // The reciprocal deviation: x's dims, with 1 for those of gamma.
  for (size_t i = 1; i < op.outputs.size(); ++i) {
    const Dims& shape = OutputShape(graph, op, i);
    axes.outputs[i] = AllWhole(shape);
    for (size_t d = 0; d < std::min(shape.size(), x.size()); ++d) {
      if (shape[d] == x[d]) axes.outputs[i][d] = axes.inputs[0][d];
    }
  }
  return axes;
}

Status ExpectChannels(const Graph& graph, const Operator& op) {
  const Dims& x = InputShape(graph, op, 0);
  for (size_t i = 1; i < op.inputs.size(); ++i) {
    const Dims& vector = InputShape(graph, op, i);
    if (x.size() >= 2 && vector.size() == 1 && vector[0] == x[1]) continue;
    return InvalidInput(Format("{}: input {} of {} is not a vector along dim 1 of {}", Describe(op),
                               i, ToText(vector), ToText(x)));
  }
  return OkStatus();
}

Result<OperatorAxes> BatchNormAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 3));
  RELAYOUT_RETURN_IF_ERROR(ExpectChannels(graph, op));
  OperatorAxes axes;
  const Dims& x = InputShape(graph, op, 0);
  const std::vector<int> dims = AddAxes(axes, x);
  axes.inputs.assign(op.inputs.size(), {dims[1]});
  axes.inputs[0] = dims;
  for (const ValueId output : op.outputs) {
    const Dims& shape = graph.value(output).shape;
    const bool is_vector = shape.size() == 1 && shape[0] == x[1];
    axes.outputs.push_back(shape == x  ? dims
                           : is_vector ? std::vector<int>{dims[1]}
                                       : AllWhole(shape));
  }
  return axes;
}

Result<OperatorAxes> GroupNormAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 3));
  RELAYOUT_RETURN_IF_ERROR(ExpectChannels(graph, op));
  OperatorAxes axes;
  const Dims& x = InputShape(graph, op, 0);
  std::vector<bool> whole(x.size(), true);
  whole[0] = false;
  const std::vector<int> dims = AddAxes(axes, x, whole);
  axes.inputs.assign(op.inputs.size(), {OperatorAxes::kWhole});
  axes.inputs[0] = dims;
  for (const ValueId output : op.outputs) {
    const Dims& shape = graph.value(output).shape;
    axes.outputs.push_back(AllWhole(shape));
    if (!shape.empty() && shape[0] == x[0]) axes.outputs.back()[0] = dims[0];
  }
  return axes;
}

}  // namespace

std::vector<OperatorRule> NormalizationRules() {
  std::vector<OperatorRule> rules = {
      {.type = "BatchNorm", .axes = BatchNormAxes}, {.type = "GroupNorm", .axes = GroupNormAxes},
      {.type = "LayerNorm", .axes = LayerNormAxes}, {.type = "LayerNormV3", .axes = LayerNormAxes},
      {.type = "RmsNorm", .axes = RmsNormAxes},     {.type = "Tril", .axes = TriangleAxes},
      {.type = "Triu", .axes = TriangleAxes}};
  for (const std::string_view type : {"L2Normalize", "LogSoftmax", "MaxDim", "ReverseV2", "Softmax",
                                      "Sort", "SortExt", "Swiglu", "TopK"}) {
    rules.push_back({.type = type, .axes = WholeAxisAxes});
  }
  for (const std::string_view type :
       {"CumProd", "CumSum", "Cummax", "Cummin", "CumsumExt", "TopkExt"}) {
    rules.push_back({.type = type, .axes = WholeAxisAxes, .default_cuts = CutFirstBatchIfFree});
  }
  return rules;
}

}  // namespace relayout
