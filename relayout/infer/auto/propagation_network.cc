// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/auto/propagation_network.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "relayout/base/check.h"
#include "relayout/infer/auto/cost_model.h"
#include "relayout/infer/operator_rule.h"

namespace relayout {
namespace {

// Walks against the data's flow and numbers the operators that it meets, the data set among them as
// kNoId.
class Numbering {
 public:
  Numbering(const Graph& graph, bool training) : graph_(graph), training_(training) {}

  std::vector<OperatorId> Run() {
    std::vector<ValueId> results = graph_.results();
    // Operators that no result needs, the last ones first.
    for (auto id = graph_.operators().rbegin(); id != graph_.operators().rend(); ++id) {
      results.insert(results.end(), id->outputs.begin(), id->outputs.end());
    }
    for (const ValueId result : results) WalkFrom(result);
    return std::move(order_);
  }

 private:
  struct Step {
    OperatorId id;
    bool is_entered;
  };

  // Depth first. A recursion would be as deep as the network.
  void WalkFrom(ValueId result) {
    Push(result);
    while (!todo_.empty()) {
      const Step step = todo_.back();
      todo_.pop_back();
      if (step.is_entered) order_.push_back(step.id);
      if (step.is_entered || !seen_.insert(step.id).second) continue;
      if (training_) {
        todo_.push_back({step.id, true});
      } else {
        order_.push_back(step.id);
      }
      if (step.id != kNoId) PushInputs(step.id);
    }
  }

  void Push(ValueId value_id) {
    const Value& value = graph_.value(value_id);
    if (value.role == ValueRole::kResult) todo_.push_back({value.producer, false});
    if (value.role == ValueRole::kInput) todo_.push_back({kNoId, false});
  }

  // What is pushed last is walked first.
  void PushInputs(OperatorId id) {
    std::vector<ValueId> inputs = graph_.op(id).inputs;
    if (training_) std::reverse(inputs.begin(), inputs.end());
    for (const ValueId input : inputs) Push(input);
  }

  const Graph& graph_;
  bool training_;
  std::vector<Step> todo_;
  std::set<OperatorId> seen_;
  std::vector<OperatorId> order_;
};

Layout CutFirstDim(const Dims& shape, int64_t pieces, int64_t device_count) {
  if (pieces == 1 || shape.empty()) return Layout::Replicated(device_count, shape.size());
  LayoutSpec spec;
  spec.mesh = {pieces};
  spec.dim_axes.resize(shape.size());
  spec.dim_axes[0] = {0};
  Result<Layout> layout = Layout::Create(std::move(spec));
  RELAYOUT_CHECK(layout.ok());
  return std::move(layout).value();
}

bool IsAnnotated(const Operator& op, const OperatorRule& rule) {
  return (op.cuts || op.mesh_cuts) && !rule.ignores_annotation && op.type != "Reshape";
}

}  // namespace

Result<PropagationNetwork> PropagationNetwork::Create(const Graph& graph, int64_t device_count,
                                                      const PropagationOptions& options) {
  PropagationNetwork network(graph, device_count);
  RELAYOUT_RETURN_IF_ERROR(network.MakeNodes(options));
  RELAYOUT_RETURN_IF_ERROR(network.GiveChoices());
  network.MakeEdges();
  network.MakeParameterNodes();
  return network;
}

Status PropagationNetwork::MakeNodes(const PropagationOptions& options) {
  node_of_.resize(graph_->operators().size());
  axes_.resize(graph_->operators().size());
  for (const OperatorId id : Numbering(*graph_, options.training).Run()) {
    const size_t index = nodes_.size();
    if (id == kNoId) {
      data_set_ = index;
      nodes_.push_back(MakeDataSet(options.full_batch));
    } else {
      RELAYOUT_ASSIGN_OR_RETURN(PropagationNode node, MakeOperator(id));
      node.number = index;
      node_of_[static_cast<size_t>(id)] = index;
      nodes_.push_back(std::move(node));
    }
    if (nodes_[index].is_configured) configured_[nodes_[index].number] = index;
  }
  return OkStatus();
}

// Operators alike share their choices.
Status PropagationNetwork::GiveChoices() {
  const CostModel signatures(*graph_, MachineModel{}, CostOptions{});
  std::unordered_map<std::string, std::shared_ptr<const std::vector<Choice>>> choices_of;
  for (PropagationNode& node : nodes_) {
    if (node.op == kNoId || node.is_reshape) continue;
    std::shared_ptr<const std::vector<Choice>>& shared = choices_of[signatures.Signature(node.op)];
    if (shared == nullptr) {
      RELAYOUT_ASSIGN_OR_RETURN(std::vector<Choice> made, MakeChoices(node.op));
      shared = std::make_shared<const std::vector<Choice>>(std::move(made));
    }
    node.choices.Share(shared);
  }
  return OkStatus();
}

PropagationNode PropagationNetwork::MakeDataSet(bool full_batch) const {
  PropagationNode node;
  node.number = std::numeric_limits<size_t>::max();
  node.is_configured = true;
  Choice choice;
  for (const ValueId input : graph_->inputs()) {
    const Dims& shape = graph_->value(input).shape;
    const bool divides = !shape.empty() && shape[0] % device_count_ == 0;
    choice.layout.outputs.push_back(
        CutFirstDim(shape, full_batch || !divides ? 1 : device_count_, device_count_));
  }
  node.choices.Add(std::move(choice));
  return node;
}

Result<PropagationNode> PropagationNetwork::MakeOperator(OperatorId id) {
  const Operator& op = graph_->op(id);
  RELAYOUT_ASSIGN_OR_RETURN(const OperatorRule* const rule, RuleOf(op));
  RELAYOUT_ASSIGN_OR_RETURN(axes_[static_cast<size_t>(id)], rule->axes(*graph_, op));
  PropagationNode node;
  node.op = id;
  node.input_count = op.inputs.size();
  node.is_reshape = op.type == "Reshape";
  node.is_configured = IsAnnotated(op, *rule);
  return node;
}

Result<std::vector<Choice>> PropagationNetwork::MakeChoices(OperatorId id) const {
  const Operator& op = graph_->op(id);
  RELAYOUT_ASSIGN_OR_RETURN(const OperatorRule* const rule, RuleOf(op));
  return ChoicesOf(*graph_, op, *rule, AxesOf(id), IsAnnotated(op, *rule), device_count_);
}

void PropagationNetwork::MakeEdges() {
  const size_t count = nodes_.size();
  for (size_t node = 0; node < count; ++node) {
    if (nodes_[node].op == kNoId) continue;
    const std::vector<ValueId>& inputs = graph_->op(nodes_[node].op).inputs;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Value& value = graph_->value(inputs[i]);
      if (value.role == ValueRole::kResult) {
        const size_t maker = node_of_[static_cast<size_t>(value.producer)];
        AddEdge({maker, static_cast<size_t>(value.output_index), node, i, inputs[i],
                 nodes_[maker].is_reshape || nodes_[node].is_reshape});
      } else if (value.role == ValueRole::kInput) {
        const auto at = std::find(graph_->inputs().begin(), graph_->inputs().end(), inputs[i]);
        AddEdge({data_set_, static_cast<size_t>(at - graph_->inputs().begin()), node, i, inputs[i],
                 nodes_[node].is_reshape});
      }
    }
  }
}

