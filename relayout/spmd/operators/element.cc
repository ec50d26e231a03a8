// SPDX-License-Identifier: Apache-2.0
//
// Functions of the elements of one tensor.
//
//   ReLU, GeLU, Exp, ...      x[a,b] -> y[a,b]
//   Neg                       x[a,b] -> y[a,b]
//   Pow, PowTensorScalar      x[a,b] -> y[a,b]    by a constant exponent
//   Cast                      f32 and i32, both ways
//   Identity, StopGradient    x[a,b] -> y[a,b]    the latter without a gradient
//
// A piece of the input makes the same piece of the output.
#include <utility>

#include "relayout/base/text.h"
#include "relayout/spmd/kernels/activation.h"
#include "relayout/spmd/kernels/elementwise.h"
#include "relayout/spmd/operators/attributes.h"
#include "relayout/spmd/operators/calls.h"
#include "relayout/spmd/operators/families.h"

namespace relayout {
namespace {

using Function = void (*)(const View<const float>& x, const View<float>& y);
// `kept` is x or y.
using Gradient = void (*)(const View<const float>& kept, const View<const float>& dy,
                          const View<float>& dx);
enum class Keeps : uint8_t { kInput, kOutput };

template <Function kFunction>
Status Forward(const ForwardCall& call) {
  kFunction(call.inputs[0]->f32(), call.outputs[0]->f32());
  return OkStatus();
}

template <Gradient kGradient, Keeps kKeeps>
Status Backward(const BackwardCall& call) {
  const auto& kept = kKeeps == Keeps::kInput ? call.inputs : call.outputs;
  if (Tensor* const dx = call.input_gradients[0]) {
    kGradient(kept[0]->f32(), call.output_gradients[0]->f32(), dx->f32());
  }
  return OkStatus();
}

template <Function kFunction, Gradient kGradient, Keeps kKeeps>
OperatorKernel OfElements(std::string_view type) {
  return {.type = type,
          .forward = Forward<kFunction>,
          .backward = Backward<kGradient, kKeeps>,
          .check = ExpectFloats,
          .reads_inputs = kKeeps == Keeps::kInput ? 1U : 0U,
          .reads_outputs = kKeeps == Keeps::kOutput ? 1U : 0U,
          .in_place = true};
}

Status NegForward(const ForwardCall& call) {
  kernels::Affine(call.inputs[0]->f32(), -1, 0, call.outputs[0]->f32());
  return OkStatus();
}

Status NegBackward(const BackwardCall& call) {
  if (Tensor* const dx = call.input_gradients[0]) {
    kernels::Affine(call.output_gradients[0]->f32(), -1, 0, dx->f32());
  }
  return OkStatus();
}

// --- Cast ---------------------------------------------------------------------------------------

Status CheckCast(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputCount(op, 1, 1));
  RELAYOUT_RETURN_IF_ERROR(ExpectInput(graph, op, 0, {DType::kFloat32, DType::kInt32}));
  return ExpectOutput(graph, op, 0, {DType::kFloat32, DType::kInt32});
}

Status CastForward(const ForwardCall& call) {
  const Tensor& x = *call.inputs[0];
  Tensor& y = *call.outputs[0];
  if (x.dtype() == y.dtype()) {
    CopyElements(x, y);
  } else if (x.dtype() == DType::kFloat32) {
    kernels::Cast(x.f32(), y.i32());
  } else {
    kernels::Cast(x.i32(), y.f32());
  }
  return OkStatus();
}

// --- GeluExt, Log, Pow --------------------------------------------------------------------------

bool IsByTanh(const Operator& op) { return Says(op, "approximate", "tanh", 1); }

Status CheckGeluExt(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectFloats(graph, op));
  const bool is_default = op.attributes.Find("approximate") == nullptr;
  if (is_default || IsByTanh(op) || Says(op, "approximate", "none", 0)) return OkStatus();
  return RefuseAttribute(op, "approximate", "none and tanh");
}

Status GeluExtForward(const ForwardCall& call) {
  if (IsByTanh(*call.at.op)) return Forward<kernels::GeLU>(call);
  return Forward<kernels::GeLUByErf>(call);
}

Status GeluExtBackward(const BackwardCall& call) {
  if (IsByTanh(*call.at.op)) return Backward<kernels::GeLUGradient, Keeps::kInput>(call);
  return Backward<kernels::GeLUByErfGradient, Keeps::kInput>(call);
}

// Older files have the logarithm's base, and what x is multiplied by and moved by before.
Status CheckLog(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectFloats(graph, op));
  for (const auto& [name, natural] : {std::pair{"base", -1}, {"scale", 1}, {"shift", 0}}) {
    if (NumberOf(op, name).value_or(natural) == natural) continue;
    return RefuseAttribute(op, name, Format("{}", natural));
  }
  return OkStatus();
}

