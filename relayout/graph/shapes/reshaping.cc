// SPDX-License-Identifier: Apache-2.0
//
//   Reshape     f32[4,8,16] shape=(-1,16)   -> f32[32,16]
//   Flatten     f32[4,1,28,28]              -> f32[4,784]
//   Transpose   f32[4,8,16] dims=(0,2,1)    -> f32[4,16,8]
//   ExpandDims  f32[4,8]    axis=1          -> f32[4,1,8]
//   Squeeze     f32[4,1,8]                  -> f32[4,8]
//   Tile        f32[4,8]    dims=(2,1,3)    -> f32[2,4,24]
//   BroadcastTo f32[1,8]    shape=(4,-1)    -> f32[4,8]
#include <algorithm>

#include "relayout/base/checked_math.h"
#include "relayout/base/text.h"
#include "relayout/graph/shapes/families.h"

namespace relayout {
namespace {

Status TooManyDims(const ShapeCall& call) {
  return call.Fail(Format("makes more than {} dims", kMaxDims));
}

Status TooLarge(const ShapeCall& call) { return call.Fail("makes more than 2^63 elements"); }

Result<int64_t> Elements(const ShapeCall& call, const Dims& shape) {
  if (const std::optional<int64_t> count = ElementCount(shape)) return *count;
  return TooLarge(call);
}

// The target with its -1 as what the others leave of `elements`.
Result<Dims> Resolved(const ShapeCall& call, const std::vector<int64_t>& target, int64_t elements) {
  if (target.size() > kMaxDims) return TooManyDims(call);
  Dims shape = ToDims(target);
  int64_t* open = nullptr;
  for (int64_t& length : shape) {
    if (length >= 0) continue;
    if (length != -1 || open != nullptr) {
      return call.Fail(Format("no shape: {}", ToText(shape)));
    }
    open = &length;
  }
  if (open == nullptr) return shape;
  *open = 1;
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t others, Elements(call, shape));
  *open = others == 0 ? 0 : elements / others;
  return shape;
}

Result<ResultTypeList> Reshape(const ShapeCall& call) {
  // Some pass the shape as a tensor as well; what counts is the attribute.
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1, 2));
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<int64_t> target, call.Ints("shape"));
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t elements, Elements(call, call.shape(0)));
  RELAYOUT_ASSIGN_OR_RETURN(const Dims shape, Resolved(call, target, elements));
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t made, Elements(call, shape));
  if (made != elements) {
    return call.Fail(Format("{} has {} elements, {} has {}", ToText(call.shape(0)), elements,
                            TextOf(target), made));
  }
  return ResultTypeList{{call.dtype(0), shape}};
}

// Dims [begin, end] of input 0 as one.
Result<ResultTypeList> Merged(const ShapeCall& call, size_t begin, size_t end) {
  const Dims& shape = call.shape(0);
  Dims merged;
  int64_t length = 1;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (d < begin || d > end) {
      merged.push_back(shape[d]);
      continue;
    }
    const std::optional<int64_t> product = CheckedMul(length, shape[d]);
    if (!product) return TooLarge(call);
    length = *product;
    if (d == end) merged.push_back(length);
  }
  return ResultTypeList{{call.dtype(0), merged}};
}

Result<ResultTypeList> Flatten(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  if (call.dim_count(0) == 0) return ResultTypeList{{call.dtype(0), {1}}};
  if (call.dim_count(0) == 1) return ResultTypeList{{call.dtype(0), {call.shape(0)[0], 1}}};
  return Merged(call, 1, call.dim_count(0) - 1);
}

Result<ResultTypeList> FlattenExt(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  if (call.dim_count(0) == 0) return ResultTypeList{{call.dtype(0), {1}}};
  const Attributes& given = call.attributes();
  RELAYOUT_ASSIGN_OR_RETURN(const size_t begin,
                            call.Axis(given.GetInt("start_dim", 0), call.shape(0)));
  RELAYOUT_ASSIGN_OR_RETURN(const size_t end,
                            call.Axis(given.GetInt("end_dim", -1), call.shape(0)));
  if (begin > end) return call.Fail(Format("merges dims {} to {}", begin, end));
  return Merged(call, begin, end);
}

