// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/auto/propagation.h"

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "relayout/infer/auto/propagation_costs.h"
#include "relayout/infer/auto/propagation_network.h"
#include "relayout/infer/auto/propagation_reshape.h"
#include "relayout/infer/operator_axes.h"

namespace relayout {
namespace {

class Propagation {
 public:
  explicit Propagation(PropagationNetwork network)
      : network_(std::move(network)),
        costs_(network_),
        nodes_(network_.nodes()),
        edges_(network_.edges()) {}

  Result<Assignment> Run() {
    RELAYOUT_RETURN_IF_ERROR(ConfigureCasts());
    OfferPairs(network_);
    for (const auto& [number, node] : network_.configured()) {
      (void)number;
      RELAYOUT_RETURN_IF_ERROR(Walk(node));
    }
    RELAYOUT_RETURN_IF_ERROR(SettleParameters());
    return ToAssignment();
  }

 private:
  // A Cast before an annotated operator counts as annotated with what suits that one.
  Status ConfigureCasts() {
    for (size_t e = 0; e < edges_.size(); ++e) {
      const PropagationNode& maker = nodes_[edges_[e].from];
      if (maker.op == kNoId || network_.graph().op(maker.op).type != "Cast") continue;
      if (!nodes_[edges_[e].to].is_configured) continue;
      RELAYOUT_ASSIGN_OR_RETURN(const size_t best,
                                costs_.CheapestBeside(edges_[e], /*of_maker=*/true));
      network_.Configure(edges_[e].from, best);
    }
    return OkStatus();
  }

  Status Walk(size_t start) {
    queue_.clear();
    queue_.push_back(start);
    nodes_[start].has_chosen = true;
    while (!queue_.empty()) {
      const size_t node = queue_.front();
      nodes_[node].is_visited = true;
      for (const size_t e : nodes_[node].users) RELAYOUT_RETURN_IF_ERROR(VisitUser(e));
      for (const size_t e : nodes_[node].makers) RELAYOUT_RETURN_IF_ERROR(VisitMaker(e));
      queue_.pop_front();
      if (!queue_.empty() || waiting_.empty()) continue;
      const auto first = waiting_.begin();
      if (nodes_[first->second].is_visited || IsBeforeConfigured(first->first, start)) continue;
      const size_t next = first->second;
      RELAYOUT_ASSIGN_OR_RETURN(const size_t best, costs_.CheapestOverInputs(nodes_[next]));
      Keep(best, nodes_[next]);
      queue_.push_back(next);
      waiting_.erase(first);
    }
    return OkStatus();
  }

  // An annotated operator that is still to come is nearer to the result than `number`.
  bool IsBeforeConfigured(size_t number, size_t start) const {
    const auto next = network_.configured().upper_bound(nodes_[start].number);
    return next != network_.configured().end() && number > next->first;
  }

  void Enqueue(size_t node) {
    nodes_[node].is_visited = true;
    queue_.push_back(node);
  }

  Status VisitUser(size_t e) {
    const PropagationEdge& edge = edges_[e];
    const PropagationNode& current = nodes_[edge.from];
    PropagationNode& user = nodes_[edge.to];
    const bool is_settled = user.is_visited || user.is_configured;
    if (!is_settled && !current.is_reshape && !user.is_reshape) TakeMeshOfMakers(e, user);
    if (is_settled) {
      NoteDisagreement(edge);
      return OkStatus();
    }
    if (user.is_reshape) {
      if (!current.is_reshape) JoinAfter(edge);
      return OkStatus();
    }
    if (current.is_reshape) {
      FollowReshape(edge, edge.to, /*is_user=*/true);
      return OkStatus();
    }
    return LetUserChoose(edge);
  }

