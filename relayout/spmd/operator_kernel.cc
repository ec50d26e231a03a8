// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/operator_kernel.h"

#include <algorithm>
#include <map>

#include "relayout/base/check.h"
#include "relayout/base/near_names.h"
#include "relayout/base/text.h"
#include "relayout/comm/all_reduce.h"
#include "relayout/spmd/mesh_group.h"
#include "relayout/spmd/operators/families.h"

namespace relayout {
namespace {

const std::map<std::string_view, OperatorKernel>& Table() {
  static const auto table = [] {
    std::map<std::string_view, OperatorKernel> made;
    for (const auto& family :
         {ArithmeticKernels(), DropoutKernels(), ElementKernels(), LookupKernels(), LossKernels(),
          MatrixKernels(), NormalizationKernels(), PieceKernels(), ReductionKernels(),
          ShapeKernels(), TriangleKernels()}) {
      for (const OperatorKernel& kernel : family) {
        RELAYOUT_CHECK(made.emplace(kernel.type, kernel).second);
      }
    }
    return made;
  }();
  return table;
}

bool Cuts(const Layout& layout, int axis) {
  return std::ranges::any_of(layout.spec().dim_axes, [axis](const std::vector<int>& axes) {
    return std::ranges::find(axes, axis) != axes.end();
  });
}

std::vector<int> PartialAxes(const OperatorLayout& layout, const Layout& tensor) {
  std::vector<int> partial;
  const auto cut_by = [](int axis) {
    return [axis](const Layout& other) { return Cuts(other, axis); };
  };
  for (int axis = 0; axis < std::ssize(tensor.spec().mesh); ++axis) {
    if (Cuts(tensor, axis)) continue;
    if (std::ranges::any_of(layout.inputs, cut_by(axis)) ||
        std::ranges::any_of(layout.outputs, cut_by(axis))) {
      partial.push_back(axis);
    }
  }
  return partial;
}

}  // namespace

std::vector<int> PartialAxesOfInput(const OperatorLayout& layout, size_t input) {
  return PartialAxes(layout, layout.inputs[input]);
}

std::vector<int> PartialAxesOfOutput(const OperatorLayout& layout, size_t output) {
  return PartialAxes(layout, layout.outputs[output]);
}

Status RankContext::Sum(const RankOperator& at, const std::vector<int>& mesh_axes,
                        std::span<float> values) const {
  if (mesh_axes.empty()) return OkStatus();
  const std::vector<int64_t>& mesh = at.layout.outputs.front().spec().mesh;
  return AllReduceSum(*comm, MeshGroup(mesh, mesh_axes, at.local_rank, first_rank), values);
}

Result<const OperatorKernel*> KernelOf(const Graph& graph, const Operator& op) {
  const auto found = Table().find(op.type);
  if (found == Table().end()) {
    NearNames near(op.type);
    for (const std::string_view type : KernelTypes()) near.Consider(type);
    return Unsupported(
        Format("{}: relayout cannot run operators of this type{}", Describe(op), near.Hint("")));
  }
  const OperatorKernel& kernel = found->second;
  if (kernel.check != nullptr) RELAYOUT_RETURN_IF_ERROR(kernel.check(graph, op));
  return &kernel;
}

std::vector<std::string_view> KernelTypes() {
  std::vector<std::string_view> types;
  for (const auto& [type, kernel] : Table()) types.push_back(type);
  return types;
}

void RunWhole(OperatorLayout& layout) {
  const auto whole = [](const Layout& cut) {
    LayoutSpec spec;
    spec.mesh = cut.spec().mesh;
    spec.dim_axes.resize(cut.dim_count());
    auto made = Layout::Create(std::move(spec));
    RELAYOUT_CHECK(made.ok());
    return *std::move(made);
  };
  std::ranges::transform(layout.inputs, layout.inputs.begin(), whole);
  std::ranges::transform(layout.outputs, layout.outputs.begin(), whole);
}

}  // namespace relayout
