// SPDX-License-Identifier: Apache-2.0
//
// What infer/ knows about each type of operator. A rule is mostly its axes; the rest says where
// MindSpore departs from what follows from them.
//
//   const OperatorRule* rule = FindRule("MatMul");
//   RELAYOUT_ASSIGN_OR_RETURN(const OperatorAxes axes, rule->axes(graph, op));
//
// The rules live in rules/, a file a family; operator_rule.cc has the table.
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

  // How MindSpore cuts the operator's inputs (or what its axes list) when nothing is annotated.
  // Null: dim 0 of the first input (the batch) into gcd(length, devices) pieces.
  Cuts (*default_cuts)(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                       int64_t device_count) = nullptr;

  // MindSpore takes no notice of an annotation: it has no rule for this type (batch_parallel.cc).
  bool ignores_annotation = false;

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

// What MindSpore cuts the axes into: as annotated, else by the rule's default. Fails when the
// annotation contradicts the axes, or when the default does (Softmax over dim 0: MindSpore cuts it
// all the same, and then refuses); names the operator, the tensor and both numbers.
Result<AxisCuts> ChosenCuts(const Graph& graph, const Operator& op, const OperatorRule& rule,
                            const OperatorAxes& axes, int64_t device_count);

// Lays `op` out with these cuts of its axes, by its rule.
Result<OperatorLayout> LayOut(const Graph& graph, const Operator& op, const OperatorRule& rule,
                              const OperatorAxes& axes, const AxisCuts& axis_cuts,
                              int64_t device_count);

}  // namespace relayout
