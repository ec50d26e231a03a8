// SPDX-License-Identifier: Apache-2.0
//
// What infer/ knows about each type of operator. A rule is mostly its axes; the rest says where
// MindSpore departs from what follows from them.
//
//   const OperatorRule* rule = FindRule("MatMul");
//   RELAYOUT_ASSIGN_OR_RETURN(const OperatorAxes axes, rule->axes(graph, op));
//
// The rules live in rules/, a file a family; rules.cc has the table.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/graph/graph.h"
#include "relayout/infer/operator_axes.h"

namespace relayout {

struct OperatorRule {
  std::string_view type;

  // Fails when the operator's inputs, outputs or attributes are not such as this type has; the
  // message names the operator.
  Result<OperatorAxes> (*axes)(const Graph& graph, const Operator& op);

  // The axis that is cut when there is no annotation, kWhole for none. Null: the axis of the first
  // input's first dim (the batch). It is cut into as many pieces as divide both its length and the
  // devices; or, all or nothing, into as many as there are devices if these divide it.
  int (*default_axis)(const Graph& graph, const Operator& op, const OperatorAxes& axes) = nullptr;
  bool default_is_all_or_nothing = false;

  // Fails when the operator cannot be cut so although each axis can. Null: it can.
  Status (*check)(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                  const AxisCuts& axis_cuts, int64_t device_count) = nullptr;

  // Null: MeshOrder::InOrder.
  MeshOrder (*order)(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                     const AxisCuts& axis_cuts, int64_t device_count) = nullptr;
};

// Null for a type that has no rule.
const OperatorRule* FindRule(std::string_view type);
// Every type that has one, ascending.
std::vector<std::string_view> RuleTypes();

// The rule for `op`, or an error that names the operator and what is near its type.
Result<const OperatorRule*> RuleOf(const Operator& op);

// Lays `op` out with these cuts of its axes, by its rule.
Result<OperatorLayout> LayOut(const Graph& graph, const Operator& op, const OperatorRule& rule,
                              const OperatorAxes& axes, const AxisCuts& axis_cuts,
                              int64_t device_count);

}  // namespace relayout
