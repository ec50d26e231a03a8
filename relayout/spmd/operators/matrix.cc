// SPDX-License-Identifier: Apache-2.0
//
//   MatMul, BatchMatMul    a b -> c    transpose_a transpose_b
#include "relayout/spmd/kernels/matrix.h"

#include "relayout/spmd/operators/families.h"

namespace relayout {
namespace {

kernels::Transposes TransposesOf(const Operator& op) {
  return {.a = op.attributes.GetBool("transpose_a", false),
          .b = op.attributes.GetBool("transpose_b", false)};
}

Status MatMulForward(const ForwardCall& call) {
  kernels::MatMul(call.inputs[0]->f32(), call.inputs[1]->f32(), TransposesOf(*call.at.op),
                  call.outputs[0]->f32());
  return OkStatus();
}

Status MatMulBackward(const BackwardCall& call) {
  const kernels::Transposes transposes = TransposesOf(*call.at.op);
  const View<const float> dc = call.output_gradients[0]->f32();
  if (Tensor* const da = call.input_gradients[0]) {
    kernels::MatMulGradientA(dc, call.inputs[1]->f32(), transposes, da->f32());
  }
  if (Tensor* const db = call.input_gradients[1]) {
    kernels::MatMulGradientB(dc, call.inputs[0]->f32(), transposes, db->f32());
  }
  return OkStatus();
}

Status BatchMatMulForward(const ForwardCall& call) {
  kernels::BatchMatMul(call.inputs[0]->f32(), call.inputs[1]->f32(), TransposesOf(*call.at.op),
                       call.outputs[0]->f32());
  return OkStatus();
}

Status BatchMatMulBackward(const BackwardCall& call) {
  const kernels::Transposes transposes = TransposesOf(*call.at.op);
  const View<const float> dc = call.output_gradients[0]->f32();
  if (Tensor* const da = call.input_gradients[0]) {
    kernels::BatchMatMulGradientA(dc, call.inputs[1]->f32(), transposes, da->f32());
  }
  if (Tensor* const db = call.input_gradients[1]) {
    kernels::BatchMatMulGradientB(dc, call.inputs[0]->f32(), transposes, db->f32());
  }
  return OkStatus();
}

}  // namespace

std::vector<OperatorKernel> MatrixKernels() {
  return {
      {.type = "BatchMatMul",
       .forward = BatchMatMulForward,
       .backward = BatchMatMulBackward,
       .reads_outputs = 0},
      {.type = "MatMul", .forward = MatMulForward, .backward = MatMulBackward, .reads_outputs = 0}};
}

}  // namespace relayout
