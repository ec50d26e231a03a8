// SPDX-License-Identifier: Apache-2.0
//
//   Gather    f32[50,8] i32[4,6] axis=0          -> f32[4,6,8]
//   Embedding i32[4,6] f32[50,8]                 -> f32[4,6,8]
//   GatherD   f32[4,9] i64[4,3] dim=1            -> f32[4,3]
//   OneHot    i32[4,6] f32[] f32[] depth=10      -> f32[4,6,10]      on and off values
#include <algorithm>

#include "relayout/base/text.h"
#include "relayout/graph/shapes/families.h"

namespace relayout {
namespace {

// params[..a, axis, ..b] by indices[..a, ..i] is [..a, ..i, ..b]: the first batch_dims dims, which
// both have, run along.
Result<ResultTypeList> Gather(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(2));
  const Dims& params = call.shape(0);
  const Dims& indices = call.shape(1);
  const Attributes& given = call.attributes();
  RELAYOUT_ASSIGN_OR_RETURN(const size_t axis, call.Axis(given.GetInt("axis", 0), params));
  const int64_t batch = given.GetInt("batch_dims", 0);
  const auto batch_dims =
      static_cast<size_t>(batch < 0 ? batch + static_cast<int64_t>(indices.size()) : batch);
  if (batch_dims > axis || batch_dims > indices.size() ||
      !std::equal(params.begin(), params.begin() + batch_dims, indices.begin())) {
    return call.Fail(Format("{} batch dims of {} by {} along dim {}", batch, ToText(params),
                            ToText(indices), axis));
  }
  if (params.size() - 1 + indices.size() - batch_dims > kMaxDims) {
    return call.Fail(
        Format("{} by {} makes over {} dims", ToText(params), ToText(indices), kMaxDims));
  }
  TensorType result = {call.dtype(0), {}};
  for (size_t d = 0; d < axis; ++d) result.shape.push_back(params[d]);
  for (size_t d = batch_dims; d < indices.size(); ++d) result.shape.push_back(indices[d]);
  for (size_t d = axis + 1; d < params.size(); ++d) result.shape.push_back(params[d]);
  return ResultTypeList{result};
}

// Rows of a table.
Result<ResultTypeList> Rows(const ShapeCall& call, size_t table, size_t ids) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(2));
  RELAYOUT_RETURN_IF_ERROR(call.ExpectDims(table, 1));
  TensorType result = {call.dtype(table), call.shape(ids)};
  if (result.shape.size() + call.dim_count(table) - 1 > kMaxDims) {
    return call.Fail(Format("makes over {} dims", kMaxDims));
  }
  for (size_t d = 1; d < call.dim_count(table); ++d) result.shape.push_back(call.shape(table)[d]);
  return ResultTypeList{result};
}
Result<ResultTypeList> Embedding(const ShapeCall& call) { return Rows(call, 1, 0); }
Result<ResultTypeList> EmbeddingLookup(const ShapeCall& call) { return Rows(call, 0, 1); }

Result<ResultTypeList> GatherD(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(2));
  if (call.dim_count(0) != call.dim_count(1)) {
    return call.Fail(Format("{} by {}: they have to have as many dims", ToText(call.shape(0)),
                            ToText(call.shape(1))));
  }
  return ResultTypeList{{call.dtype(0), call.shape(1)}};
}

// The last dim of the indices is a place in the first dims of input 0.
Result<ResultTypeList> GatherNd(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(2));
  RELAYOUT_RETURN_IF_ERROR(call.ExpectDims(1, 1));
  const Dims& x = call.shape(0);
  const Dims& indices = call.shape(1);
  const int64_t named = indices[indices.size() - 1];
  if (named > static_cast<int64_t>(x.size()) ||
      indices.size() - 1 + x.size() - static_cast<size_t>(named) > kMaxDims) {
    return call.Fail(Format("{} by {}", ToText(x), ToText(indices)));
  }
  TensorType result = {call.dtype(0), {}};
  for (size_t d = 0; d + 1 < indices.size(); ++d) result.shape.push_back(indices[d]);
  for (size_t d = static_cast<size_t>(named); d < x.size(); ++d) result.shape.push_back(x[d]);
  return ResultTypeList{result};
}

Result<ResultTypeList> IndexSelect(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(2));
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t given, call.Int("dim"));
  RELAYOUT_ASSIGN_OR_RETURN(const size_t axis, call.Axis(given, call.shape(0)));
  if (call.dim_count(1) > 1) {
    return call.Fail(Format("indices of one dim, here {}", ToText(call.shape(1))));
  }
  TensorType result = call.input(0);
  result.shape[axis] = call.dim_count(1) == 0 ? 1 : call.shape(1)[0];
  return ResultTypeList{result};
}

Result<ResultTypeList> OneHotBy(const ShapeCall& call, std::string_view depth_name) {
  // On and off values may be numbers, which are attributes.
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1, 3));
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t depth, call.Int(depth_name));
  const auto dims = static_cast<int64_t>(call.dim_count(0));
  const int64_t axis = call.attributes().GetInt("axis", -1);
  if (axis < -1 || axis > dims || depth < 0 || call.dim_count(0) == kMaxDims) {
    return call.Fail(
        Format("no place {} for {} classes in {}", axis, depth, ToText(call.shape(0))));
  }
  TensorType result = {call.count() > 1 ? call.dtype(1) : DType::kFloat32, {}};
  const int64_t place = axis == -1 ? dims : axis;
  for (int64_t d = 0; d <= dims; ++d) {
    if (d == place) result.shape.push_back(depth);
    if (d < dims) result.shape.push_back(call.shape(0)[static_cast<size_t>(d)]);
  }
  return ResultTypeList{result};
}
Result<ResultTypeList> OneHot(const ShapeCall& call) { return OneHotBy(call, "depth"); }
Result<ResultTypeList> OneHotExt(const ShapeCall& call) { return OneHotBy(call, "num_classes"); }

// Input 0 with some of its elements replaced.
Result<ResultTypeList> Updated(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1, 4));
  return ResultTypeList{call.input(0)};
}

}  // namespace

std::vector<ShapeRule> LookupShapes() {
  std::vector<ShapeRule> rules = {{"Embedding", Embedding}, {"EmbeddingLookup", EmbeddingLookup},
                                  {"Gather", Gather},       {"GatherD", GatherD},
                                  {"GatherNd", GatherNd},   {"IndexSelect", IndexSelect},
                                  {"OneHot", OneHot},       {"OneHotExt", OneHotExt}};
  for (const std::string_view type :
       {"Assign", "AssignAdd", "AssignSub", "IndexAddExt", "Scatter", "ScatterAddExt",
        "ScatterUpdate", "ScatterValue", "TensorScatterAdd", "TensorScatterElements",
        "TensorScatterUpdate"}) {
    rules.push_back({type, Updated});
  }
  return rules;
}

}  // namespace relayout
