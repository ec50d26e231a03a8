// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/auto/propagation_choice.h"

#include <optional>
#include <utility>

namespace relayout {
namespace {

// Appends cuts by powers of two whose product divides `devices`, ascending.
void AddPowers(const std::vector<int64_t>& lengths, int64_t devices, AxisCuts& begun,
               std::vector<AxisCuts>& all) {
  if (begun.size() == lengths.size()) {
    all.push_back(begun);
    return;
  }
  for (int64_t pieces = 1; pieces <= devices; pieces *= 2) {
    if (lengths[begun.size()] % pieces != 0) continue;
    begun.push_back(pieces);
    AddPowers(lengths, devices / pieces, begun, all);
    begun.pop_back();
  }
}

// The cuts that MindSpore tries: powers of two; an odd factor of the devices goes to one axis
// whole, and then last comes no cut at all.
std::vector<AxisCuts> CutsToTry(const std::vector<int64_t>& lengths, int64_t device_count) {
  const int64_t power = device_count & -device_count;
  const int64_t odd = device_count / power;
  std::vector<AxisCuts> powers;
  AxisCuts begun;
  AddPowers(lengths, power, begun, powers);
  if (odd == 1) return powers;
  std::vector<AxisCuts> all;
  for (const AxisCuts& cuts : powers) {
    for (size_t axis = 0; axis < cuts.size(); ++axis) {
      if (lengths[axis] % (cuts[axis] * odd) != 0) continue;
      all.push_back(cuts);
      all.back()[axis] *= odd;
    }
  }
  all.emplace_back(lengths.size(), 1);
  return all;
}

Choice MakeChoice(const Graph& graph, const Operator& op, AxisCuts cuts, OperatorLayout layout,
                  int64_t device_count) {
  const MindsporeCost cost = MindsporeOperatorCost(graph, op, layout, device_count);
  return {std::move(cuts), std::move(layout), cost};
}

bool HasCuts(const Choice& choice, const std::vector<Layout>& inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Layout& own = choice.layout.inputs[i];
    if (own.dim_count() != inputs[i].dim_count()) return false;
    for (size_t d = 0; d < own.dim_count(); ++d) {
      if (own.mesh_count(d) != inputs[i].mesh_count(d)) return false;
    }
  }
  return true;
}

// The mesh axes that cut each axis of the operator. Nothing when inputs cut one by different ones.
std::optional<std::vector<std::vector<int>>> MeshAxesOf(const OperatorAxes& axes,
                                                        const std::vector<Layout>& inputs) {
  std::vector<std::vector<int>> mesh_axes_of(axes.count());
  for (size_t i = 0; i < inputs.size(); ++i) {
    for (size_t d = 0; d < inputs[i].dim_count(); ++d) {
      const std::vector<int>& cutting = inputs[i].spec().dim_axes[d];
      const int axis = axes.inputs[i][d];
      if (cutting.empty() || axis == OperatorAxes::kWhole) continue;
      std::vector<int>& known = mesh_axes_of[static_cast<size_t>(axis)];
      if (!known.empty() && known != cutting) return std::nullopt;
      known = cutting;
    }
  }
  return mesh_axes_of;
}

std::optional<std::vector<Layout>> OutputsOnMeshOf(const std::vector<Layout>& inputs,
                                                   const OperatorAxes& axes) {
  const auto mesh_axes_of = MeshAxesOf(axes, inputs);
  if (!mesh_axes_of) return std::nullopt;
  std::vector<Layout> outputs;
  for (const std::vector<int>& dims : axes.outputs) {
    LayoutSpec spec;
    spec.mesh = inputs[0].spec().mesh;
    for (const int axis : dims) {
      spec.dim_axes.push_back(axis == OperatorAxes::kWhole
                                  ? std::vector<int>{}
                                  : (*mesh_axes_of)[static_cast<size_t>(axis)]);
    }
    Result<Layout> output = Layout::Create(std::move(spec));
    if (!output.ok()) return std::nullopt;
    outputs.push_back(std::move(output).value());
  }
  return outputs;
}

}  // namespace

Result<std::vector<Choice>> ChoicesOf(const Graph& graph, const Operator& op,
                                      const OperatorRule& rule, const OperatorAxes& axes,
                                      bool is_configured, int64_t device_count) {
  std::vector<AxisCuts> all;
  if (is_configured) {
    RELAYOUT_ASSIGN_OR_RETURN(AxisCuts cuts, ChosenCuts(graph, op, rule, axes, device_count));
    all.push_back(std::move(cuts));
  } else {
    all = CutsToTry(axes.lengths, device_count);
  }
  std::vector<Choice> choices;
  Status why_not = OkStatus();
  for (AxisCuts& cuts : all) {
    Result<OperatorLayout> layout = is_configured && op.mesh_cuts
                                        ? LayOutOnMesh(graph, op, axes, *op.mesh_cuts, device_count)
                                        : LayOut(graph, op, rule, axes, cuts, device_count);
    if (layout.ok()) {
      choices.push_back(
          MakeChoice(graph, op, std::move(cuts), std::move(layout).value(), device_count));
    } else {
      why_not = layout.status();
    }
  }
  if (choices.empty()) return why_not;
  return choices;
}

std::vector<Choice> ChoicesOfTensor(const Dims& shape, int64_t device_count) {
  OperatorAxes axes;
  axes.inputs.emplace_back();
  for (const int64_t length : shape) {
    axes.inputs[0].push_back(static_cast<int>(axes.lengths.size()));
    axes.lengths.push_back(length);
  }
  axes.outputs = axes.inputs;
  std::vector<Choice> choices;
  for (AxisCuts& cuts : CutsToTry(axes.lengths, device_count)) {
    Result<OperatorLayout> layout =
        LayOut(Operator{}, axes, cuts, MeshOrder::InOrder(axes.count()), device_count);
    if (layout.ok()) choices.push_back({std::move(cuts), std::move(*layout), {}});
  }
  return choices;
}

void AddOnMeshOf(const std::vector<Layout>& inputs, const Graph& graph, const Operator* op,
                 const OperatorAxes* axes, int64_t device_count, ChoiceList& choices) {
  const size_t count = choices.size();
  for (size_t i = 0; i < count; ++i) {
    if (!HasCuts(choices[i], inputs)) continue;
    const std::optional<std::vector<Layout>> outputs =
        op == nullptr ? inputs : OutputsOnMeshOf(inputs, *axes);
    if (!outputs) continue;
    AxisCuts cuts = choices[i].cuts;
    OperatorLayout layout;
    layout.cuts = choices[i].layout.cuts;
    layout.inputs = inputs;
    layout.outputs = *outputs;
    choices.Add(op == nullptr
                    ? Choice{std::move(cuts), std::move(layout), {}}
                    : MakeChoice(graph, *op, std::move(cuts), std::move(layout), device_count));
  }
}

}  // namespace relayout
