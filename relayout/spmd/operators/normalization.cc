// SPDX-License-Identifier: Apache-2.0
//
// Operators that need a dim, or the last ones, whole.
//
//   Softmax, LogSoftmax  x[a,b]             -> y[a,b]                  axis
//   LayerNorm            x[a,b] g[b] h[b]   -> y[a,b] mean[a,1] variance[a,1]
//   LayerNormV3, LayerNormExt    the same, with 1 / deviation for the variance
//   RmsNorm              x[a,b] g[b]        -> y[a,b] inverse[a,1]
//
// dg and dh are terms along a. infer/ leaves what is normalized whole but for RmsNorm, and
// operators for which MindSpore has no rule: the cuts there are taken out.
#include "relayout/base/text.h"
#include "relayout/spmd/kernels/normalize.h"
#include "relayout/spmd/kernels/softmax.h"
#include "relayout/spmd/operators/attributes.h"
#include "relayout/spmd/operators/calls.h"
#include "relayout/spmd/operators/cuts.h"
#include "relayout/spmd/operators/families.h"

namespace relayout {
namespace {

// --- Softmax ------------------------------------------------------------------------------------

std::string_view AxisName(const Operator& op) {
  return op.type == "LogSoftmaxExt" ? "dim" : "axis";
}

size_t SoftmaxAxis(const Operator& op, size_t dim_count) {
  return DimOf(op, AxisName(op), -1, dim_count);
}

Status CheckSoftmax(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectFloats(graph, op));
  if (graph.value(op.inputs[0]).shape.empty()) return Refuse(op, "its input has no dims");
  const auto axes = op.attributes.GetInts(AxisName(op)).value_or(std::vector<int64_t>{-1});
  if (axes.size() == 1) return OkStatus();
  return RefuseAttribute(op, AxisName(op), "one dim");
}

// Without a dim, mint chooses one by the number of dims.
Status CheckLogSoftmaxExt(const Graph& graph, const Operator& op) {
  if (op.attributes.Find("dim") == nullptr) return RefuseAttribute(op, "dim", "one dim");
  return CheckSoftmax(graph, op);
}

void AdaptSoftmax(const Graph& graph, const Operator& op, OperatorLayout& layout) {
  (void)graph;
  const size_t axis = SoftmaxAxis(op, layout.inputs[0].dim_count());
  MakeWhole(layout, layout.inputs[0], axis, axis + 1);
}

using Function = void (*)(const View<const float>& x, size_t axis, const View<float>& y);
using Gradient = void (*)(const View<const float>& y, const View<const float>& dy, size_t axis,
                          const View<float>& dx);

template <Function kFunction>
Status SoftmaxForward(const ForwardCall& call) {
  const View<const float> x = call.inputs[0]->f32();
  kFunction(x, SoftmaxAxis(*call.at.op, x.shape.size()), call.outputs[0]->f32());
  return OkStatus();
}

template <Gradient kGradient>
Status SoftmaxBackward(const BackwardCall& call) {
  const View<const float> y = call.outputs[0]->f32();
  if (Tensor* const dx = call.input_gradients[0]) {
    kGradient(y, call.output_gradients[0]->f32(), SoftmaxAxis(*call.at.op, y.shape.size()),
              dx->f32());
  }
  return OkStatus();
}

template <Function kFunction, Gradient kGradient>
OperatorKernel AlongAxis(std::string_view type) {
  return {.type = type,
          .forward = SoftmaxForward<kFunction>,
          .backward = SoftmaxBackward<kGradient>,
          .check = CheckSoftmax,
          .adapt = AdaptSoftmax,
          .reads_inputs = 0,
          .reads_outputs = 1,
          .in_place = true};
}

// --- LayerNorm and RmsNorm ----------------------------------------------------------------------

// A tensor as rows of `columns` elements.
template <typename T>
View<T> Rows(const View<T>& tensor, int64_t columns) {
  return tensor.Reshaped({columns == 0 ? 0 : tensor.size() / columns, columns});
}

// Takes out what cuts the last dims of the first input, those that the second one has.
void AdaptNorm(const Graph& graph, const Operator& op, OperatorLayout& layout) {
  (void)graph;
  (void)op;
  const size_t dim_count = layout.inputs[0].dim_count();
  MakeWhole(layout, layout.inputs[0], dim_count - layout.inputs[1].dim_count(), dim_count);
}

float EpsilonOf(const Operator& op, double otherwise) {
  const std::string_view name = op.type == "LayerNormExt" ? "eps" : "epsilon";
  return static_cast<float>(NumberOf(op, name).value_or(otherwise));
}

Status CheckNorm(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectFloats(graph, op));
  for (size_t i = 1; i < op.inputs.size(); ++i) {
    const Dims& vector = graph.value(op.inputs[i]).shape;
    if (SizeOf(vector) == 0) return Refuse(op, "normalizes dims of length 0");
  }
  return OkStatus();
}

// MindSpore's defaults.
constexpr int64_t kBeginAxis = 1;
constexpr double kLayerNormEpsilon = 1e-7;
constexpr double kRmsNormEpsilon = 1e-6;

Status CheckLayerNorm(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputCount(op, 3, 3));
  RELAYOUT_RETURN_IF_ERROR(CheckNorm(graph, op));
  const size_t dim_count = graph.value(op.inputs[0]).shape.size();
  const size_t normalized = dim_count - DimOf(op, "begin_norm_axis", kBeginAxis, dim_count);
  if (graph.value(op.inputs[1]).shape.size() == normalized) return OkStatus();
  return RefuseAttribute(op, "begin_params_axis", AttributeText(op, "begin_norm_axis"));
}

