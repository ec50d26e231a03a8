// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/operator_axes.h"

#include <algorithm>
#include <numeric>

#include "relayout/base/check.h"
#include "relayout/base/text.h"

namespace relayout {
namespace {

// What one list of an annotation cuts, and how to call it.
struct List {
  const std::vector<int>* dims = nullptr;
  const Dims* shape = nullptr;
  size_t input = 0;
};

std::vector<List> ListsOf(const Graph& graph, const Operator& op, const OperatorAxes& axes) {
  std::vector<List> lists;
  for (const OperatorAxes::Listed& listed : axes.listed) {
    lists.push_back({.dims = &listed.dims, .shape = &listed.shape});
  }
  if (!axes.listed.empty()) return lists;
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    lists.push_back(
        {.dims = &axes.inputs[i], .shape = &graph.value(op.inputs[i]).shape, .input = i});
  }
  return lists;
}

// One annotation against one operator, and the words of its refusal.
struct Reading {
  const Graph& graph;
  const Operator& op;
  const OperatorAxes& axes;
  const Cuts& cuts;
  CutsOrigin origin = CutsOrigin::kAnnotation;

  std::string Who() const {
    if (origin == CutsOrigin::kAnnotation) {
      return Format("{}: its annotation {}", Describe(op), ToText(cuts));
    }
    return Format("{}: without an annotation it gets {}, which", Describe(op), ToText(cuts));
  }
  std::string Tensor(const List& list) const {
    if (!axes.listed.empty()) return Format("the result ({})", ToText(*list.shape));
    return Format("input {} ({}, {})", list.input, Describe(graph, op.inputs[list.input]),
                  ToText(*list.shape));
  }
};

// Tensors without dims have nothing to cut: annotations name them or not.
std::vector<List> WithDims(const std::vector<List>& lists) {
  std::vector<List> some;
  for (const List& list : lists) {
    if (!list.shape->empty()) some.push_back(list);
  }
  return some;
}

Cuts WithNumbers(const Cuts& cuts) {
  Cuts some;
  for (const std::vector<int64_t>& list : cuts) {
    if (!list.empty()) some.push_back(list);
  }
  return some;
}

Status CheckForm(const Reading& reading, const std::vector<List>& lists, const Cuts& cuts) {
  if (cuts.size() != lists.size()) {
    return InvalidInput(Format("{} has {}, but it has {}", reading.Who(),
                               Count(static_cast<int64_t>(cuts.size()), "list"),
                               Count(static_cast<int64_t>(lists.size()), "tensor input")));
  }
  for (size_t i = 0; i < cuts.size(); ++i) {
    const Dims& shape = *lists[i].shape;
    if (cuts[i].size() != shape.size()) {
      return InvalidInput(
          Format("{} cuts {} dims of {}", reading.Who(), cuts[i].size(), reading.Tensor(lists[i])));
    }
    for (size_t d = 0; d < shape.size(); ++d) {
      if (cuts[i][d] < 1 || shape[d] % cuts[i][d] != 0) {
        return InvalidInput(Format("{} cuts dim {} = {} of {} into {} pieces", reading.Who(), d,
                                   shape[d], reading.Tensor(lists[i]), cuts[i][d]));
      }
    }
  }
  return OkStatus();
}

// Where an axis was first cut, for messages.
struct FirstCut {
  size_t list = 0;
  size_t dim = 0;
};

// The mesh that cuts make, and which of its axes each operator axis is; -1 for none.
struct MadeMesh {
  std::vector<int64_t> sizes;
  std::vector<int> mesh_axis_of;

