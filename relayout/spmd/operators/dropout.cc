// SPDX-License-Identifier: Apache-2.0
//
//   Dropout  x[a,b] -> y[a,b] mask[a,b]    keep_prob
//
// The mask is 0 where an element is dropped, else 1 / keep_prob: what x and dy are multiplied by.
// (MindSpore's is 0 or 1, and nobody reads it.) It depends on RankContext's seed and step, on the
// operator, and on the element's place in the whole tensor, so that however the tensor is cut the
// same elements are dropped. Without training nothing is. The operator is its name, and its number
// in the graph, since a cell that is called twice makes two of one name; so the graph has to be the
// same one on all ranks, and before and after a change of layout.
#include "relayout/spmd/kernels/dropout.h"

#include "relayout/spmd/kernels/elementwise.h"
#include "relayout/spmd/operators/attributes.h"
#include "relayout/spmd/operators/calls.h"
#include "relayout/spmd/operators/families.h"

namespace relayout {
namespace {

constexpr double kKeepByDefault = 0.5;

double KeepProbability(const Operator& op) {
  return NumberOf(op, "keep_prob").value_or(kKeepByDefault);
}

Status CheckDropout(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectFloats(graph, op));
  const double keep = KeepProbability(op);
  if (keep > 0 && keep <= 1) return OkStatus();
  return RefuseAttribute(op, "keep_prob", "a probability above 0");
}

Status DropoutForward(const ForwardCall& call) {
  const Operator& op = *call.at.op;
  const View<float> mask = call.outputs[1]->f32();
  const uint64_t key =
      kernels::DropoutKey(call.context.seed, call.context.step, op.name, op.outputs[0]);
  kernels::DropoutMask(key, call.context.training ? KeepProbability(op) : 1,
                       call.at.whole_output(0), call.at.output_boxes[0].begin, mask);
  kernels::Mul(call.inputs[0]->f32(), mask, call.outputs[0]->f32());
  return OkStatus();
}

Status DropoutBackward(const BackwardCall& call) {
  RELAYOUT_RETURN_IF_ERROR(ExpectFirstGradientOnly(call, "the mask"));
  if (Tensor* const dx = call.input_gradients[0]) {
    kernels::Mul(call.output_gradients[0]->f32(), call.outputs[1]->f32(), dx->f32());
  }
  return OkStatus();
}

}  // namespace

std::vector<OperatorKernel> DropoutKernels() {
  return {{.type = "Dropout",
           .forward = DropoutForward,
           .backward = DropoutBackward,
           .check = CheckDropout,
           .reads_inputs = 0,
           .reads_outputs = 0b10,
           .in_place = true}};
}

}  // namespace relayout
