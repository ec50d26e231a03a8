// SPDX-License-Identifier: Apache-2.0
//
//   ReLU     x[a,b]          -> y[a,b]      mesh a b
//   Add      x[a,b] z[b]     -> y[a,b]      mesh a b; z runs along with the last dims of y
//   BiasAdd  x[n,c,h,w] b[c] -> y[n,c,h,w]  mesh n c h w; b runs along with dim 1
#include "relayout/base/text.h"
#include "relayout/infer/rules/dims.h"
#include "relayout/infer/rules/families.h"

namespace relayout {
namespace {

Result<OperatorAxes> UnaryAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectTensors(op, 1, 1));
  OperatorAxes axes;
  RELAYOUT_RETURN_IF_ERROR(AddBroadcast(graph, op, axes));
  return axes;
}

Result<OperatorAxes> BinaryAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectTensors(op, 2, 1));
  OperatorAxes axes;
  RELAYOUT_RETURN_IF_ERROR(AddBroadcast(graph, op, axes));
  return axes;
}

Result<OperatorAxes> BiasAddAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectTensors(op, 2, 1));
  const Dims& x = graph.value(op.inputs[0]).shape;
  const Dims& bias = graph.value(op.inputs[1]).shape;
  if (x.size() < 2 || bias.size() != 1 || bias[0] != x[1]) {
    return InvalidInput(
        Format("{}: adds a bias of {} to dim 1 of {}", Describe(op), ToText(bias), ToText(x)));
  }
  OperatorAxes axes;
  const std::vector<int> dims = AddAxes(axes, x);
  axes.inputs = {dims, {dims[1]}};
  axes.outputs = {dims};
  return axes;
}

int FirstOfOutput(const Graph& graph, const Operator& op, const OperatorAxes& axes) {
  (void)graph;
  (void)op;
  return axes.outputs[0].empty() ? OperatorAxes::kWhole : axes.outputs[0][0];
}

}  // namespace

std::vector<OperatorRule> ElementwiseRules() {
  std::vector<OperatorRule> rules = {{.type = "BiasAdd", .axes = BiasAddAxes}};
  for (const std::string_view type :
       {"Abs",      "Cast",  "Cos",        "Elu",          "Erf",        "Exp",      "FastGeLU",
        "GELU",     "GeLU",  "Identity",   "Log",          "LogicalNot", "Neg",      "OnesLike",
        "ReLU",     "ReLU6", "Reciprocal", "Rsqrt",        "SiLU",       "Sigmoid",  "Sin",
        "Softplus", "Sqrt",  "Square",     "StopGradient", "Tanh",       "ZerosLike"}) {
    rules.push_back({.type = type, .axes = UnaryAxes});
  }
  for (const std::string_view type : {"Add",
                                      "Div",
                                      "Equal",
                                      "FloorDiv",
                                      "FloorMod",
                                      "Greater",
                                      "GreaterEqual",
                                      "Less",
                                      "LessEqual",
                                      "LogicalAnd",
                                      "LogicalOr",
                                      "Maximum",
                                      "Minimum",
                                      "Mod",
                                      "Mul",
                                      "NotEqual",
                                      "Pow",
                                      "RealDiv",
                                      "SquaredDifference",
                                      "Sub"}) {
    rules.push_back({.type = type, .axes = BinaryAxes, .default_axis = FirstOfOutput});
  }
  return rules;
}

}  // namespace relayout