// mint's, where both vectors may be left out.
Status CheckLayerNormExt(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputCount(op, 3, 3));
  const std::vector<int64_t> lengths =
      op.attributes.GetInts("normalized_shape").value_or(std::vector<int64_t>{});
  for (size_t i = 1; i < 3; ++i) {
    const Dims& vector = graph.value(op.inputs[i]).shape;
    if (std::ranges::equal(vector, lengths)) continue;
    return RefuseAttribute(op, "normalized_shape",
                           Format("the shape {} of input {}", ToText(vector), i));
  }
  if (op.attributes.Find("eps") == nullptr) return RefuseAttribute(op, "eps", "a number");
  return CheckNorm(graph, op);
}

// What LayerNorm keeps of a row.
constexpr size_t kMean = 0;
constexpr size_t kInverse = 1;

Status LayerNormForward(const ForwardCall& call) {
  const View<const float> gamma = call.inputs[1]->f32();
  const View<const float> x = Rows(call.inputs[0]->f32(), gamma.size());
  const float epsilon = EpsilonOf(*call.at.op, kLayerNormEpsilon);
  const View<float> mean = Kept(call.kept, kMean, {x.shape[0]});
  const View<float> inverse = Kept(call.kept, kInverse, {x.shape[0]});
  kernels::LayerNorm(x, gamma, call.inputs[2]->f32(), epsilon,
                     Rows(call.outputs[0]->f32(), gamma.size()), mean, inverse);
  CopyElements(call.kept[kMean], *call.outputs[1]);
  CopyElements(call.kept[kInverse], *call.outputs[2]);
  if (call.at.op->type != "LayerNorm") return OkStatus();
  for (float& value : call.outputs[2]->f32().elements()) value = 1 / (value * value) - epsilon;
  return OkStatus();
}

Status LayerNormBackward(const BackwardCall& call) {
  RELAYOUT_RETURN_IF_ERROR(ExpectFirstGradientOnly(call, "what it normalizes by"));
  const View<const float> gamma = call.inputs[1]->f32();
  const View<const float> x = Rows(call.inputs[0]->f32(), gamma.size());
  GradientOrScratch dx(call.input_gradients[0], call.inputs[0]->shape());
  GradientOrScratch dgamma(call.input_gradients[1], gamma.shape);
  GradientOrScratch dbeta(call.input_gradients[2], gamma.shape);
  kernels::LayerNormGradient(x, gamma, call.kept[kMean].f32(), call.kept[kInverse].f32(),
                             Rows(call.output_gradients[0]->f32(), gamma.size()),
                             Rows(dx.f32(), gamma.size()), dgamma.f32(), dbeta.f32());
  return OkStatus();
}

Status CheckRmsNorm(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputCount(op, 2, 2));
  return CheckNorm(graph, op);
}

Status RmsNormForward(const ForwardCall& call) {
  const View<const float> gamma = call.inputs[1]->f32();
  const View<const float> x = Rows(call.inputs[0]->f32(), gamma.size());
  kernels::RmsNorm(x, gamma, EpsilonOf(*call.at.op, kRmsNormEpsilon),
                   Rows(call.outputs[0]->f32(), gamma.size()),
                   call.outputs[1]->f32().Reshaped({x.shape[0]}));
  return OkStatus();
}

Status RmsNormBackward(const BackwardCall& call) {
  RELAYOUT_RETURN_IF_ERROR(ExpectFirstGradientOnly(call, "what it normalizes by"));
  const View<const float> gamma = call.inputs[1]->f32();
  const View<const float> x = Rows(call.inputs[0]->f32(), gamma.size());
  GradientOrScratch dx(call.input_gradients[0], call.inputs[0]->shape());
  GradientOrScratch dgamma(call.input_gradients[1], gamma.shape);
  kernels::RmsNormGradient(x, gamma, call.outputs[1]->f32().Reshaped({x.shape[0]}),
                           Rows(call.output_gradients[0]->f32(), gamma.size()),
                           Rows(dx.f32(), gamma.size()), dgamma.f32());
  return OkStatus();
}

OperatorKernel LayerNorm(std::string_view type) {
  return {.type = type,
          .forward = LayerNormForward,
          .backward = LayerNormBackward,
          .check = CheckLayerNorm,
          .adapt = AdaptNorm,
          .reads_inputs = 0b011,
          .reads_outputs = 0};
}

}  // namespace

std::vector<OperatorKernel> NormalizationKernels() {
  OperatorKernel log_softmax_ext =
      AlongAxis<kernels::LogSoftmax, kernels::LogSoftmaxGradient>("LogSoftmaxExt");
  log_softmax_ext.check = CheckLogSoftmaxExt;
  OperatorKernel layer_norm_ext = LayerNorm("LayerNormExt");
  layer_norm_ext.check = CheckLayerNormExt;
  return {layer_norm_ext,
          LayerNorm("LayerNorm"),
          LayerNorm("LayerNormV3"),
          {.type = "RmsNorm",
           .forward = RmsNormForward,
           .backward = RmsNormBackward,
           .check = CheckRmsNorm,
           .adapt = AdaptNorm,
           .reads_inputs = 0b11,
           .reads_outputs = 0b10},
          log_softmax_ext,
          AlongAxis<kernels::LogSoftmax, kernels::LogSoftmaxGradient>("LogSoftmax"),
          AlongAxis<kernels::Softmax, kernels::SoftmaxGradient>("Softmax")};
}

}  // namespace relayout
