// SPDX-License-Identifier: Apache-2.0
//
// The same elements under other dims.
//
//   Reshape, Flatten, ExpandDims, Squeeze    x[a,b,c] -> y[a,b*c]    the same elements in order
//   Transpose                                x[a,b]   -> y[b,a]      dims
//   BroadcastTo                              x[a,1]   -> y[n,a,b]
//   Tile                                     x[a,b]   -> y[a,8*b]    dims; pieces of y hold copies
//
// Shapes are those of the rank's tensors; the attributes' are of the whole. A Reshape works where
// each rank's elements of x are those that it has of y: x f32[8,16] (a,-) to y f32[2,4,16]
// (a,-,-) on two ranks, but not to y (-,a,-). Cuts where it is not so are taken out.
#include "relayout/base/check.h"
#include "relayout/spmd/kernels/arrange.h"
#include "relayout/spmd/kernels/elementwise.h"
#include "relayout/spmd/kernels/reduce.h"
#include "relayout/spmd/operators/attributes.h"
#include "relayout/spmd/operators/calls.h"
#include "relayout/spmd/operators/cuts.h"
#include "relayout/spmd/operators/families.h"

namespace relayout {
namespace {

Status CheckInOrder(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputCount(op, 1, 1));
  return ExpectOneType(graph, op);
}

OperatorKernel InOrder(std::string_view type) {
  return {.type = type,
          .forward = CopyForward,
          .backward = CopyBackward,
          .check = CheckInOrder,
          .adapt = AdaptToOrder,
          .reads_inputs = 0,
          .reads_outputs = 0,
          .in_place = true,
          .is_view = true};
}

// --- Transpose ----------------------------------------------------------------------------------

Dims OrderOf(const Operator& op, size_t dim_count) {
  const std::vector<int64_t> given = op.attributes.GetInts("dims").value_or(std::vector<int64_t>{});
  RELAYOUT_CHECK(given.size() == dim_count);
  Dims order;
  for (const int64_t dim : given) {
    order.push_back(dim < 0 ? dim + static_cast<int64_t>(dim_count) : dim);
  }
  return order;
}

Status CheckTranspose(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectOneType(graph, op));
  const auto given = op.attributes.GetInts("dims");
  if (given && given->size() == graph.value(op.inputs[0]).shape.size()) return OkStatus();
  return RefuseAttribute(op, "dims", "the order of all dims");
}

Status TransposeForward(const ForwardCall& call) {
  const Tensor& x = *call.inputs[0];
  Tensor& y = *call.outputs[0];
  const Dims order = OrderOf(*call.at.op, x.shape().size());
  if (x.dtype() == DType::kInt32) {
    kernels::Transpose(x.i32(), order, y.i32());
  } else {
    kernels::Transpose(x.f32(), order, y.f32());
  }
  return OkStatus();
}

Status TransposeBackward(const BackwardCall& call) {
  const View<const float> dy = call.output_gradients[0]->f32();
  if (Tensor* const dx = call.input_gradients[0]) {
    const Dims order = OrderOf(*call.at.op, dy.shape.size());
    kernels::Transpose(dy, kernels::InverseOrder(order), dx->f32());
  }
  return OkStatus();
}

// --- BroadcastTo and Tile -----------------------------------------------------------------------

Status BroadcastForward(const ForwardCall& call) {
  kernels::Broadcast(call.inputs[0]->f32(), 1, call.outputs[0]->f32());
  return OkStatus();
}

Status BroadcastBackward(const BackwardCall& call) {
  if (Tensor* const dx = call.input_gradients[0]) {
    kernels::SumTo(call.output_gradients[0]->f32(), dx->f32());
  }
  return OkStatus();
}

// Each dim of y as its copies of x's dim: y f32[4,24] of x f32[8] is [4,1,3,8], and x [1,1,1,8].
struct TiledShapes {
  Dims x;
  Dims y;
};

TiledShapes ToTiled(const Dims& x, const Dims& y) {
  TiledShapes tiled;
  for (size_t d = 0; d < y.size(); ++d) {
    const size_t new_dims = y.size() - x.size();
    const int64_t length = d < new_dims ? 1 : x[d - new_dims];
    const int64_t copies = length == 0 ? 1 : y[d] / length;
    for (Dims* const dims : {&tiled.x, &tiled.y}) {
      dims->push_back(dims == &tiled.x ? 1 : copies);
      dims->push_back(length);
    }
  }
  return tiled;
}

Status CheckTile(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectFloats(graph, op));
  if (2 * graph.value(op.outputs[0]).shape.size() <= kMaxDims) return OkStatus();
  return Refuse(op, "makes more dims than relayout runs it on");
}

Status TileForward(const ForwardCall& call) {
  const View<const float> x = call.inputs[0]->f32();
  const View<float> y = call.outputs[0]->f32();
  const TiledShapes tiled = ToTiled(x.shape, y.shape);
  kernels::Broadcast(x.Reshaped(tiled.x), 1, y.Reshaped(tiled.y));
  return OkStatus();
}

Status TileBackward(const BackwardCall& call) {
  const View<const float> dy = call.output_gradients[0]->f32();
  if (Tensor* const dx = call.input_gradients[0]) {
    const TiledShapes tiled = ToTiled(dx->shape(), dy.shape);
    kernels::SumTo(dy.Reshaped(tiled.y), dx->f32().Reshaped(tiled.x));
  }
  return OkStatus();
}

}  // namespace

std::vector<OperatorKernel> ShapeKernels() {
  OperatorKernel broadcast = {.type = "BroadcastTo",
                              .forward = BroadcastForward,
                              .backward = BroadcastBackward,
                              .check = ExpectFloats,
                              .reads_inputs = 0,
                              .reads_outputs = 0};
  OperatorKernel tile = broadcast;
  tile.type = "Tile";
  tile.forward = TileForward;
  tile.backward = TileBackward;
  tile.check = CheckTile;
  OperatorKernel transpose = broadcast;
  transpose.type = "Transpose";
  transpose.forward = TransposeForward;
  transpose.backward = TransposeBackward;
  transpose.check = CheckTranspose;
  return {broadcast,          tile,
          transpose,          InOrder("ExpandDims"),
          InOrder("Flatten"), InOrder("FlattenExt"),
          InOrder("Reshape"), InOrder("Squeeze")};
}

}  // namespace relayout