Result<ResultTypeList> Permuted(const ShapeCall& call, const std::vector<size_t>& dims) {
  if (dims.size() != call.dim_count(0)) {
    return call.Fail(Format("exchanges {}, but {} has {}",
                            Count(static_cast<int64_t>(dims.size()), "dim"), ToText(call.shape(0)),
                            call.dim_count(0)));
  }
  TensorType result = {call.dtype(0), {}};
  for (const size_t d : dims) result.shape.push_back(call.shape(0)[d]);
  return ResultTypeList{result};
}

Result<ResultTypeList> TransposeBy(const ShapeCall& call, std::string_view name) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  RELAYOUT_RETURN_IF_ERROR(call.Ints(name).status());
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<size_t> dims, call.Axes(name, {}));
  return Permuted(call, dims);
}
Result<ResultTypeList> Transpose(const ShapeCall& call) { return TransposeBy(call, "dims"); }
Result<ResultTypeList> TransposeView(const ShapeCall& call) {
  return TransposeBy(call, "input_perm");
}

Result<ResultTypeList> TransposeTwo(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t given_a, call.Int("dim0"));
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t given_b, call.Int("dim1"));
  RELAYOUT_ASSIGN_OR_RETURN(const size_t a, call.Axis(given_a, call.shape(0)));
  RELAYOUT_ASSIGN_OR_RETURN(const size_t b, call.Axis(given_b, call.shape(0)));
  TensorType result = call.input(0);
  std::swap(result.shape[a], result.shape[b]);
  return ResultTypeList{result};
}

Result<ResultTypeList> Turned(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  TensorType result = call.input(0);
  std::reverse(result.shape.begin(), result.shape.end());
  return ResultTypeList{result};
}

Result<ResultTypeList> ExpandAt(const ShapeCall& call, std::string_view name) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t axis, call.Int(name));
  const auto dims = static_cast<int64_t>(call.dim_count(0));
  if (axis < -dims - 1 || axis > dims) {
    return call.Fail(Format("no place {} for a new dim in {}", axis, ToText(call.shape(0))));
  }
  if (call.dim_count(0) == kMaxDims) return TooManyDims(call);
  const int64_t place = axis < 0 ? axis + dims + 1 : axis;
  TensorType result = {call.dtype(0), {}};
  for (int64_t d = 0; d <= dims; ++d) {
    if (d == place) result.shape.push_back(1);
    if (d < dims) result.shape.push_back(call.shape(0)[static_cast<size_t>(d)]);
  }
  return ResultTypeList{result};
}
Result<ResultTypeList> ExpandDims(const ShapeCall& call) { return ExpandAt(call, "axis"); }
Result<ResultTypeList> ExpandDimsView(const ShapeCall& call) { return ExpandAt(call, "dim"); }

Result<ResultTypeList> Squeeze(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<size_t> axes, call.Axes("axis", {}));
  TensorType result = {call.dtype(0), {}};
  for (size_t d = 0; d < call.dim_count(0); ++d) {
    const int64_t length = call.shape(0)[d];
    const bool named = std::find(axes.begin(), axes.end(), d) != axes.end();
    if (named && length != 1) {
      return call.Fail(Format("dim {} of {} is {}, not 1", d, ToText(call.shape(0)), length));
    }
    if (!named && (length != 1 || !axes.empty())) result.shape.push_back(length);
  }
  return ResultTypeList{result};
}

