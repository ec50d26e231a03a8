// SPDX-License-Identifier: Apache-2.0
//
//   Conv2D   f32[4,3,32,32] f32[8,3,3,3] pad_mode=same stride=2        -> f32[4,8,16,16]
//   MaxPool  f32[4,8,16,16] kernel_size=2 strides=2 pad_mode=valid     -> f32[4,8,8,8]
#include <array>

#include "relayout/base/checked_math.h"
#include "relayout/base/text.h"
#include "relayout/graph/shapes/families.h"

namespace relayout {
namespace {

// Height and width.
using Pair = std::array<int64_t, 2>;

// What an operator does along one dim.
struct Window {
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t dilation = 1;
  int64_t padding = 0;  // Both sides together.
};

// The last two of an attribute that is one number, two, or four for all dims.
Result<Pair> PairOf(const ShapeCall& call, std::string_view name, int64_t otherwise) {
  const std::vector<int64_t> list =
      call.attributes().GetInts(name).value_or(std::vector<int64_t>{otherwise});
  if (list.size() == 1) return Pair{list[0], list[0]};
  if (list.size() == 2 || list.size() == 4) return Pair{list[list.size() - 2], list.back()};
  return call.Fail(Format("{} = {} is no pair", name, TextOf(list)));
}

// Top and bottom, left and right together, of an attribute that is one number, two or four.
Result<Pair> PaddingOf(const ShapeCall& call, std::string_view name) {
  const std::vector<int64_t> list =
      call.attributes().GetInts(name).value_or(std::vector<int64_t>{0});
  for (const int64_t side : list) {
    if (side < 0 || side > INT32_MAX) {
      return call.Fail(Format("{} = {} is no padding", name, TextOf(list)));
    }
  }
  if (list.size() == 1) return Pair{2 * list[0], 2 * list[0]};
  if (list.size() == 2) return Pair{2 * list[0], 2 * list[1]};
  if (list.size() == 4) return Pair{list[0] + list[1], list[2] + list[3]};
  return call.Fail(Format("{} = {} is no padding", name, TextOf(list)));
}

Result<int64_t> WindowCount(const ShapeCall& call, int64_t length, const Window& window) {
  const bool sane = window.kernel > 0 && window.kernel <= INT32_MAX && window.stride > 0 &&
                    window.dilation > 0 && window.dilation <= INT32_MAX;
  if (!sane) {
    return call.Fail(
        Format("kernel {}, stride {}, dilation {}", window.kernel, window.stride, window.dilation));
  }
  if (call.Says("pad_mode", "same", 1)) return CeilDiv(length, window.stride);
  const int64_t padding = call.Says("pad_mode", "pad", 0) ? window.padding : 0;
  const int64_t covered = window.dilation * (window.kernel - 1) + 1;
  if (length > INT64_MAX - padding || length + padding < covered) {
    return call.Fail(Format("a window of {} does not fit {} + {} padding (input {})", covered,
                            length, padding, ToText(call.shape(0))));
  }
  return (length + padding - covered) / window.stride + 1;
}

// Where height and width are.
Result<size_t> FirstPlane(const ShapeCall& call) {
  if (call.dim_count(0) != 4) {
    return call.Fail(Format("takes images of 4 dims, here {}", ToText(call.shape(0))));
  }
  const bool channels_last = call.Says("data_format", "NHWC", 1) || call.Says("format", "NHWC", 1);
  return channels_last ? size_t{1} : size_t{2};
}

Result<ResultTypeList> Conv2D(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(2));
  RELAYOUT_ASSIGN_OR_RETURN(const size_t plane, FirstPlane(call));
  const size_t channels = plane == 1 ? 3 : 1;
  const Dims& x = call.shape(0);
  const Dims& w = call.shape(1);
  const int64_t groups = call.attributes().GetInt("group", call.attributes().GetInt("groups", 1));
  if (w.size() != 4 || groups < 1 || x[channels] % groups != 0 ||
      x[channels] / groups != w[channels]) {
    return call.Fail(Format("{} with a weight of {} in {} groups", ToText(x), ToText(w), groups));
  }
  RELAYOUT_ASSIGN_OR_RETURN(const Pair stride, PairOf(call, "stride", 1));
  RELAYOUT_ASSIGN_OR_RETURN(const Pair dilation, PairOf(call, "dilation", 1));
  RELAYOUT_ASSIGN_OR_RETURN(const Pair padding, PaddingOf(call, "pad"));
  TensorType result = call.input(0);
  result.shape[channels] = w[0];
  for (size_t i = 0; i < 2; ++i) {
    const Window window = {w[plane + i], stride[i], dilation[i], padding[i]};
    RELAYOUT_ASSIGN_OR_RETURN(result.shape[plane + i], WindowCount(call, x[plane + i], window));
  }
  return ResultTypeList{result};
}

Result<ResultTypeList> Pool(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  RELAYOUT_ASSIGN_OR_RETURN(const size_t plane, FirstPlane(call));
  RELAYOUT_ASSIGN_OR_RETURN(const Pair kernel, PairOf(call, "kernel_size", 1));
  RELAYOUT_ASSIGN_OR_RETURN(const Pair stride, PairOf(call, "strides", 1));
  TensorType result = call.input(0);
  for (size_t i = 0; i < 2; ++i) {
    const Window window = {kernel[i], stride[i], 1, 0};
    RELAYOUT_ASSIGN_OR_RETURN(result.shape[plane + i],
                              WindowCount(call, result.shape[plane + i], window));
  }
  return ResultTypeList{result};
}

}  // namespace

std::vector<ShapeRule> WindowShapes() {
  return {{"AvgPool", Pool}, {"Conv2D", Conv2D}, {"MaxPool", Pool}};
}

}  // namespace relayout
