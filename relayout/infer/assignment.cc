// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/assignment.h"

#include <utility>

#include "relayout/base/check.h"
#include "relayout/base/text.h"
#include "relayout/infer/operator_rule.h"

namespace relayout {
namespace {

int DefaultAxis(const Graph& graph, const Operator& op, const OperatorRule& rule,
                const OperatorAxes& axes) {
  if (rule.default_axis != nullptr) return rule.default_axis(graph, op, axes);
  if (axes.inputs.empty() || axes.inputs[0].empty()) return OperatorAxes::kWhole;
  return axes.inputs[0][0];
}

Result<AxisCuts> DefaultCuts(const Graph& graph, const Operator& op, const OperatorRule& rule,
                             const OperatorAxes& axes, int64_t device_count) {
  AxisCuts cuts(axes.count(), 1);
  const int axis = DefaultAxis(graph, op, rule, axes);
  if (axis == OperatorAxes::kWhole) return cuts;
  const int64_t length = axes.lengths[static_cast<size_t>(axis)];
  if (length % device_count != 0) {
    return InvalidInput(
        Format("{}: without an annotation all {} of a stage cut its batch, but that has length {}; "
               "annotate it, or take a number of devices that divides {}",
               Describe(op), Count(device_count, "device"), length, length));
  }
  cuts[static_cast<size_t>(axis)] = device_count;
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
    RELAYOUT_ASSIGN_OR_RETURN(AxisCuts cuts,
                              op.cuts ? ToAxisCuts(graph, op, axes, *op.cuts)
                                      : DefaultCuts(graph, op, *rule, axes, device_count));
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
    RELAYOUT_ASSIGN_OR_RETURN(OperatorLayout layout,
                              LayOut(graph, op, *rule, axes, assignment.cuts[id], device_count));
    layouts.push_back(std::move(layout));
  }
  return layouts;
}

}  // namespace relayout