  int Of(int axis) const {
    return axis == OperatorAxes::kWhole ? -1 : mesh_axis_of[static_cast<size_t>(axis)];
  }
};

MadeMesh MakeMesh(const AxisCuts& axis_cuts, const MeshOrder& order, int64_t repeats) {
  MadeMesh mesh;
  mesh.mesh_axis_of.assign(axis_cuts.size(), -1);
  if (repeats > 1 && order.repeats_on_the_left) mesh.sizes.push_back(repeats);
  for (const int axis : order.axes) {
    const int64_t pieces = axis_cuts[static_cast<size_t>(axis)];
    if (pieces == 1) continue;
    mesh.mesh_axis_of[static_cast<size_t>(axis)] = static_cast<int>(mesh.sizes.size());
    mesh.sizes.push_back(pieces);
  }
  const bool on_the_right = repeats > 1 && !order.repeats_on_the_left;
  if (on_the_right || mesh.sizes.empty()) mesh.sizes.push_back(repeats);
  return mesh;
}

LayoutSpec ToSpec(const std::vector<int>& dims, const MadeMesh& mesh) {
  LayoutSpec spec;
  spec.mesh = mesh.sizes;
  for (const int axis : dims) {
    const int mesh_axis = mesh.Of(axis);
    spec.dim_axes.push_back(mesh_axis < 0 ? std::vector<int>{} : std::vector<int>{mesh_axis});
  }
  return spec;
}

Layout ToLayout(LayoutSpec spec) {
  Result<Layout> layout = Layout::Create(std::move(spec));
  RELAYOUT_CHECK(layout.ok());
  return std::move(layout).value();
}

void ApplyConditionals(const OperatorAxes& axes, const AxisCuts& axis_cuts, const MadeMesh& mesh,
                       std::vector<LayoutSpec>& outputs) {
  for (const OperatorAxes::Conditional& conditional : axes.conditionals) {
    const int mesh_axis = mesh.Of(conditional.axis);
    if (mesh_axis < 0) continue;
    std::vector<int>& cutting = outputs[conditional.output].dim_axes[conditional.dim];
    if (conditional.wants_whole_dim && !cutting.empty()) continue;
    int64_t pieces = axis_cuts[static_cast<size_t>(conditional.axis)];
    for (const int other : cutting) pieces *= mesh.sizes[static_cast<size_t>(other)];
    if (conditional.length % pieces == 0) cutting.push_back(mesh_axis);
  }
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
  for (const Conditional& conditional : conditionals) {
    if (conditional.axis == axis) return conditional.sums;
  }
  return std::none_of(outputs.begin(), outputs.end(), [axis](const std::vector<int>& dims) {
    return std::find(dims.begin(), dims.end(), axis) != dims.end();
  });
}

Result<AxisCuts> ToAxisCuts(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                            const Cuts& cuts, CutsOrigin origin) {
  const Reading reading{.graph = graph, .op = op, .axes = axes, .cuts = cuts, .origin = origin};
  std::vector<List> lists = ListsOf(graph, op, axes);
  Cuts numbers = cuts;
  if (numbers.size() != lists.size()) {
    lists = WithDims(lists);
    numbers = WithNumbers(numbers);
  }
  RELAYOUT_RETURN_IF_ERROR(CheckForm(reading, lists, numbers));
  AxisCuts axis_cuts(axes.count(), 0);
  std::vector<FirstCut> first(axes.count());
  for (size_t i = 0; i < numbers.size(); ++i) {
    for (size_t d = 0; d < numbers[i].size(); ++d) {
      const int axis = (*lists[i].dims)[d];
      if (axis == OperatorAxes::kWhole) {
        if (numbers[i][d] == 1) continue;
        return InvalidInput(Format("{} cuts dim {} of {} into {}, which this operator needs whole",
                                   reading.Who(), d, reading.Tensor(lists[i]), numbers[i][d]));
      }
      int64_t& pieces = axis_cuts[static_cast<size_t>(axis)];
      FirstCut& cut = first[static_cast<size_t>(axis)];
      if (pieces == 0) {
        pieces = numbers[i][d];
        cut = {i, d};
      } else if (pieces != numbers[i][d]) {
        return InvalidInput(
            Format("{} cuts dim {} of {} into {}, but dim {} of {}, which runs along with it, "
                   "into {}",
                   reading.Who(), cut.dim, reading.Tensor(lists[cut.list]), pieces, d,
                   reading.Tensor(lists[i]), numbers[i][d]));
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
  const auto numbers = [&axis_cuts](const std::vector<int>& dims) {
    std::vector<int64_t> list;
    for (const int axis : dims) {
      list.push_back(axis == OperatorAxes::kWhole ? 1 : axis_cuts[static_cast<size_t>(axis)]);
    }
    return list;
  };
  Cuts cuts;
  for (const OperatorAxes::Listed& listed : axes.listed) cuts.push_back(numbers(listed.dims));
  if (!axes.listed.empty()) return cuts;
  for (const std::vector<int>& dims : axes.inputs) cuts.push_back(numbers(dims));
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
    return InvalidInput(
        Format("{}: cuts {} make {} pieces, which do not divide the {} of a stage; "
               "annotate it otherwise, or take other devices",
               Describe(op), ToText(ToCuts(axes, axis_cuts)), MeshText(axis_cuts),
               Count(device_count, "device")));
  }
  const MadeMesh mesh = MakeMesh(axis_cuts, order, device_count / used);
  OperatorLayout layout;
  layout.cuts = ToCuts(axes, axis_cuts);
  for (const std::vector<int>& dims : axes.inputs) {
    layout.inputs.push_back(ToLayout(ToSpec(dims, mesh)));
  }
  std::vector<LayoutSpec> outputs;
  for (const std::vector<int>& dims : axes.outputs) outputs.push_back(ToSpec(dims, mesh));
  ApplyConditionals(axes, axis_cuts, mesh, outputs);
  for (LayoutSpec& spec : outputs) layout.outputs.push_back(ToLayout(std::move(spec)));
  return layout;
}

}  // namespace relayout
