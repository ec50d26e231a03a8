// SPDX-License-Identifier: Apache-2.0
//
// Taking tensors apart and putting them together.
//
//   Split, SplitTensor, SplitWithSize    x[a,b]        -> y[a,b/2] z[a,b/2]
//   Concat                               x[a,b] z[a,c] -> y[a,b+c]
//   Stack, StackExt                      x[a,b] z[a,b] -> y[a,2,b]
//   StridedSlice, Slice, SliceExt, Narrow    x[a,b]    -> y[a,b/2]
//
// Attributes are of the whole: a dim along which something is taken or put together is whole on
// each rank, and infer/ leaves it so but for Narrow, for which MindSpore has no rule. Any other dim
// is taken from its begin to its end, be it a piece's.
#include "relayout/base/check.h"
#include "relayout/base/text.h"
#include "relayout/spmd/kernels/arrange.h"
#include "relayout/spmd/operators/attributes.h"
#include "relayout/spmd/operators/calls.h"
#include "relayout/spmd/operators/cuts.h"
#include "relayout/spmd/operators/families.h"

namespace relayout {
namespace {

// What lies in a tensor at begin, begin + step, ... along each dim, as many as `shape` says.
struct Region {
  Dims begin;
  Dims step;
  Dims shape;

  // All of a tensor of this shape.
  static Region All(const Dims& shape) {
    return {Dims::Filled(shape.size(), 0), Dims::Filled(shape.size(), 1), shape};
  }
  bool TakesAll(size_t d, int64_t length) const {
    return begin[d] == 0 && step[d] == 1 && shape[d] == length;
  }
};

// part = the region of whole. The part may have other dims.
void Take(const Tensor& whole, const Region& region, Tensor& part) {
  if (whole.dtype() == DType::kInt32) {
    kernels::Slice(whole.i32(), region.begin, region.step, part.i32().Reshaped(region.shape));
  } else {
    kernels::Slice(whole.f32(), region.begin, region.step, part.f32().Reshaped(region.shape));
  }
}

// The region of whole = part.
void Put(const Tensor& part, const Region& region, Tensor& whole) {
  if (whole.dtype() == DType::kInt32) {
    kernels::Paste(part.i32().Reshaped(region.shape), region.begin, region.step, whole.i32());
  } else {
    kernels::Paste(part.f32().Reshaped(region.shape), region.begin, region.step, whole.f32());
  }
}

void Clear(Tensor& tensor) {
  for (float& value : tensor.f32().elements()) value = 0;
}

// --- Split, Concat, Stack -----------------------------------------------------------------------

// The dim of x, or of y, that is cut into parts or put together of them.
size_t PartedDim(const Operator& op, size_t dim_count) {
  const std::string_view name = op.attributes.Find("dim") != nullptr ? "dim" : "axis";
  return DimOf(op, name, 0, dim_count);
}

void AdaptSplit(const Graph& graph, const Operator& op, OperatorLayout& layout) {
  (void)graph;
  const size_t dim = PartedDim(op, layout.inputs[0].dim_count());
  MakeWhole(layout, layout.inputs[0], dim, dim + 1);
}

void AdaptConcat(const Graph& graph, const Operator& op, OperatorLayout& layout) {
  (void)graph;
  const size_t dim = PartedDim(op, layout.outputs[0].dim_count());
  MakeWhole(layout, layout.outputs[0], dim, dim + 1);
}

// Calls body(number of the part, its region) for parts that follow each other along a dim of a
// tensor of `whole`; length(i) is that of a part there.
template <typename Length, typename Body>
void ForParts(const Dims& whole, size_t dim, size_t count, const Length& length, const Body& body) {
  Region region = Region::All(whole);
  for (size_t i = 0; i < count; ++i) {
    region.shape[dim] = length(i);
    body(i, region);
    region.begin[dim] += region.shape[dim];
  }
  RELAYOUT_CHECK(region.begin[dim] == whole[dim]);
}

Status SplitForward(const ForwardCall& call) {
  const Tensor& x = *call.inputs[0];
  const size_t dim = PartedDim(*call.at.op, x.shape().size());
  ForParts(
      x.shape(), dim, call.outputs.size(), [&](size_t i) { return call.outputs[i]->shape()[dim]; },
      [&](size_t i, const Region& region) { Take(x, region, *call.outputs[i]); });
  return OkStatus();
}

Status SplitBackward(const BackwardCall& call) {
  Tensor* const dx = call.input_gradients[0];
  if (dx == nullptr) return OkStatus();
  const size_t dim = PartedDim(*call.at.op, dx->shape().size());
  const auto length = [&](size_t i) { return call.at.output_boxes[i].shape()[dim]; };
  Clear(*dx);
  ForParts(dx->shape(), dim, call.output_gradients.size(), length,
           [&](size_t i, const Region& region) {
             if (call.output_gradients[i] != nullptr) Put(*call.output_gradients[i], region, *dx);
           });
  return OkStatus();
}

// Along which dim of y, and how long there, the inputs are.
struct Parts {
  size_t dim = 0;
  std::vector<int64_t> lengths;
};

Parts PartsOf(const RankOperator& at) {
  const size_t dim_count = at.output_boxes[0].begin.size();
  Parts parts;
  parts.dim = PartedDim(*at.op, dim_count);
  for (const Box& box : at.input_boxes) {
    const bool is_stacked = box.begin.size() < dim_count;
    parts.lengths.push_back(is_stacked ? 1 : box.end[parts.dim] - box.begin[parts.dim]);
  }
  return parts;
}

Status ConcatForward(const ForwardCall& call) {
  Tensor& y = *call.outputs[0];
  const Parts parts = PartsOf(call.at);
  ForParts(
      y.shape(), parts.dim, call.inputs.size(), [&](size_t i) { return parts.lengths[i]; },
      [&](size_t i, const Region& region) { Put(*call.inputs[i], region, y); });
  return OkStatus();
}

Status ConcatBackward(const BackwardCall& call) {
  const Tensor& dy = *call.output_gradients[0];
  const Parts parts = PartsOf(call.at);
  ForParts(
      dy.shape(), parts.dim, call.input_gradients.size(),
      [&](size_t i) { return parts.lengths[i]; },
      [&](size_t i, const Region& region) {
        if (call.input_gradients[i] != nullptr) Take(dy, region, *call.input_gradients[i]);
      });
  return OkStatus();
}

// --- Slices -------------------------------------------------------------------------------------

// Where a slice begins that counts from the right when negative, moved into [0, length) as Python
// does.
int64_t BeginOf(int64_t begin, int64_t length, int64_t step) {
  if (begin < 0) begin = std::max(begin + length, step > 0 ? int64_t{0} : int64_t{-1});
  return std::min(begin, step > 0 ? length : length - 1);
}

std::vector<int64_t> Ints(const Operator& op, std::string_view name) {
  return op.attributes.GetInts(name).value_or(std::vector<int64_t>{});
}

// An entry for each dim of x from the left; a new axis takes none of them. The bits of the masks
// speak of entries.
Region StridedRegion(const Operator& op, const Dims& x, const Dims& y) {
  const auto bit = [&op](std::string_view mask, size_t entry) {
    return (op.attributes.GetInt(mask, 0) >> entry & 1) != 0;
  };
  const std::vector<int64_t> begin = Ints(op, "begin");
  const std::vector<int64_t> strides = Ints(op, "strides");
  Region region = Region::All(x);
  size_t of_x = 0;
  size_t of_y = 0;
  for (size_t entry = 0; entry < begin.size(); ++entry) {
    if (bit("new_axis_mask", entry)) {
      ++of_y;
      continue;
    }
    const bool shrinks = bit("shrink_axis_mask", entry);
    const int64_t step = shrinks ? 1 : strides[entry];
    const int64_t first = step > 0 ? 0 : x[of_x] - 1;
    region.step[of_x] = step;
    region.begin[of_x] =
        bit("begin_mask", entry) && !shrinks ? first : BeginOf(begin[entry], x[of_x], step);
    region.shape[of_x] = shrinks ? 1 : y[of_y++];
    ++of_x;
  }
  return region;
}

// What the operator takes of the whole.
Region WholeRegion(const Graph& graph, const Operator& op) {
  const Dims& x = graph.value(op.inputs[0]).shape;
  const Dims& y = graph.value(op.outputs[0]).shape;
  if (op.type == "StridedSlice") return StridedRegion(op, x, y);
  Region region = Region::All(x);
  region.shape = y;
  if (op.type == "Slice") {
    const std::vector<int64_t> begin = Ints(op, "begin");
    for (size_t d = 0; d < x.size(); ++d) region.begin[d] = begin[d];
    return region;
  }
  const size_t dim = PartedDim(op, x.size());
  region.step[dim] = op.attributes.GetInt("step", 1);
  region.begin[dim] = BeginOf(op.attributes.GetInt("start", 0), x[dim], 1);
  return region;
}

// ... of a rank's piece, of which that is whole what is not taken whole.
Region LocalRegion(const RankOperator& at) {
  Region region = WholeRegion(*at.graph, *at.op);
  const Dims piece = at.input_boxes[0].shape();
  for (size_t d = 0; d < piece.size(); ++d) {
    if (region.TakesAll(d, at.whole_input(0)[d])) region.shape[d] = piece[d];
  }
  return region;
}

Status CheckSlice(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputCount(op, 1, 1));
  RELAYOUT_RETURN_IF_ERROR(ExpectOneType(graph, op));
  if (op.attributes.GetInt("ellipsis_mask", 0) == 0) return OkStatus();
  return RefuseAttribute(op, "ellipsis_mask", "0");
}

void AdaptSlice(const Graph& graph, const Operator& op, OperatorLayout& layout) {
  const Region region = WholeRegion(graph, op);
  const Dims& x = graph.value(op.inputs[0]).shape;
  for (size_t d = 0; d < x.size(); ++d) {
    if (!region.TakesAll(d, x[d])) MakeWhole(layout, layout.inputs[0], d, d + 1);
  }
}

Status SliceForward(const ForwardCall& call) {
  Take(*call.inputs[0], LocalRegion(call.at), *call.outputs[0]);
  return OkStatus();
}

Status SliceBackward(const BackwardCall& call) {
  if (Tensor* const dx = call.input_gradients[0]) {
    Clear(*dx);
    Put(*call.output_gradients[0], LocalRegion(call.at), *dx);
  }
  return OkStatus();
}

OperatorKernel Kernel(std::string_view type, Status (*forward)(const ForwardCall&),
                      Status (*backward)(const BackwardCall&),
                      void (*adapt)(const Graph&, const Operator&, OperatorLayout&)) {
  return {.type = type,
          .forward = forward,
          .backward = backward,
          .check = ExpectOneType,
          .adapt = adapt,
          .reads_inputs = 0,
          .reads_outputs = 0};
}

}  // namespace

std::vector<OperatorKernel> PieceKernels() {
  std::vector<OperatorKernel> kernels;
  for (const std::string_view type : {"Split", "SplitTensor", "SplitWithSize"}) {
    kernels.push_back(Kernel(type, SplitForward, SplitBackward, AdaptSplit));
  }
  for (const std::string_view type : {"Concat", "Stack", "StackExt"}) {
    kernels.push_back(Kernel(type, ConcatForward, ConcatBackward, AdaptConcat));
  }
  for (const std::string_view type : {"Narrow", "Slice", "SliceExt", "StridedSlice"}) {
    kernels.push_back(Kernel(type, SliceForward, SliceBackward, AdaptSlice));
    kernels.back().check = CheckSlice;
  }
  return kernels;
}

}  // namespace relayout