Result<ResultTypeList> BroadcastTo(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1, 2));
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<int64_t> target, call.Ints("shape"));
  if (target.size() > kMaxDims) return TooManyDims(call);
  TensorType result = {call.dtype(0), ToDims(target)};
  const Dims& own = call.shape(0);
  bool fits = own.size() <= target.size();
  for (size_t d = 0; fits && d < target.size(); ++d) {
    const bool is_new = d + own.size() < target.size();
    const int64_t length = is_new ? 1 : own[d + own.size() - target.size()];
    if (result.shape[d] == -1 && !is_new) result.shape[d] = length;
    fits = result.shape[d] >= 0 && (length == 1 || length == result.shape[d]);
  }
  if (!fits) {
    return call.Fail(Format("{} does not broadcast to {}", ToText(own), TextOf(target)));
  }
  return ResultTypeList{result};
}

Result<ResultTypeList> ExpandAs(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(2));
  return ResultTypeList{{call.dtype(0), call.shape(1)}};
}

// Each dim of `shape`, the last ones aligned, `times` as long.
Result<ResultTypeList> Repeated(const ShapeCall& call, const std::vector<int64_t>& times) {
  const Dims& own = call.shape(0);
  const size_t dim_count = std::max(own.size(), times.size());
  if (dim_count > kMaxDims) return TooManyDims(call);
  TensorType result = {call.dtype(0), Dims::Filled(dim_count, 1)};
  for (size_t d = 0; d < dim_count; ++d) {
    const int64_t length = d + own.size() < dim_count ? 1 : own[d + own.size() - dim_count];
    const int64_t repeat = d + times.size() < dim_count ? 1 : times[d + times.size() - dim_count];
    const std::optional<int64_t> product = CheckedMul(length, repeat);
    if (repeat < 0 || !product) {
      return call.Fail(Format("cannot repeat {} {} times", ToText(own), TextOf(times)));
    }
    result.shape[d] = *product;
  }
  return ResultTypeList{result};
}

Result<ResultTypeList> Tile(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<int64_t> times, call.Ints("dims"));
  if (times.size() > kMaxDims) return TooManyDims(call);
  return Repeated(call, times);
}

Result<ResultTypeList> Repeat(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<int64_t> times, call.Ints("repeats"));
  if (times.size() > kMaxDims) return TooManyDims(call);
  if (times.size() < call.dim_count(0)) {
    return call.Fail(Format("repeats {} for {}", TextOf(times), ToText(call.shape(0))));
  }
  return Repeated(call, times);
}

Result<ResultTypeList> RepeatInterleave(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t times, call.Int("repeats"));
  if (!call.attributes().GetInts("dim")) {
    RELAYOUT_ASSIGN_OR_RETURN(const int64_t elements, Elements(call, call.shape(0)));
    const std::vector<TensorType> flat = {{call.dtype(0), {elements}}};
    return Repeated(call.On(flat), {times});
  }
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t given, call.Int("dim"));
  RELAYOUT_ASSIGN_OR_RETURN(const size_t axis, call.Axis(given, call.shape(0)));
  std::vector<int64_t> of_dims(call.dim_count(0), 1);
  of_dims[axis] = times;
  return Repeated(call, of_dims);
}

}  // namespace

std::vector<ShapeRule> ReshapingShapes() {
  return {{"BroadcastTo", BroadcastTo},
          {"BroadcastToView", BroadcastTo},
          {"ExpandAs", ExpandAs},
          {"ExpandDims", ExpandDims},
          {"ExpandDimsView", ExpandDimsView},
          {"Flatten", Flatten},
          {"FlattenExt", FlattenExt},
          {"Repeat", Repeat},
          {"RepeatInterleaveInt", RepeatInterleave},
          {"Reshape", Reshape},
          {"Squeeze", Squeeze},
          {"TExt", Turned},
          {"Tile", Tile},
          {"Transpose", Transpose},
          {"TransposeExtView", TransposeTwo},
          {"TransposeView", TransposeView},
          {"View", Reshape}};
}

}  // namespace relayout
