// SPDX-License-Identifier: Apache-2.0
//
//   ReLU     x[a,b]          -> y[a,b]      mesh a b
//   Add      x[a,b] z[b]     -> y[a,b]      mesh a b; z runs along with the last dims of y
//   Dropout  x[a,b]          -> y[a,b] mask mesh a b
//   BiasAdd  x[n,c,h,w] b[c] -> y[n,c,h,w]  mesh n c h w; b runs along with dim 1
//   Select   c[a,b] x[a,b] z[a,b] -> y[a,b] mesh a b; not broadcast
#include "relayout/base/text.h"
#include "relayout/infer/rules/default_cuts.h"
#include "relayout/infer/rules/dims.h"
#include "relayout/infer/rules/families.h"

namespace relayout {
namespace {

Result<OperatorAxes> ElementAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 1));
  OperatorAxes axes;
  RELAYOUT_RETURN_IF_ERROR(AddBroadcast(graph, op, axes));
  return axes;
}

Result<OperatorAxes> BinaryAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 2));
  return ElementAxes(graph, op);
}

Result<OperatorAxes> EqualShapesAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 1));
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    const Dims& shape = InputShape(graph, op, i);
    if (shape == OutputShape(graph, op, 0)) continue;
    return InvalidInput(
        Format("{}: MindSpore cuts it only when its tensors have one shape; input {} has {}, the "
               "result {}",
               Describe(op), i, ToText(shape), ToText(OutputShape(graph, op, 0))));
  }
  return ElementAxes(graph, op);
}

// A vector along dim 1: a bias, or the slopes of PReLU, which may be one for all.
Result<OperatorAxes> ChannelAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectTensors(op, 2, 1));
  const Dims& x = InputShape(graph, op, 0);
  const Dims& vector = InputShape(graph, op, 1);
  const bool fits = x.size() >= 2 && vector.size() == 1 && (vector[0] == x[1] || vector[0] == 1);
  if (!fits) {
    return InvalidInput(
        Format("{}: has a vector of {} for dim 1 of {}", Describe(op), ToText(vector), ToText(x)));
  }
  OperatorAxes axes;
  const std::vector<int> dims = AddAxes(axes, x);
  axes.inputs = {dims, {vector[0] == x[1] ? dims[1] : OperatorAxes::kWhole}};
  axes.outputs = {dims};
  return axes;
}

constexpr std::string_view kOneTensor[] = {"ACos",         "Abs",          "Acosh",
                                           "Asin",         "Asinh",        "Atan",
                                           "Atanh",        "BesselI0",     "BesselI0e",
                                           "BesselI1",     "BesselI1e",    "BesselJ0",
                                           "BesselJ1",     "Cast",         "Ceil",
                                           "ClampScalar",  "Cos",          "Cosh",
                                           "Dropout",      "DropoutExt",   "Elu",
                                           "EluExt",       "Erf",          "Erfc",
                                           "Erfinv",       "Exp",          "Expm1",
                                           "FastGeLU",     "Floor",        "FmodScalar",
                                           "GeLU",         "HShrink",      "HSigmoid",
                                           "Identity",     "Inv",          "Invert",
                                           "IsFinite",     "LeakyReLUExt", "Lgamma",
                                           "Log",          "Log1p",        "LogicalNot",
                                           "Mish",         "Muls",         "NanToNum",
                                           "Neg",          "OnesLike",     "ReLU",
                                           "ReLU6",        "Reciprocal",   "RemainderTensorScalar",
                                           "Rint",         "Round",        "Rsqrt",
                                           "SeLU",         "SiLU",         "Sigmoid",
                                           "Sign",         "Sin",          "Sinh",
                                           "SoftShrink",   "Softplus",     "SoftplusExt",
                                           "Softsign",     "Sqrt",         "Square",
                                           "StopGradient", "Tan",          "Tanh",
                                           "TensorMove",   "Trunc",        "ZerosLike"};

// One of the two may be a number, and so an attribute.
constexpr std::string_view kTwoTensors[] = {"Add",
                                            "AddExt",
                                            "ApproximateEqual",
                                            "Atan2",
                                            "BitwiseAnd",
                                            "BitwiseOr",
                                            "BitwiseXor",
                                            "Div",
                                            "DivMod",
                                            "DivNoNan",
                                            "Equal",
                                            "FloorDiv",
                                            "FloorMod",
                                            "Greater",
                                            "GreaterEqual",
                                            "Hypot",
                                            "Less",
                                            "LessEqual",
                                            "LogicalAnd",
                                            "LogicalOr",
                                            "Maximum",
                                            "Minimum",
                                            "Mod",
                                            "Mul",
                                            "MulNoNan",
                                            "NotEqual",
                                            "Pow",
                                            "RealDiv",
                                            "SquaredDifference",
                                            "Sub",
                                            "SubExt",
                                            "TruncateDiv",
                                            "TruncateMod",
                                            "Xdivy",
                                            "Xlogy"};

}  // namespace

std::vector<OperatorRule> ElementwiseRules() {
  std::vector<OperatorRule> rules = {
      {.type = "AddN", .axes = EqualShapesAxes, .default_cuts = CutEveryBatch},
      {.type = "Assign", .axes = EqualShapesAxes, .default_cuts = CutEveryBatch},
      {.type = "AssignAdd", .axes = EqualShapesAxes, .default_cuts = CutEveryBatch},
      {.type = "AssignSub", .axes = EqualShapesAxes, .default_cuts = CutEveryBatch},
      {.type = "BiasAdd", .axes = ChannelAxes},
      {.type = "Lerp", .axes = BinaryAxes, .default_cuts = CutBroadcastBatch},
      {.type = "MaskedFill", .axes = BinaryAxes, .default_cuts = CutBroadcastBatch},
      {.type = "PReLU", .axes = ChannelAxes},
      {.type = "Select", .axes = EqualShapesAxes, .default_cuts = CutEveryBatch},
      {.type = "SigmoidCrossEntropyWithLogits",
       .axes = EqualShapesAxes,
       .default_cuts = CutEveryBatch}};
  for (const std::string_view type : kOneTensor) {
    rules.push_back({.type = type, .axes = ElementAxes});
  }
  for (const std::string_view type : kTwoTensors) {
    rules.push_back({.type = type, .axes = ElementAxes, .default_cuts = CutBroadcastBatch});
  }
  return rules;
}

}  // namespace relayout