void PropagationNetwork::AddEdge(const PropagationEdge& edge) {
  nodes_[edge.from].users.push_back(edges_.size());
  nodes_[edge.to].makers.push_back(edges_.size());
  edges_.push_back(edge);
}

void PropagationNetwork::MakeParameterNodes() {
  const std::vector<std::vector<Graph::Use>> uses = graph_->Uses();
  for (const ValueId parameter : graph_->parameters()) {
    const std::vector<Graph::Use>& users = uses[static_cast<size_t>(parameter)];
    if (users.size() < 2) continue;
    PropagationNode node;
    node.parameter = parameter;
    node.number = nodes_.size();
    for (Choice& choice : ChoicesOfTensor(graph_->value(parameter).shape, device_count_)) {
      node.choices.Add(std::move(choice));
    }
    nodes_.push_back(std::move(node));
    for (const Graph::Use& use : users) {
      AddEdge({nodes_.size() - 1, 0, node_of_[static_cast<size_t>(use.user)],
               static_cast<size_t>(use.input), parameter, true});
    }
  }
}

void PropagationNetwork::Configure(size_t index, size_t choice) {
  PropagationNode& node = nodes_[index];
  Keep(choice, node);
  node.has_chosen = false;
  node.is_configured = true;
  configured_[node.number] = index;
}

Result<ChoiceList> PropagationNetwork::ChoicesAnew(OperatorId id) const {
  RELAYOUT_ASSIGN_OR_RETURN(std::vector<Choice> made, MakeChoices(id));
  ChoiceList choices;
  choices.Share(std::make_shared<const std::vector<Choice>>(std::move(made)));
  return choices;
}

void PropagationNetwork::AddOnMesh(const std::vector<Layout>& inputs, PropagationNode& node) const {
  const bool is_operator = node.op != kNoId;
  AddOnMeshOf(inputs, *graph_, is_operator ? &graph_->op(node.op) : nullptr,
              is_operator ? &AxesOf(node.op) : nullptr, device_count_, node.choices);
}

void Keep(size_t choice, PropagationNode& node) {
  node.choices.Keep(choice);
  node.has_chosen = true;
}

}  // namespace relayout
