// SPDX-License-Identifier: Apache-2.0
//
//   ReduceSum, ReduceMean    x[a,b] axis 1 -> y[a] or y[a,1]    keep_dims
//   SumExt, MeanExt          x[a,b] dim 1  -> y[a] or y[a,1]    keepdim
//
// A cut b makes y a term. A mean divides by the whole's count, so that its terms add up to it.
#include "relayout/spmd/kernels/reduce.h"
#include "relayout/spmd/operators/attributes.h"
#include "relayout/spmd/operators/families.h"

namespace relayout {
namespace {

kernels::DimSet ReducedDims(const Operator& op, size_t dim_count) {
  const bool is_ext = op.type == "SumExt" || op.type == "MeanExt";
  const auto axes = op.attributes.GetInts(is_ext ? "dim" : "axis");
  return kernels::ToDimSet(axes.value_or(std::vector<int64_t>{}), dim_count);
}

struct Reduction {
  kernels::DimSet dims;
  float scale = 1;
};

Reduction ReductionOf(const RankOperator& at) {
  const Dims& whole = at.whole_input(0);
  Reduction reduction = {.dims = ReducedDims(*at.op, whole.size())};
  if (at.op->type == "ReduceMean" || at.op->type == "MeanExt") {
    const int64_t count = kernels::ReducedCount(whole, reduction.dims);
    reduction.scale = static_cast<float>(1 / static_cast<double>(count));
  }
  return reduction;
}

Status CheckReduction(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputCount(op, 1, 1));
  if (op.attributes.GetBool("skip_mode", false)) return RefuseAttribute(op, "skip_mode", "false");
  return ExpectFloats(graph, op);
}

Status ReduceForward(const ForwardCall& call) {
  const Reduction reduction = ReductionOf(call.at);
  kernels::SumOver(call.inputs[0]->f32(), reduction.dims, reduction.scale,
                   call.outputs[0]->f32().data);
  return OkStatus();
}

Status ReduceBackward(const BackwardCall& call) {
  Tensor* const dx = call.input_gradients[0];
  if (dx == nullptr) return OkStatus();
  const Reduction reduction = ReductionOf(call.at);
  const Dims kept = kernels::KeptAsOnes(dx->shape(), reduction.dims);
  kernels::Broadcast(call.output_gradients[0]->f32().Reshaped(kept), reduction.scale, dx->f32());
  return OkStatus();
}

}  // namespace

std::vector<OperatorKernel> ReductionKernels() {
  std::vector<OperatorKernel> kernels;
  for (const std::string_view type : {"MeanExt", "ReduceMean", "ReduceSum", "SumExt"}) {
    kernels.push_back({.type = type,
                       .forward = ReduceForward,
                       .backward = ReduceBackward,
                       .check = CheckReduction,
                       .reads_inputs = 0,
                       .reads_outputs = 0});
  }
  return kernels;
}

}  // namespace relayout
