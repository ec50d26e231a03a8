// SPDX-License-Identifier: Apache-2.0
//
// Functions of the elements of one tensor.
//
//   ReLU, GeLU, Exp, ...      x[a,b] -> y[a,b]
//   Neg                       x[a,b] -> y[a,b]
//   Cast                      f32 and i32, both ways
//   Identity, StopGradient    x[a,b] -> y[a,b]    the latter without a gradient
//
// A piece of the input makes the same piece of the output.
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

// --- GeluExt ------------------------------------------------------------------------------------

Status CheckGeluExt(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectFloats(graph, op));
  if (Says(op, "approximate", "tanh", 1)) return OkStatus();
  return RefuseAttribute(op, "approximate", "tanh");
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
  gelu.check = CheckGeluExt;
  return {copy,
          cast,
          stop,
          gelu,
          {.type = "Neg",
           .forward = NegForward,
           .backward = NegBackward,
           .check = ExpectFloats,
           .reads_inputs = 0,
           .reads_outputs = 0,
           .in_place = true},
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
