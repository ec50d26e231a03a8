// SPDX-License-Identifier: Apache-2.0
//
// Tensors out of attributes alone.
//
//   Zeros  size=(4,8)                    -> f32[4,8]
//   FillV2 f16[] shape=(4,8)             -> f16[4,8]
//   Arange start=0 end=10 step=3         -> i64[4]
#include "relayout/base/checked_math.h"
#include "relayout/base/text.h"
#include "relayout/graph/shapes/families.h"

namespace relayout {
namespace {

Result<ResultTypeList> Filled(const ShapeCall& call, std::string_view shape_name) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(0, 3));
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<int64_t> shape, call.Ints(shape_name));
  const DType of_value = call.count() > 0 ? call.dtype(0) : DType::kFloat32;
  RELAYOUT_ASSIGN_OR_RETURN(const DType dtype, call.ElementType("dtype", of_value));
  bool fits = shape.size() <= kMaxDims;
  for (const int64_t length : shape) fits = fits && length >= 0;
  if (!fits) return call.Fail(Format("no shape: {}", TextOf(shape)));
  return ResultTypeList{{dtype, ToDims(shape)}};
}
Result<ResultTypeList> OfSize(const ShapeCall& call) { return Filled(call, "size"); }
Result<ResultTypeList> OfShape(const ShapeCall& call) { return Filled(call, "shape"); }

Result<ResultTypeList> Range(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(0));
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t start, call.Int("start"));
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t end, call.Int("end"));
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t step, call.Int("step"));
  RELAYOUT_ASSIGN_OR_RETURN(const DType dtype, call.ElementType("dtype", DType::kInt64));
  const std::optional<int64_t> distance = CheckedMul(step < 0 ? -1 : 1, end);
  const std::optional<int64_t> from = CheckedMul(step < 0 ? 1 : -1, start);
  const std::optional<int64_t> length =
      distance && from ? CheckedAdd(*distance, *from) : std::nullopt;
  if (step == 0 || step == INT64_MIN || !length) {
    return call.Fail(Format("no range: {} to {} by {}", start, end, step));
  }
  return ResultTypeList{{dtype, {*length <= 0 ? 0 : CeilDiv(*length, step < 0 ? -step : step)}}};
}

Result<ResultTypeList> Eye(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(0));
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t rows, call.Int("n"));
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t columns, call.Int("m"));
  RELAYOUT_ASSIGN_OR_RETURN(const DType dtype, call.ElementType("dtype", DType::kFloat32));
  if (rows < 0 || columns < 0) return call.Fail(Format("no shape: ({},{})", rows, columns));
  return ResultTypeList{{dtype, {rows, columns}}};
}

Result<ResultTypeList> OfSizeLike(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  return OfSize(call);
}

Result<ResultTypeList> Like(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1, 3));
  RELAYOUT_ASSIGN_OR_RETURN(const DType dtype, call.ElementType("dtype", call.dtype(0)));
  return ResultTypeList{{dtype, call.shape(0)}};
}

}  // namespace

std::vector<ShapeRule> CreatingShapes() {
  return {{"Arange", Range},           {"Eye", Eye},
          {"FillScalar", OfSize},      {"FillTensor", OfSize},
          {"FillV2", OfShape},         {"Ones", OfShape},
          {"RandExt", OfShape},        {"Range", Range},
          {"StandardNormal", OfShape}, {"UniformReal", OfShape},
          {"Zeros", OfSize},           {"NewFull", OfSizeLike},
          {"NewOnes", OfSizeLike},     {"NewZeros", OfSizeLike},
          {"FullLike", Like},          {"RandLikeExt", Like}};
}

}  // namespace relayout
