// SPDX-License-Identifier: Apache-2.0
//
//   Softmax    f32[4,8]                       -> f32[4,8]
//   LayerNorm  f32[4,8] f32[8] f32[8]         -> f32[4,8] f32[4,1] f32[4,1]    mean, variance
//   RmsNorm    f32[4,8] f32[8]                -> f32[4,8] f32[4,1]             1 / deviation
//   BatchNorm  f32[4,8,9,9] 4 times f32[8]    -> f32[4,8,9,9] 4 times f32[8]
//   Dropout    f32[4,8]                       -> f32[4,8] f32[4,8]             mask
#include "relayout/base/text.h"
#include "relayout/graph/shapes/families.h"

namespace relayout {
namespace {

Result<ResultTypeList> SoftmaxAlong(const ShapeCall& call, std::string_view axis) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  if (call.dim_count(0) != 0) RELAYOUT_RETURN_IF_ERROR(call.Axes(axis, {-1}).status());
  return ResultTypeList{call.input(0)};
}
Result<ResultTypeList> Softmax(const ShapeCall& call) { return SoftmaxAlong(call, "axis"); }
Result<ResultTypeList> SoftmaxExt(const ShapeCall& call) { return SoftmaxAlong(call, "dim"); }

// `shape` with its dims from `begin` on as 1: what is left of it after statistics over these.
Dims OnesFrom(const Dims& shape, size_t begin) {
  Dims statistics = shape;
  for (size_t d = begin; d < shape.size(); ++d) statistics[d] = 1;
  return statistics;
}

// Fails unless input `i` has the shape of the last dims of input 0.
Status ExpectLastDims(const ShapeCall& call, size_t i) {
  const Dims& shape = call.shape(0);
  const Dims& own = call.shape(i);
  bool fits = own.size() <= shape.size();
  for (size_t d = 0; fits && d < own.size(); ++d) {
    fits = own[d] == shape[shape.size() - own.size() + d];
  }
  if (fits) return OkStatus();
  return call.Fail(Format("input {} {} is not the last dims of {}", i, ToText(own), ToText(shape)));
}

Result<ResultTypeList> LayerNorm(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(3));
  RELAYOUT_RETURN_IF_ERROR(ExpectLastDims(call, 1));
  RELAYOUT_RETURN_IF_ERROR(ExpectLastDims(call, 2));
  const int64_t given = call.attributes().GetInt("begin_norm_axis", 1);
  RELAYOUT_ASSIGN_OR_RETURN(const size_t begin, call.Axis(given, call.shape(0)));
  const TensorType statistics = {call.dtype(0), OnesFrom(call.shape(0), begin)};
  return ResultTypeList{call.input(0), statistics, statistics};
}

Result<ResultTypeList> LayerNormExt(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1, 3));
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<int64_t> shape, call.Ints("normalized_shape"));
  if (shape.size() > call.dim_count(0)) {
    return call.Fail(
        Format("normalized_shape {} has more dims than {}", TextOf(shape), ToText(call.shape(0))));
  }
  const TensorType statistics = {DType::kFloat32,
                                 OnesFrom(call.shape(0), call.dim_count(0) - shape.size())};
  return ResultTypeList{call.input(0), statistics, statistics};
}

Result<ResultTypeList> RmsNorm(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(2));
  RELAYOUT_RETURN_IF_ERROR(ExpectLastDims(call, 1));
  return ResultTypeList{
      call.input(0),
      {DType::kFloat32, OnesFrom(call.shape(0), call.dim_count(0) - call.dim_count(1))}};
}

// x1 + x2, normalized; the sum comes last.
Result<ResultTypeList> AddRmsNorm(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(3));
  RELAYOUT_RETURN_IF_ERROR(ExpectLastDims(call, 2));
  return ResultTypeList{
      call.input(0),
      {DType::kFloat32, OnesFrom(call.shape(0), call.dim_count(0) - call.dim_count(2))},
      call.input(0)};
}

Result<ResultTypeList> BatchNorm(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(5));
  RELAYOUT_RETURN_IF_ERROR(call.ExpectDims(0, 2));
  const bool channels_last = call.Says("data_format", "NHWC", 1);
  const int64_t channels = call.shape(0)[channels_last ? call.dim_count(0) - 1 : 1];
  ResultTypeList results = {call.input(0)};
  for (size_t i = 1; i < 5; ++i) {
    if (call.shape(i) != Dims{channels}) {
      return call.Fail(Format("input {} is {}, not the {} channels of {}", i, ToText(call.shape(i)),
                              channels, ToText(call.shape(0))));
    }
    results.push_back(call.input(i));
  }
  return results;
}

// Statistics may be left out; mean and what the backward pass needs are results.
Result<ResultTypeList> BatchNormExt(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1, 5));
  RELAYOUT_RETURN_IF_ERROR(call.ExpectDims(0, 2));
  const TensorType statistics = {DType::kFloat32, {call.shape(0)[1]}};
  return ResultTypeList{call.input(0), statistics, statistics};
}

Result<ResultTypeList> GroupNorm(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1, 3));
  RELAYOUT_RETURN_IF_ERROR(call.ExpectDims(0, 2));
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t groups, call.Int("num_groups"));
  if (groups < 1 || call.shape(0)[1] % groups != 0) {
    return call.Fail(Format("{} groups do not divide the {} channels of {}", groups,
                            call.shape(0)[1], ToText(call.shape(0))));
  }
  const TensorType statistics = {call.dtype(0), {call.shape(0)[0], groups}};
  return ResultTypeList{call.input(0), statistics, statistics};
}

Result<ResultTypeList> Dropout(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  return ResultTypeList{call.input(0), call.input(0)};
}

Result<ResultTypeList> Dropout2D(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  return ResultTypeList{call.input(0), {DType::kBool, call.shape(0)}};
}

// The mask holds a bit for each element, in blocks of 128.
Result<ResultTypeList> DropoutExt(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1, 3));
  const std::optional<int64_t> elements = ElementCount(call.shape(0));
  if (!elements || *elements > INT64_MAX - 128) return call.Fail("too many elements");
  return ResultTypeList{call.input(0), {DType::kUInt8, {(*elements + 127) / 128 * 16}}};
}

Result<ResultTypeList> DropoutDoMask(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(2, 3));
  return ResultTypeList{call.input(0)};
}

}  // namespace

std::vector<ShapeRule> NormalizingShapes() {
  return {{"AddRmsNorm", AddRmsNorm},
          {"BatchNorm", BatchNorm},
          {"BatchNormExt", BatchNormExt},
          {"Dropout2D", Dropout2D},
          {"Dropout3D", Dropout2D},
          {"DropoutDoMaskExt", DropoutDoMask},
          {"Dropout", Dropout},
          {"DropoutDoMask", DropoutDoMask},
          {"DropoutExt", DropoutExt},
          {"GroupNorm", GroupNorm},
          {"LayerNorm", LayerNorm},
          {"LayerNormExt", LayerNormExt},
          {"LayerNormV3", LayerNorm},
          {"LogSoftmax", Softmax},
          {"LogSoftmaxExt", SoftmaxExt},
          {"RmsNorm", RmsNorm},
          {"Softmax", Softmax}};
}

}  // namespace relayout
