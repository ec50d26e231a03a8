// SPDX-License-Identifier: Apache-2.0
//
//   ReLU   f32[4,8]           -> f32[4,8]
//   Add    f32[4,8] f32[8]    -> f32[4,8]
//   Equal  f32[4,8] f32[8]    -> bool[4,8]
//   Select bool[4,1] f32[4,8] f32[] -> f32[4,8]
#include <algorithm>

#include "relayout/base/text.h"
#include "relayout/graph/shapes/families.h"

namespace relayout {
namespace {

constexpr size_t kManyInputs = 1024;

DType CommonTypeOf(const ShapeCall& call, size_t begin, size_t end) {
  DType dtype = call.dtype(begin);
  for (size_t i = begin + 1; i < end; ++i) dtype = CommonType(dtype, call.dtype(i));
  return dtype;
}

Result<ResultTypeList> Unary(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  return ResultTypeList{call.input(0)};
}

Result<ResultTypeList> UnaryTest(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  return ResultTypeList{{DType::kBool, call.shape(0)}};
}

// The value goes through; other inputs only order the calculation.
Result<ResultTypeList> FirstInput(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1, kManyInputs));
  return ResultTypeList{call.input(0)};
}

// A number with a fraction makes whole numbers floating.
bool HasFraction(const ShapeCall& call) {
  for (const std::string_view name : {"other", "input", "exponent", "y"}) {
    const AttributeValue* const value = call.attributes().Find(name);
    if (value != nullptr && std::holds_alternative<double>(*value)) return true;
  }
  return false;
}

Result<ResultTypeList> Broadcast(const ShapeCall& call, size_t fewest, size_t most) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(fewest, most));
  RELAYOUT_ASSIGN_OR_RETURN(const Dims shape, BroadcastShape(call, 0, call.count()));
  DType dtype = CommonTypeOf(call, 0, call.count());
  if (HasFraction(call))
    dtype = CommonType(dtype, DType::kFloat16) == dtype ? dtype : DType::kFloat32;
  return ResultTypeList{{dtype, shape}};
}

// A number in the place of a tensor is an attribute, so that one tensor is enough.
Result<ResultTypeList> Binary(const ShapeCall& call) { return Broadcast(call, 1, 2); }
Result<ResultTypeList> Ternary(const ShapeCall& call) { return Broadcast(call, 1, 3); }
Result<ResultTypeList> Quaternary(const ShapeCall& call) { return Broadcast(call, 1, 4); }

Result<ResultTypeList> Clip(const ShapeCall& call) {
  RELAYOUT_ASSIGN_OR_RETURN(ResultTypeList results, Broadcast(call, 1, 3));
  results[0].dtype = call.dtype(0);
  return results;
}

Result<ResultTypeList> AddN(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1, kManyInputs));
  for (size_t i = 1; i < call.count(); ++i) {
    if (call.shape(i) == call.shape(0)) continue;
    return call.Fail(Format("adds tensors of one shape, input 0 is {} and input {} is {}",
                            ToText(call.shape(0)), i, ToText(call.shape(i))));
  }
  return ResultTypeList{call.input(0)};
}

Result<ResultTypeList> Comparison(const ShapeCall& call) {
  RELAYOUT_ASSIGN_OR_RETURN(ResultTypeList results, Binary(call));
  results[0].dtype = DType::kBool;
  return results;
}

Result<ResultTypeList> Cast(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  RELAYOUT_ASSIGN_OR_RETURN(const DType dtype, call.ElementType("dtype", std::nullopt));
  return ResultTypeList{{dtype, call.shape(0)}};
}

Result<ResultTypeList> Select(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(2, 3));
  RELAYOUT_ASSIGN_OR_RETURN(const Dims shape, BroadcastShape(call, 0, call.count()));
  return ResultTypeList{{CommonTypeOf(call, 1, call.count()), shape}};
}

Result<ResultTypeList> MaskedFill(const ShapeCall& call) {
  RELAYOUT_ASSIGN_OR_RETURN(ResultTypeList results, Broadcast(call, 2, 3));
  results[0].dtype = call.dtype(0);
  return results;
}

Result<ResultTypeList> BiasAdd(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(2));
  RELAYOUT_RETURN_IF_ERROR(call.ExpectDims(0, 2));
  const bool channels_last = call.Says("data_format", "NHWC", 1);
  const size_t dim = channels_last ? call.dim_count(0) - 1 : 1;
  if (call.dim_count(1) != 1 || call.shape(1)[0] != call.shape(0)[dim]) {
    return call.Fail(Format("adds a bias of {} along dim {} of {}", ToText(call.shape(1)), dim,
                            ToText(call.shape(0))));
  }
  return ResultTypeList{call.input(0)};
}

Result<ResultTypeList> PReLU(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(2));
  return ResultTypeList{call.input(0)};
}

// Half of a dim gates the other half.
Result<ResultTypeList> Gated(const ShapeCall& call, std::string_view name) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  RELAYOUT_ASSIGN_OR_RETURN(const size_t axis,
                            call.Axis(call.attributes().GetInt(name, -1), call.shape(0)));
  TensorType result = call.input(0);
  if (result.shape[axis] % 2 != 0) {
    return call.Fail(Format("halves dim {} of {}, which is odd", axis, ToText(result.shape)));
  }
  result.shape[axis] /= 2;
  return ResultTypeList{result};
}

