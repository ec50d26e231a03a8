// SPDX-License-Identifier: Apache-2.0
//
//   Conv2D            x[n,i,h,w] k[o,i,3,3]  -> y[n,o,h,w]    mesh n i h w o; i is contracted
//   Conv2DTranspose   x[n,i,h,w] k[i,o,3,3]  -> y[n,o,h,w]    mesh n i h w o
//   MaxPool           x[n,c,h,w]             -> y[n,c,h,w]    mesh n c h w
//   ResizeBilinearV2  x[n,c,h,w]             -> y[n,c,h,w]    mesh n c
//
// h and w are cut where the pieces divide both sides; windows that overlap are exchanged by Conv2D
// and refused by pooling.
#include <algorithm>
#include <numeric>

#include "relayout/base/text.h"
#include "relayout/infer/rules/dims.h"
#include "relayout/infer/rules/families.h"

namespace relayout {
namespace {

Status ExpectImages(const Graph& graph, const Operator& op) {
  const Dims& x = InputShape(graph, op, 0);
  const Dims& y = OutputShape(graph, op, 0);
  if (x.size() >= 3 && x.size() == y.size() && x[0] == y[0]) return OkStatus();
  return InvalidInput(Format("{}: {} to {} are no images", Describe(op), ToText(x), ToText(y)));
}

// The axes of height and width (and depth), which the result has too.
std::vector<int> AddSpace(OperatorAxes& axes, const Dims& x, const Dims& y) {
  std::vector<int> dims;
  for (size_t d = 2; d < x.size(); ++d) dims.push_back(AddAxis(axes, std::gcd(x[d], y[d])));
  return dims;
}

std::vector<int> Image(int batch, int channels, const std::vector<int>& space) {
  std::vector<int> dims = {batch, channels};
  dims.insert(dims.end(), space.begin(), space.end());
  return dims;
}

Result<OperatorAxes> KernelAxes(const Graph& graph, const Operator& op, bool transposed) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 2));
  RELAYOUT_RETURN_IF_ERROR(ExpectImages(graph, op));
  const Dims& x = InputShape(graph, op, 0);
  const Dims& kernel = InputShape(graph, op, 1);
  const Dims& y = OutputShape(graph, op, 0);
  const int64_t groups = std::max<int64_t>(1, op.attributes.GetInt("group", 1));
  const size_t of_in = transposed ? 0 : 1;
  const size_t of_out = 1 - of_in;
  const bool fits = kernel.size() == x.size() && x[1] % groups == 0 &&
                    (groups > 1 || (kernel[of_in] == x[1] && kernel[of_out] == y[1]));
  if (!fits) {
    return InvalidInput(Format("{}: a kernel of {} does not make {} of {}", Describe(op),
                               ToText(kernel), ToText(y), ToText(x)));
  }
  OperatorAxes axes;
  const int batch = AddAxis(axes, x[0]);
  // The channels of groups cannot be cut.
  const int in = groups > 1 ? OperatorAxes::kWhole : AddAxis(axes, x[1]);
  const std::vector<int> space = AddSpace(axes, x, y);
  const int out = groups > 1 ? OperatorAxes::kWhole : AddAxis(axes, y[1]);
  std::vector<int> of_kernel = AllWhole(kernel);
  of_kernel[of_in] = in;
  of_kernel[of_out] = out;
  axes.inputs = {Image(batch, in, space), std::move(of_kernel)};
  for (size_t i = 2; i < op.inputs.size(); ++i) {
    axes.inputs.push_back(AllWhole(InputShape(graph, op, i)));
  }
  axes.outputs = {Image(batch, out, space)};
  return axes;
}

Result<OperatorAxes> Conv2DAxes(const Graph& graph, const Operator& op) {
  return KernelAxes(graph, op, false);
}

Result<OperatorAxes> Conv2DTransposeAxes(const Graph& graph, const Operator& op) {
  return KernelAxes(graph, op, true);
}

Result<OperatorAxes> PoolAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 1));
  RELAYOUT_RETURN_IF_ERROR(ExpectImages(graph, op));
  OperatorAxes axes;
  const Dims& x = InputShape(graph, op, 0);
  const int batch = AddAxis(axes, x[0]);
  const int channels = AddAxis(axes, x[1]);
  const std::vector<int> space = AddSpace(axes, x, OutputShape(graph, op, 0));
  axes.inputs = {Image(batch, channels, space)};
  axes.outputs = {axes.inputs[0]};
  return axes;
}

// `from_right` 1 is the width; an attribute may have one number for all dims.
int64_t AlongDim(const std::optional<std::vector<int64_t>>& list, size_t from_right) {
  if (!list || list->empty()) return 1;
  return list->size() < from_right ? list->back() : (*list)[list->size() - from_right];
}

Status CheckWindows(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                    const AxisCuts& axis_cuts, int64_t device_count) {
  (void)device_count;
  const auto kernel = IntsAttribute(op, {"kernel_size"});
  const auto strides = IntsAttribute(op, {"strides", "stride"});
  const std::vector<int>& dims = axes.inputs[0];
  for (size_t d = 2; d < dims.size(); ++d) {
    if (dims[d] == OperatorAxes::kWhole || axis_cuts[static_cast<size_t>(dims[d])] == 1) continue;
    const int64_t window = AlongDim(kernel, dims.size() - d);
    const int64_t stride = AlongDim(strides, dims.size() - d);
    if (window <= stride) continue;
    return InvalidInput(
        Format("{}: dim {} of input 0 ({}, {}) cannot be cut into {}, for its windows of {} "
               "overlap with a stride of {}",
               Describe(op), d, Describe(graph, op.inputs[0]), ToText(InputShape(graph, op, 0)),
               axis_cuts[static_cast<size_t>(dims[d])], window, stride));
  }
  return OkStatus();
}

Result<OperatorAxes> ResizeAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 1));
  RELAYOUT_RETURN_IF_ERROR(ExpectImages(graph, op));
  OperatorAxes axes;
  const Dims& x = InputShape(graph, op, 0);
  const int batch = AddAxis(axes, x[0]);
  const int channels = AddAxis(axes, x[1]);
  axes.inputs = {Image(batch, channels, std::vector<int>(x.size() - 2, OperatorAxes::kWhole))};
  for (size_t i = 1; i < op.inputs.size(); ++i) {
    axes.inputs.push_back(AllWhole(InputShape(graph, op, i)));
  }
  axes.outputs = {axes.inputs[0]};
  return axes;
}

}  // namespace

std::vector<OperatorRule> ConvolutionRules() {
  return {{.type = "AvgPool", .axes = PoolAxes, .check = CheckWindows},
          {.type = "Conv2D", .axes = Conv2DAxes},
          {.type = "Conv2DTranspose", .axes = Conv2DTransposeAxes},
          {.type = "Conv3D", .axes = Conv2DAxes},
          {.type = "MaxPool", .axes = PoolAxes, .check = CheckWindows},
          {.type = "ResizeBilinearV2", .axes = ResizeAxes},
          {.type = "ResizeNearestNeighbor", .axes = ResizeAxes}};
}

}  // namespace relayout
