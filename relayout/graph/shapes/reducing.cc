// SPDX-License-Identifier: Apache-2.0
//
//   ReduceSum  f32[4,8,16] axis=(0,2)                 -> f32[8]
//   ReduceSum  f32[4,8,16] axis=(0,2) keep_dims=true  -> f32[1,8,1]
//   MeanExt    f32[4,8,16]                            -> f32[]        no axes: all of them
//   Argmax     f32[4,10]   axis=-1                    -> i32[4]
#include <algorithm>

#include "relayout/base/text.h"
#include "relayout/graph/shapes/families.h"

namespace relayout {
namespace {

// How an operator calls its attributes.
struct Words {
  std::string_view axis;
  std::string_view keep;
};
constexpr Words kReduceWords = {"axis", "keep_dims"};
constexpr Words kExtWords = {"dim", "keepdim"};

Dims Reduced(const Dims& shape, const std::vector<size_t>& axes, bool keep) {
  Dims reduced;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (std::find(axes.begin(), axes.end(), d) == axes.end()) {
      reduced.push_back(shape[d]);
    } else if (keep) {
      reduced.push_back(1);
    }
  }
  return reduced;
}

std::vector<size_t> AllAxes(size_t dim_count) {
  std::vector<size_t> axes;
  for (size_t d = 0; d < dim_count; ++d) axes.push_back(d);
  return axes;
}

Result<ResultTypeList> ReduceBy(const ShapeCall& call, const Words& words) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  RELAYOUT_ASSIGN_OR_RETURN(std::vector<size_t> axes, call.Axes(words.axis, {}));
  const bool none = axes.empty() && !call.attributes().GetBool("skip_mode", false);
  if (none) axes = AllAxes(call.dim_count(0));
  const bool keep = call.attributes().GetBool(words.keep, false);
  return ResultTypeList{{call.dtype(0), Reduced(call.shape(0), axes, keep)}};
}
Result<ResultTypeList> Reduce(const ShapeCall& call) { return ReduceBy(call, kReduceWords); }

Result<ResultTypeList> ReduceToBool(const ShapeCall& call) {
  RELAYOUT_ASSIGN_OR_RETURN(ResultTypeList results, Reduce(call));
  results[0].dtype = DType::kBool;
  return results;
}

Result<ResultTypeList> ReduceExt(const ShapeCall& call) {
  RELAYOUT_ASSIGN_OR_RETURN(ResultTypeList results, ReduceBy(call, kExtWords));
  RELAYOUT_ASSIGN_OR_RETURN(results[0].dtype, call.ElementType("dtype", call.dtype(0)));
  return results;
}

// Sums of small integers and truths are long.
Result<ResultTypeList> SumExt(const ShapeCall& call) {
  RELAYOUT_ASSIGN_OR_RETURN(ResultTypeList results, ReduceBy(call, kExtWords));
  const DType dtype = call.dtype(0) < DType::kInt64 ? DType::kInt64 : call.dtype(0);
  RELAYOUT_ASSIGN_OR_RETURN(results[0].dtype, call.ElementType("dtype", dtype));
  return results;
}

// Deviation and mean.
Result<ResultTypeList> ReduceStd(const ShapeCall& call) {
  RELAYOUT_ASSIGN_OR_RETURN(ResultTypeList results, Reduce(call));
  results.push_back(results[0]);
  return results;
}

// The shape of `call` without the one axis that it is about; `otherwise` when it is not given.
Result<Dims> WithoutAxis(const ShapeCall& call, const Words& words, int64_t otherwise) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<size_t> axes, call.Axes(words.axis, {otherwise}));
  if (axes.size() != 1) {
    return call.Fail(Format("{} has to be one axis, it has {}", words.axis, axes.size()));
  }
  return Reduced(call.shape(0), axes, call.attributes().GetBool(words.keep, false));
}

