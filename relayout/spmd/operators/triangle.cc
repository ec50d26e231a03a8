// SPDX-License-Identifier: Apache-2.0
//
//   Tril, Triu  x[a,b,c] -> y[a,b,c]    diagonal
//
// Rows may be cut: where a rank's first one lies in the whole says where the diagonal is.
#include "relayout/spmd/kernels/arrange.h"
#include "relayout/spmd/operators/attributes.h"
#include "relayout/spmd/operators/cuts.h"
#include "relayout/spmd/operators/families.h"

namespace relayout {
namespace {

void Take(const RankOperator& at, const Tensor& x, Tensor& y) {
  const Dims& begin = at.output_boxes[0].begin;
  kernels::TakeTriangle(
      x.f32(), at.op->type == "Tril" ? kernels::Triangle::kLower : kernels::Triangle::kUpper,
      at.op->attributes.GetInt("diagonal", 0), begin[begin.size() - 2], y.f32());
}

Status TriangleForward(const ForwardCall& call) {
  Take(call.at, *call.inputs[0], *call.outputs[0]);
  return OkStatus();
}

Status TriangleBackward(const BackwardCall& call) {
  if (Tensor* const dx = call.input_gradients[0]) Take(call.at, *call.output_gradients[0], *dx);
  return OkStatus();
}

Status CheckTriangle(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectFloats(graph, op));
  if (graph.value(op.inputs[0]).shape.size() >= 2) return OkStatus();
  return Refuse(op, "its input has fewer than 2 dims");
}

void AdaptTriangle(const Graph& graph, const Operator& op, OperatorLayout& layout) {
  (void)graph;
  (void)op;
  const size_t dim_count = layout.inputs[0].dim_count();
  MakeWhole(layout, layout.inputs[0], dim_count - 1, dim_count);
}

OperatorKernel TriangleKernel(std::string_view type) {
  return {.type = type,
          .forward = TriangleForward,
          .backward = TriangleBackward,
          .check = CheckTriangle,
          .adapt = AdaptTriangle,
          .reads_inputs = 0,
          .reads_outputs = 0,
          .in_place = true};
}

}  // namespace

std::vector<OperatorKernel> TriangleKernels() {
  return {TriangleKernel("Tril"), TriangleKernel("Triu")};
}

}  // namespace relayout
