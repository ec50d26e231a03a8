// SPDX-License-Identifier: Apache-2.0
//
// The network as propagation walks over it: nodes that choose, and edges between them.
//
//   x ──> MatMul ──> Add ──> Reshape ──> MatMul       nodes: data set, 4 operators, and w, which
//           w ─┘                      w ─┘            has two users; edges: x, 3 results, 2 of w
//
// * A node is an operator, the data set, or a parameter with several users; parameters with one
//   user are no nodes. Nodes of operators have the numbers that propagation.h defines.
// * Along a fixed edge nothing may be redistributed: those of parameters and Reshapes.
// * A Reshape has no choices from its axes, but those that propagation_reshape.h gives it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/graph/graph.h"
#include "relayout/infer/auto/propagation.h"
#include "relayout/infer/auto/propagation_choice.h"
#include "relayout/infer/operator_axes.h"

namespace relayout {

struct PropagationEdge {
  size_t from = 0;
  size_t output = 0;
  size_t to = 0;
  size_t input = 0;
  ValueId value = kNoId;
  bool is_fixed = false;  // Nothing may be redistributed.
};

// An operator, the data set, or a parameter with several users.
struct PropagationNode {
  OperatorId op = kNoId;
  ValueId parameter = kNoId;
  size_t number = 0;  // See propagation.h.
  bool is_reshape = false;
  size_t input_count = 1;
  bool is_configured = false;
  bool is_visited = false;
  // All that it may be; one once it has chosen.
  ChoiceList choices;
  bool has_chosen = false;
  std::vector<size_t> makers;  // Edges, by input.
  std::vector<size_t> users;   // Edges, by the user's number.
  std::vector<size_t> visited_makers;
  // Of a Reshape: besides its choices it may be any pair of these.
  std::vector<Layout> before;
  std::vector<Layout> after;

  bool has_several_inputs() const { return input_count >= 2; }
  bool all_inputs_visited() const { return visited_makers.size() == input_count; }
};

class PropagationNetwork {
 public:
  // Keeps a reference to the graph. Fails, naming the operator, when a type has no rule or an
  // annotation does not fit.
  static Result<PropagationNetwork> Create(const Graph& graph, int64_t device_count,
                                           const PropagationOptions& options);

  const Graph& graph() const { return *graph_; }
  int64_t device_count() const { return device_count_; }
  std::vector<PropagationNode>& nodes() { return nodes_; }
  const std::vector<PropagationNode>& nodes() const { return nodes_; }
  const std::vector<PropagationEdge>& edges() const { return edges_; }
  // Of an operator.
  const PropagationNode& NodeOf(OperatorId id) const {
    return nodes_[node_of_[static_cast<size_t>(id)]];
  }
  const OperatorAxes& AxesOf(OperatorId id) const { return axes_[static_cast<size_t>(id)]; }
  // Annotated nodes by number, the data set among them.
  const std::map<size_t, size_t>& configured() const { return configured_; }

  // Node `index` counts as annotated with this of its choices.
  void Configure(size_t index, size_t choice);
  // All choices of an operator, whatever its node has chosen.
  Result<ChoiceList> ChoicesAnew(OperatorId id) const;
  // Adds the node's choices that take the mesh of its inputs' layouts.
  void AddOnMesh(const std::vector<Layout>& inputs, PropagationNode& node) const;

 private:
  PropagationNetwork(const Graph& graph, int64_t device_count)
      : graph_(&graph), device_count_(device_count) {}

  Status MakeNodes(const PropagationOptions& options);
  Status GiveChoices();
  PropagationNode MakeDataSet(bool full_batch) const;
  Result<PropagationNode> MakeOperator(OperatorId id);
  Result<std::vector<Choice>> MakeChoices(OperatorId id) const;
  void MakeEdges();
  void AddEdge(const PropagationEdge& edge);
  void MakeParameterNodes();

  const Graph* graph_;
  int64_t device_count_;
  std::vector<PropagationNode> nodes_;
  std::vector<PropagationEdge> edges_;
  std::vector<size_t> node_of_;     // By OperatorId.
  std::vector<OperatorAxes> axes_;  // By OperatorId.
  std::map<size_t, size_t> configured_;
  size_t data_set_ = 0;
};

// The layouts at the two ends of an edge.
inline const Layout& Out(const PropagationEdge& edge, const Choice& maker) {
  return maker.layout.outputs[edge.output];
}
inline const Layout& In(const PropagationEdge& edge, const Choice& user) {
  return user.layout.inputs[edge.input];
}

// Only this choice is left.
void Keep(size_t choice, PropagationNode& node);

}  // namespace relayout