  // One with several inputs waits until all of them come from visited nodes.
  Status LetUserChoose(const PropagationEdge& edge) {
    PropagationNode& user = nodes_[edge.to];
    if (user.has_several_inputs() && !user.all_inputs_visited()) {
      waiting_[user.number] = edge.to;
      return OkStatus();
    }
    size_t best = 0;
    if (user.has_several_inputs()) {
      waiting_.erase(user.number);
      RELAYOUT_ASSIGN_OR_RETURN(best, costs_.CheapestOverInputs(user));
      user.visited_makers.clear();
    } else {
      RELAYOUT_ASSIGN_OR_RETURN(best, costs_.CheapestBeside(edge, /*of_maker=*/false));
    }
    Keep(best, user);
    Enqueue(edge.to);
    return OkStatus();
  }

  void TakeMeshOfMakers(size_t e, PropagationNode& user) {
    const PropagationEdge& edge = edges_[e];
    if (!user.has_several_inputs()) {
      network_.AddOnMesh({Out(edge, nodes_[edge.from].choices[0])}, user);
      return;
    }
    user.visited_makers.push_back(e);
    if (!user.all_inputs_visited()) return;
    std::vector<std::optional<Layout>> found(user.input_count);
    for (const size_t maker : user.visited_makers) {
      const PropagationEdge& from = edges_[maker];
      found[from.input] = Out(from, nodes_[from.from].choices[0]);
    }
    std::vector<Layout> inputs;
    for (const std::optional<Layout>& layout : found) {
      if (!layout || layout->spec().mesh != found[0]->spec().mesh) return;
      inputs.push_back(*layout);
    }
    network_.AddOnMesh(inputs, user);
  }

  Status VisitMaker(size_t e) {
    const PropagationEdge& edge = edges_[e];
    const PropagationNode& current = nodes_[edge.to];
    PropagationNode& maker = nodes_[edge.from];
    if (maker.is_visited || maker.is_configured) {
      NoteDisagreement(edge);
      return OkStatus();
    }
    if (!current.is_reshape && !maker.is_reshape && !maker.has_several_inputs()) {
      network_.AddOnMesh({In(edge, current.choices[0])}, maker);
    }
    if (maker.is_reshape) {
      if (!current.is_reshape) JoinBefore(edge);
      return OkStatus();
    }
    if (current.is_reshape) {
      FollowReshape(edge, edge.from, /*is_user=*/false);
      return OkStatus();
    }
    RELAYOUT_ASSIGN_OR_RETURN(const size_t best, costs_.CheapestBeside(edge, /*of_maker=*/true));
    Keep(best, maker);
    Enqueue(edge.from);
    return OkStatus();
  }

  // A Reshape follows a neighbour. Without a pair it stays unvisited; another one may reach it.
  void JoinAfter(const PropagationEdge& edge) {
    const Layout& in = Out(edge, nodes_[edge.from].choices[0]);
    if (ChoosePair(network_, &in, nullptr, nodes_[edge.to])) Enqueue(edge.to);
  }
  void JoinBefore(const PropagationEdge& edge) {
    const Layout& out = In(edge, nodes_[edge.to].choices[0]);
    if (ChoosePair(network_, nullptr, &out, nodes_[edge.from])) Enqueue(edge.from);
  }

  // A neighbour of a Reshape takes its first cuts that give the Reshape's layout on that side.
  void FollowReshape(const PropagationEdge& edge, size_t index, bool is_user) {
    PropagationNode& node = nodes_[index];
    const PropagationNode& reshape = nodes_[is_user ? edge.from : edge.to];
    const Layout& wanted =
        is_user ? reshape.choices[0].layout.outputs[0] : reshape.choices[0].layout.inputs[0];
    for (size_t i = 0; i < node.choices.size(); ++i) {
      const Choice& c = node.choices[i];
      if ((is_user ? In(edge, c) : Out(edge, c)) != wanted) continue;
      Keep(i, node);
      Enqueue(index);
      return;
    }
  }

  // --- Parameters with several users that came out differently.

