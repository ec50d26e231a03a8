// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/operator_rule.h"

#include <map>

#include "relayout/base/check.h"
#include "relayout/base/near_names.h"
#include "relayout/base/text.h"
#include "relayout/infer/rules/default_cuts.h"
#include "relayout/infer/rules/families.h"

namespace relayout {
namespace {

using RuleTable = std::map<std::string_view, OperatorRule>;

RuleTable MakeTable() {
  RuleTable table;
  for (const auto& family : {AttentionRules(), BatchParallelRules(), ConvolutionRules(),
                             ElementwiseRules(), GatherRules(), LossRules(), MatrixRules(),
                             NormalizationRules(), PieceRules(), ReductionRules(), ShapeRules()}) {
    for (const OperatorRule& rule : family) {
      RELAYOUT_CHECK(table.emplace(rule.type, rule).second);
    }
  }
  return table;
}

const RuleTable& Table() {
  static const RuleTable table = MakeTable();
  return table;
}

}  // namespace

const OperatorRule* FindRule(std::string_view type) {
  const auto found = Table().find(type);
  return found == Table().end() ? nullptr : &found->second;
}

std::vector<std::string_view> RuleTypes() {
  std::vector<std::string_view> types;
  for (const auto& [type, rule] : Table()) types.push_back(type);
  return types;
}

Result<const OperatorRule*> RuleOf(const Operator& op) {
  const OperatorRule* const rule = FindRule(op.type);
  if (rule != nullptr) return rule;
  NearNames near(op.type);
  for (const std::string_view type : RuleTypes()) near.Consider(type);
  return Unsupported(
      Format("{}: relayout does not know how this operator is cut{}", Describe(op), near.Hint("")));
}

Result<AxisCuts> ChosenCuts(const Graph& graph, const Operator& op, const OperatorRule& rule,
                            const OperatorAxes& axes, int64_t device_count) {
  if (op.mesh_cuts) return ToAxisCuts(graph, op, axes, *op.mesh_cuts);
  if (op.cuts && !rule.ignores_annotation) return ToAxisCuts(graph, op, axes, *op.cuts);
  const Cuts cuts = rule.default_cuts == nullptr ? CutFirstBatch(graph, op, axes, device_count)
                                                 : rule.default_cuts(graph, op, axes, device_count);
  return ToAxisCuts(graph, op, axes, cuts, CutsOrigin::kDefault);
}

Result<OperatorLayout> LayOut(const Graph& graph, const Operator& op, const OperatorRule& rule,
                              const OperatorAxes& axes, const AxisCuts& axis_cuts,
                              int64_t device_count) {
  if (rule.check != nullptr) {
    RELAYOUT_RETURN_IF_ERROR(rule.check(graph, op, axes, axis_cuts, device_count));
  }
  const MeshOrder order = rule.order == nullptr
                              ? MeshOrder::InOrder(axes.count())
                              : rule.order(graph, op, axes, axis_cuts, device_count);
  return LayOut(op, axes, axis_cuts, order, device_count);
}

}  // namespace relayout
