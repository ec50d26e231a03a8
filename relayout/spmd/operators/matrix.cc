// SPDX-License-Identifier: Apache-2.0
//
//   MatMul, BatchMatMul          a[m,k] b[k,n]          -> c[m,n]    transpose_a transpose_b
//   MatMulExt, BatchMatMulExt    the same without transposition; batch dims broadcast
//   Dense                        x[m,k] w[n,k] bias[n]  -> y[m,n]
//
// A cut k makes c a term, of all that the other cuts leave of c: a layout that scatters the sum has
// that cut taken out. Dense wants k whole: its bias is to be added once.
#include "relayout/spmd/kernels/matrix.h"

#include "relayout/base/text.h"
#include "relayout/spmd/kernels/elementwise.h"
#include "relayout/spmd/operators/attributes.h"
#include "relayout/spmd/operators/cuts.h"
#include "relayout/spmd/operators/families.h"

namespace relayout {
namespace {

// A stack of matrices as one, of all their rows.
template <typename T>
View<T> Rows(const View<T>& matrices) {
  const size_t last = matrices.shape.size() - 1;
  int64_t rows = 1;
  for (size_t d = 0; d < last; ++d) rows *= matrices.shape[d];
  return matrices.Reshaped({rows, matrices.shape[last]});
}

// A product of stacks of matrices. If the second factor is one matrix, the first is one too, of
// more rows: one long product is faster than many short ones.
struct Product {
  kernels::Transposes transposes;
  bool is_flat = false;

  Product(const Operator& op, size_t b_dim_count)
      : transposes{.a = op.attributes.GetBool("transpose_a", false),
                   .b = op.attributes.GetBool("transpose_b", false)},
        is_flat(b_dim_count == 2 && !transposes.a) {}

  // a, c, or a gradient of one of them.
  template <typename T>
  View<T> Flat(const View<T>& matrices) const {
    return is_flat ? Rows(matrices) : matrices;
  }
};

Status CheckProduct(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputCount(op, 2, 2));
  RELAYOUT_RETURN_IF_ERROR(ExpectFloats(graph, op));
  for (size_t i = 0; i < 2; ++i) {
    const Dims& shape = graph.value(op.inputs[i]).shape;
    if (shape.size() >= 2) continue;
    return Refuse(op, Format("input {} is f32{}, but relayout runs it on tensors of 2 dims or more",
                             i, ToText(shape)));
  }
  return OkStatus();
}

void AdaptProduct(const Graph& graph, const Operator& op, OperatorLayout& layout) {
  (void)graph;
  const size_t dim_count = layout.inputs[0].dim_count();
  const size_t k = dim_count - (op.attributes.GetBool("transpose_a", false) ? 2 : 1);
  TakeOut(layout.outputs[0], CuttingAxes(layout.inputs[0], k, k + 1));
}

Status ProductForward(const ForwardCall& call) {
  const View<const float> b = call.inputs[1]->f32();
  const Product product(*call.at.op, b.shape.size());
  kernels::BatchMatMul(product.Flat(call.inputs[0]->f32()), b, product.transposes,
                       product.Flat(call.outputs[0]->f32()));
  return OkStatus();
}

Status ProductBackward(const BackwardCall& call) {
  const View<const float> b = call.inputs[1]->f32();
  const Product product(*call.at.op, b.shape.size());
  const View<const float> dc = product.Flat(call.output_gradients[0]->f32());
  if (Tensor* const da = call.input_gradients[0]) {
    kernels::BatchMatMulGradientA(dc, b, product.transposes, product.Flat(da->f32()));
  }
  if (Tensor* const db = call.input_gradients[1]) {
    kernels::BatchMatMulGradientB(dc, product.Flat(call.inputs[0]->f32()), product.transposes,
                                  db->f32());
  }
  return OkStatus();
}

// --- Dense --------------------------------------------------------------------------------------

constexpr kernels::Transposes kDenseTransposes = {.b = true};

Status CheckDense(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputCount(op, 2, 3));
  return ExpectFloats(graph, op);
}

void AdaptDense(const Graph& graph, const Operator& op, OperatorLayout& layout) {
  (void)graph;
  (void)op;
  MakeWhole(layout, layout.inputs[1], 1, 2);
}

Status DenseForward(const ForwardCall& call) {
  const View<float> y = Rows(call.outputs[0]->f32());
  kernels::MatMul(Rows(call.inputs[0]->f32()), call.inputs[1]->f32(), kDenseTransposes, y);
  if (call.inputs.size() == 3) kernels::Add(y, call.inputs[2]->f32(), y);
  return OkStatus();
}

Status DenseBackward(const BackwardCall& call) {
  const View<const float> dy = Rows(call.output_gradients[0]->f32());
  if (Tensor* const dx = call.input_gradients[0]) {
    kernels::MatMulGradientA(dy, call.inputs[1]->f32(), kDenseTransposes, Rows(dx->f32()));
  }
  if (Tensor* const dw = call.input_gradients[1]) {
    kernels::MatMulGradientB(dy, Rows(call.inputs[0]->f32()), kDenseTransposes, dw->f32());
  }
  if (call.input_gradients.size() == 3 && call.input_gradients[2] != nullptr) {
    kernels::SumTo(dy, call.input_gradients[2]->f32());
  }
  return OkStatus();
}

OperatorKernel ProductKernel(std::string_view type) {
  return {.type = type,
          .forward = ProductForward,
          .backward = ProductBackward,
          .check = CheckProduct,
          .adapt = AdaptProduct,
          .reads_inputs = 0b11,
          .reads_outputs = 0};
}

}  // namespace

std::vector<OperatorKernel> MatrixKernels() {
  return {ProductKernel("BatchMatMul"),
          ProductKernel("BatchMatMulExt"),
          {.type = "Dense",
           .forward = DenseForward,
           .backward = DenseBackward,
           .check = CheckDense,
           .adapt = AdaptDense,
           .reads_inputs = 0b11,
           .reads_outputs = 0},
          ProductKernel("MatMul"),
          ProductKernel("MatMulExt"),
          ProductKernel("Mm")};
}

}  // namespace relayout
