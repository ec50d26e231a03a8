// SPDX-License-Identifier: Apache-2.0
//
// Small networks for tests.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "relayout/graph/graph.h"

namespace relayout {

// Builds a Graph a line an operator; a name that is used twice is a failed CHECK.
class TestNetwork {
 public:
  ValueId Input(const std::string& name, const Dims& shape) {
    return graph_.AddInput(name, {DType::kFloat32, shape});
  }
  ValueId Parameter(const std::string& name, const Dims& shape, DType dtype = DType::kFloat32) {
    return graph_.AddParameter(name, {dtype, shape}).value();
  }
  // An operator with one result of `shape`.
  ValueId Apply(const std::string& type, std::vector<ValueId> inputs, const Dims& shape,
                std::optional<Cuts> cuts = std::nullopt, Attributes attributes = {},
                const std::string& cell = "") {
    Operator op;
    op.type = type;
    op.name = "Default/" + cell + type + "-op" + std::to_string(graph_.operators().size());
    op.inputs = std::move(inputs);
    op.cuts = std::move(cuts);
    op.attributes = std::move(attributes);
    const OperatorId id = graph_.AddOperator(std::move(op), {{DType::kFloat32, shape}});
    return graph_.op(id).outputs[0];
  }
  Graph& graph() { return graph_; }

 private:
  Graph graph_;
};

}  // namespace relayout