Result<ResultTypeList> Swiglu(const ShapeCall& call) { return Gated(call, "dim"); }
Result<ResultTypeList> GLU(const ShapeCall& call) { return Gated(call, "axis"); }

}  // namespace

std::vector<ShapeRule> ElementwiseShapes() {
  std::vector<ShapeRule> rules = {
      {"AddcdivExt", Ternary}, {"AddcmulExt", Ternary},
      {"LerpScalar", Ternary}, {"MaskedFillScalar", MaskedFill},
      {"SelectV2", Select},    {"GLU", GLU},
      {"AddN", AddN},          {"Addcdiv", Quaternary},
      {"Addcmul", Quaternary}, {"BiasAdd", BiasAdd},
      {"Cast", Cast},          {"ClampScalar", Clip},
      {"ClampTensor", Clip},   {"ClipByValue", Clip},
      {"Depend", FirstInput},  {"Lerp", Ternary},
      {"Load", FirstInput},    {"MaskedFill", MaskedFill},
      {"PReLU", PReLU},        {"Select", Select},
      {"Swiglu", Swiglu},
  };
  for (const std::string_view type :
       {"Abs",        "Acos",       "AcosExt",    "Acosh",       "AllReduce",    "Asin",
        "Asinh",      "Atan",       "Atanh",      "BitwiseNot",  "Ceil",         "CeLU",
        "Clone",      "Contiguous", "Copy",       "Cos",         "Cosh",         "CumProd",
        "CumSum",     "CumsumExt",  "Elu",        "EluExt",      "Erf",          "Erfc",
        "Erfinv",     "Exp",        "Exp2",       "Expm1",       "FastGeLU",     "Floor",
        "Frac",       "GeLU",       "GELU",       "GeluExt",     "HShrink",      "HSigmoid",
        "HSwish",     "Identity",   "Inv",        "L2Normalize", "LeakyReLU",    "LeakyReLUExt",
        "Log",        "Log10",      "Log1p",      "Log2",        "LogicalNot",   "LogSigmoid",
        "Mish",       "MishExt",    "NanToNum",   "Neg",         "OnesLike",     "OnesLikeExt",
        "Print",      "Reciprocal", "ReLU",       "ReLU6",       "ReverseV2",    "Roll",
        "Round",      "Rsqrt",      "SeLU",       "SeLUExt",     "Sigmoid",      "Sign",
        "SiLU",       "Sin",        "Sinc",       "Sinh",        "Softplus",     "SoftplusExt",
        "SoftShrink", "Softsign",   "Sqrt",       "Square",      "StopGradient", "Swish",
        "Tan",        "Tanh",       "TensorMove", "Threshold",   "Tril",         "TrilExt",
        "Triu",       "Trunc",      "ZerosLike",  "ZerosLikeExt"}) {
    rules.push_back({type, Unary});
  }
  for (const std::string_view type : {"IsFinite", "IsInf", "IsNan"}) {
    rules.push_back({type, UnaryTest});
  }
  for (const std::string_view type : {"Add",
                                      "AddExt",
                                      "AddScalar",
                                      "Atan2",
                                      "Atan2Ext",
                                      "BitwiseAnd",
                                      "BitwiseAndScalar",
                                      "BitwiseAndTensor",
                                      "BitwiseOr",
                                      "BitwiseOrScalar",
                                      "BitwiseOrTensor",
                                      "BitwiseXor",
                                      "BitwiseXorScalar",
                                      "BitwiseXorTensor",
                                      "Div",
                                      "DivMod",
                                      "DivMods",
                                      "DivNoNan",
                                      "Divs",
                                      "FloorDiv",
                                      "FloorDivScalar",
                                      "FloorMod",
                                      "FmodScalar",
                                      "FmodTensor",
                                      "InplaceAddExt",
                                      "InplaceAddsExt",
                                      "InplaceCopy",
                                      "InplaceDiv",
                                      "InplaceDivs",
                                      "InplaceMul",
                                      "InplaceMuls",
                                      "InplaceSubExt",
                                      "InplaceSubScalar",
                                      "LeftShift",
                                      "LogAddExp",
                                      "Maximum",
                                      "Minimum",
                                      "Mod",
                                      "Mul",
                                      "MulNoNan",
                                      "Muls",
                                      "Pow",
                                      "PowScalarTensor",
                                      "PowTensorScalar",
                                      "RealDiv",
                                      "RemainderScalarTensor",
                                      "RemainderTensorScalar",
                                      "RemainderTensorTensor",
                                      "RightShift",
                                      "SquaredDifference",
                                      "Sub",
                                      "SubExt",
                                      "SubScalar",
                                      "TruncateDiv",
                                      "TruncateMod",
                                      "Xdivy",
                                      "Xlogy"}) {
    rules.push_back({type, Binary});
  }
  for (const std::string_view type :
       {"ApproximateEqual", "Equal", "EqualExt", "Greater", "GreaterEqual", "GreaterEqualScalar",
        "IsClose", "Less", "LessEqual", "LessScalar", "LogicalAnd", "LogicalOr", "LogicalXor",
        "NotEqual"}) {
    rules.push_back({type, Comparison});
  }
  return rules;
}

}  // namespace relayout
