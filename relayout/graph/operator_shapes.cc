// SPDX-License-Identifier: Apache-2.0
#include "relayout/graph/operator_shapes.h"

#include <algorithm>

#include "relayout/base/check.h"
#include "relayout/base/near_names.h"
#include "relayout/base/text.h"
#include "relayout/graph/shapes/families.h"

namespace relayout {
namespace {

bool IsBefore(const ShapeRule& a, const ShapeRule& b) { return a.type < b.type; }

// All rules, ascending by type.
std::vector<ShapeRule> MakeTable() {
  std::vector<ShapeRule> table;
  for (const auto family :
       {ElementwiseShapes, MatrixShapes, NormalizingShapes, ReducingShapes, ReshapingShapes,
        PartingShapes, LookupShapes, LossShapes, AttentionShapes, CreatingShapes, WindowShapes}) {
    for (const ShapeRule& rule : family()) table.push_back(rule);
  }
  std::sort(table.begin(), table.end(), IsBefore);
  const auto same = [](const ShapeRule& a, const ShapeRule& b) { return a.type == b.type; };
  RELAYOUT_CHECK(std::adjacent_find(table.begin(), table.end(), same) == table.end());
  return table;
}

const std::vector<ShapeRule>& Table() {
  static const auto* const table = new std::vector<ShapeRule>(MakeTable());
  return *table;
}

const ShapeRule* FindShapeRule(std::string_view type) {
  const auto found =
      std::lower_bound(Table().begin(), Table().end(), ShapeRule{type, nullptr}, IsBefore);
  return found != Table().end() && found->type == type ? &*found : nullptr;
}

Status UnknownType(const Operator& op) {
  NearNames near(op.type);
  for (const ShapeRule& rule : Table()) near.Consider(rule.type);
  return Unsupported(Format("{}: the shapes of results are not known for this type of operator{}",
                            Describe(op), near.Hint("")));
}

}  // namespace

Result<std::vector<TensorType>> ResultTypes(const Operator& op,
                                            const std::vector<TensorType>& inputs) {
  return ResultTypes(op, op.attributes, inputs);
}

Result<std::vector<TensorType>> ResultTypes(const Operator& op, const Attributes& attributes,
                                            const std::vector<TensorType>& inputs) {
  const ShapeRule* const rule = FindShapeRule(op.type);
  if (rule == nullptr) return UnknownType(op);
  return rule->results(ShapeCall(op, attributes, inputs));
}

bool HasResultTypes(std::string_view type) { return FindShapeRule(type) != nullptr; }

std::vector<std::string_view> TypesWithResultTypes() {
  std::vector<std::string_view> types;
  for (const ShapeRule& rule : Table()) types.push_back(rule.type);
  return types;
}

}  // namespace relayout
