// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/assignment.h"

#include <numeric>
#include <utility>

#include "relayout/base/check.h"
#include "relayout/infer/operator_rule.h"

namespace relayout {
namespace {

int DefaultAxis(const Graph& graph, const Operator& op, const OperatorRule& rule,
                const OperatorAxes& axes) {
  if (rule.default_axis != nullptr) return rule.default_axis(graph, op, axes);
  if (axes.inputs.empty() || axes.inputs[0].empty()) return OperatorAxes::kWhole;
  return axes.inputs[0][0];
}

AxisCuts DefaultCuts(const Graph& graph, const Operator& op, const OperatorRule& rule,
                     const OperatorAxes& axes, int64_t device_count) {
  AxisCuts cuts(axes.count(), 1);
  const int axis = DefaultAxis(graph, op, rule, axes);
  if (axis == OperatorAxes::kWhole) return cuts;
  const int64_t pieces = std::gcd(axes.lengths[static_cast<size_t>(axis)], device_count);
  if (rule.default_is_all_or_nothing && pieces != device_count) return cuts;
  cuts[static_cast<size_t>(axis)] = pieces;
  return cuts;
}

}  // namespace

Result<std::vector<OperatorAxes>> AxesOfAll(const Graph& graph) {
  std::vector<OperatorAxes> all;
  for (const Operator& op : graph.operators()) {
    RELAYOUT_ASSIGN_OR_RETURN(const OperatorRule* const rule, RuleOf(op));
    RELAYOUT_ASSIGN_OR_RETURN(OperatorAxes axes, rule->axes(graph, op));
    all.push_back(std::move(axes));
  }
  return all;
}

Result<Assignment> AssignAnnotated(const Graph& graph, int64_t device_count) {
  Assignment assignment;
  for (const Operator& op : graph.operators()) {
    RELAYOUT_ASSIGN_OR_RETURN(const OperatorRule* const rule, RuleOf(op));
    RELAYOUT_ASSIGN_OR_RETURN(const OperatorAxes axes, rule->axes(graph, op));
    if (!op.cuts && !op.mesh_cuts) {
      assignment.cuts.push_back(DefaultCuts(graph, op, *rule, axes, device_count));
      continue;
    }
    RELAYOUT_ASSIGN_OR_RETURN(AxisCuts cuts, op.mesh_cuts
                                                 ? ToAxisCuts(graph, op, axes, *op.mesh_cuts)
                                                 : ToAxisCuts(graph, op, axes, *op.cuts));
    assignment.cuts.push_back(std::move(cuts));
  }
  return assignment;
}

Result<std::vector<OperatorLayout>> LayOutAll(const Graph& graph, const Assignment& assignment,
                                              int64_t device_count) {
  RELAYOUT_CHECK(assignment.cuts.size() == graph.operators().size());
  std::vector<OperatorLayout> layouts;
  for (size_t id = 0; id < graph.operators().size(); ++id) {
    const Operator& op = graph.operators()[id];
    RELAYOUT_ASSIGN_OR_RETURN(const OperatorRule* const rule, RuleOf(op));
    RELAYOUT_ASSIGN_OR_RETURN(const OperatorAxes axes, rule->axes(graph, op));
    RELAYOUT_ASSIGN_OR_RETURN(
        OperatorLayout layout,
        op.mesh_cuts ? LayOutOnMesh(graph, op, axes, *op.mesh_cuts, device_count)
                     : LayOut(graph, op, *rule, axes, assignment.cuts[id], device_count));
    layouts.push_back(std::move(layout));
  }
  return layouts;
}

}  // namespace relayout
