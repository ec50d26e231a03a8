// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/operator_axes.h"

#include <algorithm>
#include <numeric>

#include "relayout/base/check.h"
#include "relayout/base/text.h"

namespace relayout {
namespace {

std::string Tensor(const Graph& graph, const Operator& op, size_t input) {
  return Format("input {} ({}, {})", input, Describe(graph, op.inputs[input]),
                ToText(graph.value(op.inputs[input]).shape));
}

Status CheckForm(const Graph& graph, const Operator& op, const Cuts& cuts) {
  if (cuts.size() != op.inputs.size()) {
    return InvalidInput(Format("{}: its annotation {} has {}, but it has {}", Describe(op),
                               ToText(cuts), Count(static_cast<int64_t>(cuts.size()), "list"),
                               Count(static_cast<int64_t>(op.inputs.size()), "tensor input")));
  }
  for (size_t i = 0; i < cuts.size(); ++i) {
    const Dims& shape = graph.value(op.inputs[i]).shape;
    if (cuts[i].size() != shape.size()) {
      return InvalidInput(Format("{}: its annotation {} cuts {} dims of {}", Describe(op),
                                 ToText(cuts), cuts[i].size(), Tensor(graph, op, i)));
    }
    for (size_t d = 0; d < shape.size(); ++d) {
      if (cuts[i][d] < 1 || shape[d] % cuts[i][d] != 0) {
        return InvalidInput(Format("{}: its annotation {} cuts dim {} = {} of {} into {} pieces",
                                   Describe(op), ToText(cuts), d, shape[d], Tensor(graph, op, i),
                                   cuts[i][d]));
      }
    }
  }
  return OkStatus();
}

// Where an axis was first cut, for messages.
struct FirstCut {
  size_t input = 0;
  size_t dim = 0;
};

Layout ToLayout(const std::vector<int>& dims, const std::vector<int64_t>& mesh,
                const std::vector<int>& mesh_axis_of) {
  LayoutSpec spec;
  spec.mesh = mesh;
  for (const int axis : dims) {
    const int mesh_axis =
        axis == OperatorAxes::kWhole ? -1 : mesh_axis_of[static_cast<size_t>(axis)];
    spec.dim_axes.push_back(mesh_axis < 0 ? std::vector<int>{} : std::vector<int>{mesh_axis});
  }
  Result<Layout> layout = Layout::Create(std::move(spec));
  RELAYOUT_CHECK(layout.ok());
  return std::move(layout).value();
}

std::string MeshText(const AxisCuts& axis_cuts) {
  std::string text;
  for (const int64_t pieces : axis_cuts) {
    if (pieces > 1) text += Format("{}{}", text.empty() ? "" : " x ", pieces);
  }
  return text;
}

}  // namespace

bool OperatorAxes::IsContracted(int axis) const {
  return std::none_of(outputs.begin(), outputs.end(), [axis](const std::vector<int>& dims) {
    return std::find(dims.begin(), dims.end(), axis) != dims.end();
  });
}

Result<AxisCuts> ToAxisCuts(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                            const Cuts& cuts) {
  RELAYOUT_RETURN_IF_ERROR(CheckForm(graph, op, cuts));
  AxisCuts axis_cuts(axes.count(), 0);
  std::vector<FirstCut> first(axes.count());
  for (size_t i = 0; i < cuts.size(); ++i) {
    for (size_t d = 0; d < cuts[i].size(); ++d) {
      const int axis = axes.inputs[i][d];
      if (axis == OperatorAxes::kWhole) {
        if (cuts[i][d] == 1) continue;
        return InvalidInput(
            Format("{}: its annotation {} cuts dim {} of {}, which this operator needs whole",
                   Describe(op), ToText(cuts), d, Tensor(graph, op, i)));
      }
      int64_t& pieces = axis_cuts[static_cast<size_t>(axis)];
      FirstCut& cut = first[static_cast<size_t>(axis)];
      if (pieces == 0) {
        pieces = cuts[i][d];
        cut = {i, d};
      } else if (pieces != cuts[i][d]) {
        return InvalidInput(
            Format("{}: its annotation {} cuts dim {} of {} into {}, but dim {} of {}, which runs "
                   "along with it, into {}",
                   Describe(op), ToText(cuts), cut.dim, Tensor(graph, op, cut.input), pieces, d,
                   Tensor(graph, op, i), cuts[i][d]));
      }
    }
  }
  // Axes of the outputs alone.
  std::replace(axis_cuts.begin(), axis_cuts.end(), int64_t{0}, int64_t{1});
  return axis_cuts;
}

Result<AxisCuts> ToAxisCuts(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                            const MeshCuts& cuts) {
  Cuts pieces;
  for (const LayoutSpec& spec : cuts) {
    pieces.emplace_back();
    for (const std::vector<int>& dim_axes : spec.dim_axes) {
      int64_t product = 1;
      for (const int axis : dim_axes) product *= spec.mesh[static_cast<size_t>(axis)];
      pieces.back().push_back(product);
    }
  }
  return ToAxisCuts(graph, op, axes, pieces);
}

namespace {

Status CheckMeshes(const Operator& op, const MeshCuts& cuts, int64_t device_count) {
  for (const LayoutSpec& spec : cuts) {
    if (spec.mesh != cuts[0].mesh) {
      return InvalidInput(Format("{}: its annotation is {}; one operator has one mesh",
                                 Describe(op), ToText(cuts)));
    }
    RELAYOUT_ASSIGN_OR_RETURN(const Layout layout, Layout::Create(spec));
    if (layout.device_count() != device_count) {
      return InvalidInput(Format("{}: the mesh of its annotation {} has {}, but a stage has {}",
                                 Describe(op), ToText(cuts), Count(layout.device_count(), "device"),
                                 device_count));
    }
  }
  return OkStatus();
}

// The mesh axes that cut each axis of the operator.
Result<std::vector<std::vector<int>>> MeshAxesOf(const Operator& op, const OperatorAxes& axes,
                                                 const MeshCuts& cuts) {
  std::vector<std::vector<int>> mesh_axes(axes.count());
  std::vector<bool> is_known(axes.count(), false);
  for (size_t i = 0; i < cuts.size(); ++i) {
    for (size_t d = 0; d < axes.inputs[i].size(); ++d) {
      if (axes.inputs[i][d] == OperatorAxes::kWhole) continue;
      const auto axis = static_cast<size_t>(axes.inputs[i][d]);
      const std::vector<int>& dim_axes = cuts[i].dim_axes[d];
      if (is_known[axis] && mesh_axes[axis] != dim_axes) {
        return InvalidInput(
            Format("{}: its annotation {} cuts dim {} of input {} by other mesh axes than the dim "
                   "of another input that runs along with it",
                   Describe(op), ToText(cuts), d, i));
      }
      mesh_axes[axis] = dim_axes;
      is_known[axis] = true;
    }
  }
  return mesh_axes;
}

}  // namespace

Result<OperatorLayout> LayOutOnMesh(const Graph& graph, const Operator& op,
                                    const OperatorAxes& axes, const MeshCuts& cuts,
                                    int64_t device_count) {
  RELAYOUT_RETURN_IF_ERROR(ToAxisCuts(graph, op, axes, cuts).status());
  RELAYOUT_RETURN_IF_ERROR(CheckMeshes(op, cuts, device_count));
  RELAYOUT_ASSIGN_OR_RETURN(const auto mesh_axes, MeshAxesOf(op, axes, cuts));
  OperatorLayout layout;
  for (const LayoutSpec& spec : cuts) {
    RELAYOUT_ASSIGN_OR_RETURN(Layout input, Layout::Create(spec));
    layout.inputs.push_back(std::move(input));
  }
  for (const std::vector<int>& dims : axes.outputs) {
    LayoutSpec spec;
    spec.mesh = cuts.empty() ? std::vector<int64_t>{device_count} : cuts[0].mesh;
    for (const int axis : dims) {
      spec.dim_axes.push_back(axis == OperatorAxes::kWhole ? std::vector<int>{}
                                                           : mesh_axes[static_cast<size_t>(axis)]);
    }
    RELAYOUT_ASSIGN_OR_RETURN(Layout output, Layout::Create(std::move(spec)));
    layout.outputs.push_back(std::move(output));
  }
  return layout;
}

Cuts ToCuts(const OperatorAxes& axes, const AxisCuts& axis_cuts) {
  Cuts cuts;
  for (const std::vector<int>& dims : axes.inputs) {
    cuts.emplace_back();
    for (const int axis : dims) {
      cuts.back().push_back(axis == OperatorAxes::kWhole ? 1
                                                         : axis_cuts[static_cast<size_t>(axis)]);
    }
  }
  return cuts;
}

MeshOrder MeshOrder::InOrder(size_t axis_count) {
  MeshOrder order;
  order.axes.resize(axis_count);
  std::iota(order.axes.begin(), order.axes.end(), 0);
  return order;
}

Result<OperatorLayout> LayOut(const Operator& op, const OperatorAxes& axes,
                              const AxisCuts& axis_cuts, const MeshOrder& order,
                              int64_t device_count) {
  RELAYOUT_CHECK(axis_cuts.size() == axes.count() && order.axes.size() == axes.count());
  int64_t used = 1;
  for (size_t axis = 0; axis < axis_cuts.size(); ++axis) {
    if (axes.lengths[axis] % axis_cuts[axis] != 0) {
      return InvalidInput(Format("{}: a dim of length {} cannot be cut into {} equal pieces",
                                 Describe(op), axes.lengths[axis], axis_cuts[axis]));
    }
    // Beyond the devices it does not fit anyway; stop before it can overflow.
    used = used > device_count ? used : used * axis_cuts[axis];
  }
  if (device_count % used != 0) {
    return InvalidInput(Format("{}: cuts {} make {} pieces, which do not divide the {} of a stage",
                               Describe(op), ToText(ToCuts(axes, axis_cuts)), MeshText(axis_cuts),
                               Count(device_count, "device")));
  }
  const int64_t repeats = device_count / used;
  std::vector<int64_t> mesh;
  std::vector<int> mesh_axis_of(axes.count(), -1);
  if (repeats > 1 && order.repeats_on_the_left) mesh.push_back(repeats);
  for (const int axis : order.axes) {
    const int64_t pieces = axis_cuts[static_cast<size_t>(axis)];
    if (pieces == 1) continue;
    mesh_axis_of[static_cast<size_t>(axis)] = static_cast<int>(mesh.size());
    mesh.push_back(pieces);
  }
  if ((repeats > 1 && !order.repeats_on_the_left) || mesh.empty()) mesh.push_back(repeats);
  OperatorLayout layout;
  layout.cuts = ToCuts(axes, axis_cuts);
  for (const std::vector<int>& dims : axes.inputs) {
    layout.inputs.push_back(ToLayout(dims, mesh, mesh_axis_of));
  }
  for (const std::vector<int>& dims : axes.outputs) {
    layout.outputs.push_back(ToLayout(dims, mesh, mesh_axis_of));
  }
  return layout;
}

}  // namespace relayout