Status CheckPow(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectFloats(graph, op));
  if (op.inputs.size() == 1) {
    if (NumberOf(op, "exponent")) return OkStatus();
    return RefuseAttribute(op, "exponent", "a number");
  }
  const Value& exponent = graph.value(op.inputs[1]);
  if (exponent.role == ValueRole::kConstant && SizeOf(exponent.shape) == 1) return OkStatus();
  return Refuse(op, Format("its exponent is {}, f32{}, but relayout runs it with a constant of one "
                           "element only",
                           Describe(graph, op.inputs[1]), ToText(exponent.shape)));
}

float ExponentOf(const Operator& op, std::span<const Tensor* const> inputs) {
  if (inputs.size() == 2) return *inputs[1]->f32().data;
  return static_cast<float>(*NumberOf(op, "exponent"));
}

Status PowForward(const ForwardCall& call) {
  const View<const float> x = call.inputs[0]->f32();
  kernels::Pow(x, ExponentOf(*call.at.op, call.inputs), call.outputs[0]->f32().Reshaped(x.shape));
  return OkStatus();
}

Status PowBackward(const BackwardCall& call) {
  if (Tensor* const dx = call.input_gradients[0]) {
    const View<const float> x = call.inputs[0]->f32();
    kernels::PowGradient(x, ExponentOf(*call.at.op, call.inputs),
                         call.output_gradients[0]->f32().Reshaped(x.shape), dx->f32());
  }
  return OkStatus();
}

}  // namespace

std::vector<OperatorKernel> ElementKernels() {
  using kernels::ExpGradient, kernels::GeLUGradient, kernels::ReLUGradient, kernels::RsqrtGradient,
      kernels::SigmoidGradient, kernels::SiLUGradient, kernels::SqrtGradient,
      kernels::SquareGradient, kernels::TanhGradient;
  const OperatorKernel copy = {.type = "Identity",
                               .forward = CopyForward,
                               .backward = CopyBackward,
                               .check = ExpectOneType,
                               .reads_inputs = 0,
                               .reads_outputs = 0,
                               .in_place = true};
  OperatorKernel cast = copy;
  cast.type = "Cast";
  cast.forward = CastForward;
  cast.check = CheckCast;
  cast.in_place = false;  // The element types differ.
  OperatorKernel stop = copy;
  stop.type = "StopGradient";
  stop.backward = nullptr;
  OperatorKernel gelu = OfElements<kernels::GeLU, GeLUGradient, Keeps::kInput>("GeluExt");
  gelu.forward = GeluExtForward;
  gelu.backward = GeluExtBackward;
  gelu.check = CheckGeluExt;
  OperatorKernel log = OfElements<kernels::Log, kernels::LogGradient, Keeps::kInput>("Log");
  log.check = CheckLog;
  OperatorKernel pow = log;
  pow.type = "Pow";
  pow.forward = PowForward;
  pow.backward = PowBackward;
  pow.check = CheckPow;
  pow.reads_inputs = 0b11;
  OperatorKernel pow_scalar = pow;
  pow_scalar.type = "PowTensorScalar";
  return {copy,
          cast,
          stop,
          gelu,
          log,
          pow,
          pow_scalar,
          {.type = "Neg",
           .forward = NegForward,
           .backward = NegBackward,
           .check = ExpectFloats,
           .reads_inputs = 0,
           .reads_outputs = 0,
           .in_place = true},
          OfElements<kernels::Erf, kernels::ErfGradient, Keeps::kInput>("Erf"),
          OfElements<kernels::Exp, ExpGradient, Keeps::kOutput>("Exp"),
          OfElements<kernels::GeLU, GeLUGradient, Keeps::kInput>("GeLU"),
          OfElements<kernels::ReLU, ReLUGradient, Keeps::kOutput>("ReLU"),
          OfElements<kernels::Rsqrt, RsqrtGradient, Keeps::kOutput>("Rsqrt"),
          OfElements<kernels::SiLU, SiLUGradient, Keeps::kInput>("SiLU"),
          OfElements<kernels::Sigmoid, SigmoidGradient, Keeps::kOutput>("Sigmoid"),
          OfElements<kernels::Sqrt, SqrtGradient, Keeps::kOutput>("Sqrt"),
          OfElements<kernels::Square, SquareGradient, Keeps::kInput>("Square"),
          OfElements<kernels::Tanh, TanhGradient, Keeps::kOutput>("Tanh")};
}

}  // namespace relayout
