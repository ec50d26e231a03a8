// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/assignment.h"

#include <utility>

#include "relayout/base/check.h"
#include "relayout/infer/operator_rule.h"

namespace relayout {

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
    RELAYOUT_ASSIGN_OR_RETURN(AxisCuts cuts, ChosenCuts(graph, op, *rule, axes, device_count));
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