  void NoteDisagreement(const PropagationEdge& edge) {
    const PropagationNode& maker = nodes_[edge.from];
    const PropagationNode& user = nodes_[edge.to];
    if (maker.choices.size() != 1 || user.choices.size() != 1) return;
    // Asked also where nothing depends on it: this tensor may be the first with these layouts.
    if (costs_.CostOf(edge, Out(edge, maker.choices[0]), In(edge, user.choices[0]))) return;
    if (maker.parameter != kNoId) disagreeing_.insert(edge.from);
  }

  Status SettleParameters() {
    for (const size_t index : disagreeing_) {
      FollowAnnotatedUser(nodes_[index]);
      for (const size_t e : nodes_[index].users) {
        RELAYOUT_RETURN_IF_ERROR(FollowParameter(edges_[e]));
      }
    }
    return OkStatus();
  }

  void FollowAnnotatedUser(PropagationNode& parameter) {
    for (const size_t e : parameter.users) {
      const PropagationNode& user = nodes_[edges_[e].to];
      if (!user.is_configured) continue;
      const Layout wanted = In(edges_[e], user.choices[0]);
      Choice like;
      like.layout.inputs = {wanted};
      like.layout.outputs = {wanted};
      parameter.choices.Add(std::move(like));
      Keep(parameter.choices.size() - 1, parameter);
      return;
    }
  }

  Status FollowParameter(const PropagationEdge& edge) {
    PropagationNode& user = nodes_[edge.to];
    if (user.op == kNoId || user.is_reshape || user.choices.empty()) return OkStatus();
    const Layout& wanted = Out(edge, nodes_[edge.from].choices[0]);
    if (costs_.CostOf(edge, wanted, In(edge, user.choices[0]))) return OkStatus();
    if (user.is_configured) return costs_.CannotAgree(edge);
    RELAYOUT_ASSIGN_OR_RETURN(user.choices, network_.ChoicesAnew(user.op));
    RELAYOUT_ASSIGN_OR_RETURN(const size_t best, costs_.CheapestBeside(edge, /*of_maker=*/false));
    Keep(best, user);
    return OkStatus();
  }

  // --- The result.

  Assignment ToAssignment() const {
    Assignment assignment;
    for (size_t id = 0; id < network_.graph().operators().size(); ++id) {
      const PropagationNode& node = network_.NodeOf(static_cast<OperatorId>(id));
      // The first choice cuts nothing where none was chosen, but where odd factors are.
      assignment.cuts.push_back(node.is_reshape ? ReshapeCuts(node) : node.choices[0].cuts);
    }
    return assignment;
  }

  // What a Reshape's input says about its axes; no cuts where its layouts do not run along.
  AxisCuts ReshapeCuts(const PropagationNode& node) const {
    const OperatorAxes& axes = network_.AxesOf(node.op);
    const AxisCuts none(axes.count(), 1);
    if (!node.has_chosen) return none;
    const Layout& in = node.choices[0].layout.inputs[0];
    Cuts cuts(1);
    for (size_t d = 0; d < in.dim_count(); ++d) cuts[0].push_back(in.mesh_count(d));
    const Result<AxisCuts> axis_cuts =
        ToAxisCuts(network_.graph(), network_.graph().op(node.op), axes, cuts);
    return axis_cuts.ok() ? *axis_cuts : none;
  }

  PropagationNetwork network_;
  PropagationCosts costs_;
  std::vector<PropagationNode>& nodes_;
  const std::vector<PropagationEdge>& edges_;
  std::deque<size_t> queue_;
  std::map<size_t, size_t> waiting_;  // Nodes by number.
  std::set<size_t> disagreeing_;
};

}  // namespace

Result<Assignment> Propagate(const Graph& graph, int64_t device_count,
                             const PropagationOptions& options) {
  RELAYOUT_ASSIGN_OR_RETURN(PropagationNetwork network,
                            PropagationNetwork::Create(graph, device_count, options));
  return Propagation(std::move(network)).Run();
}

}  // namespace relayout