Result<ResultTypeList> Argmax(const ShapeCall& call) {
  RELAYOUT_ASSIGN_OR_RETURN(const Dims shape, WithoutAxis(call, kReduceWords, -1));
  RELAYOUT_ASSIGN_OR_RETURN(const DType dtype, call.ElementType("output_type", DType::kInt32));
  return ResultTypeList{{dtype, shape}};
}

Result<ResultTypeList> ArgMaxExt(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  if (!call.attributes().GetInts("dim")) return ResultTypeList{{DType::kInt64, {}}};
  RELAYOUT_ASSIGN_OR_RETURN(const Dims shape, WithoutAxis(call, kExtWords, 0));
  return ResultTypeList{{DType::kInt64, shape}};
}

Result<ResultTypeList> IndexAndValue(const ShapeCall& call) {
  RELAYOUT_ASSIGN_OR_RETURN(const Dims shape, WithoutAxis(call, kReduceWords, 0));
  return ResultTypeList{{DType::kInt64, shape}, {call.dtype(0), shape}};
}

Result<ResultTypeList> ValueAndIndex(const ShapeCall& call) {
  RELAYOUT_ASSIGN_OR_RETURN(const Dims shape, WithoutAxis(call, kExtWords, 0));
  return ResultTypeList{{call.dtype(0), shape}, {DType::kInt64, shape}};
}

Result<ResultTypeList> Largest(const ShapeCall& call, std::string_view axis_name, DType index) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t k, call.Int("k"));
  RELAYOUT_ASSIGN_OR_RETURN(const size_t axis,
                            call.Axis(call.attributes().GetInt(axis_name, -1), call.shape(0)));
  Dims shape = call.shape(0);
  if (k < 0 || k > shape[axis]) {
    return call.Fail(
        Format("the {} largest of {} in dim {} of {}", k, shape[axis], axis, ToText(shape)));
  }
  shape[axis] = k;
  return ResultTypeList{{call.dtype(0), shape}, {index, shape}};
}
Result<ResultTypeList> TopK(const ShapeCall& call) { return Largest(call, "axis", DType::kInt32); }
Result<ResultTypeList> TopkExt(const ShapeCall& call) {
  return Largest(call, "dim", DType::kInt64);
}

Result<ResultTypeList> Sort(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  return ResultTypeList{call.input(0), {DType::kInt32, call.shape(0)}};
}

Result<ResultTypeList> SortExt(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  return ResultTypeList{call.input(0), {DType::kInt64, call.shape(0)}};
}

Result<ResultTypeList> ArgSort(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  return ResultTypeList{{DType::kInt64, call.shape(0)}};
}

}  // namespace

std::vector<ShapeRule> ReducingShapes() {
  return {{"ArgMaxExt", ArgMaxExt},    {"ArgMaxWithValue", IndexAndValue},
          {"ArgMinExt", ArgMaxExt},    {"ArgMinWithValue", IndexAndValue},
          {"Argmax", Argmax},          {"Argmin", Argmax},
          {"LogSumExp", ReduceExt},    {"Max", ReduceExt},
          {"MaxDim", ValueAndIndex},   {"MeanExt", ReduceExt},
          {"Min", ReduceExt},          {"MinDim", ValueAndIndex},
          {"Norm", ReduceExt},         {"ProdExt", SumExt},
          {"ReduceAll", ReduceToBool}, {"ReduceAny", ReduceToBool},
          {"ReduceMax", Reduce},       {"ReduceMean", Reduce},
          {"ReduceMin", Reduce},       {"ReduceProd", Reduce},
          {"ReduceStd", ReduceStd},    {"ReduceSum", Reduce},
          {"ArgSort", ArgSort},        {"Cummax", SortExt},
          {"CumminExt", SortExt},      {"Sort", Sort},
          {"SortExt", SortExt},        {"Std", ReduceExt},
          {"SumExt", SumExt},          {"TopK", TopK},
          {"TopkExt", TopkExt},        {"Var", ReduceExt}};
}

}  // namespace relayout
