// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/auto/propagation.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "relayout/base/check.h"
#include "relayout/base/text.h"
#include "relayout/infer/auto/cost_model.h"
#include "relayout/infer/auto/mindspore_cost.h"
#include "relayout/infer/operator_rule.h"

namespace relayout {
namespace {

// A way to cut an operator. A Reshape's has layouts only.
struct Candidate {
  AxisCuts cuts;
  OperatorLayout layout;
  MindsporeCost cost;  // Of the operator itself.
};

// What an operator may be: what all operators alike may be, which they share, and more of its own.
class CandidateList {
 public:
  void Share(std::shared_ptr<const std::vector<Candidate>> shared) { shared_ = std::move(shared); }
  void Add(Candidate candidate) { own_.push_back(std::move(candidate)); }
  // Only candidate `index` is left.
  void Keep(size_t index) {
    Candidate kept = (*this)[index];
    own_.clear();
    own_.push_back(std::move(kept));
    shared_ = nullptr;
  }

  size_t size() const { return shared_size() + own_.size(); }
  bool empty() const { return size() == 0; }
  const Candidate& operator[](size_t index) const {
    return index < shared_size() ? (*shared_)[index] : own_[index - shared_size()];
  }

 private:
  size_t shared_size() const { return shared_ == nullptr ? 0 : shared_->size(); }

  std::shared_ptr<const std::vector<Candidate>> shared_;
  std::vector<Candidate> own_;
};

struct Edge {
  size_t from = 0;
  size_t output = 0;
  size_t to = 0;
  size_t input = 0;
  ValueId value = kNoId;
  bool is_fixed = false;  // Nothing may be redistributed.
};

// An operator, the data set, or a parameter with several users.
struct Node {
  OperatorId op = kNoId;
  ValueId parameter = kNoId;
  size_t number = 0;  // See the header.
  bool is_reshape = false;
  size_t input_count = 1;
  bool is_configured = false;
  bool is_visited = false;
  // All that it may be; one once it has chosen.
  CandidateList candidates;
  bool has_chosen = false;
  std::vector<size_t> makers;  // Edges, by input.
  std::vector<size_t> users;   // Edges, by the user's number.
  std::vector<size_t> visited_makers;
  // Of a Reshape: besides its candidates it may be any pair of these.
  std::vector<Layout> before;
  std::vector<Layout> after;

  bool has_several_inputs() const { return input_count >= 2; }
  bool all_inputs_visited() const { return visited_makers.size() == input_count; }
};

bool Differ(double a, double b) { return a != b && !(std::abs(a - b) < 1e-5); }

int64_t PieceCount(const Cuts& cuts) {
  int64_t count = 1;
  for (const auto& input : cuts) {
    for (const int64_t pieces : input) count *= pieces;
  }
  return count;
}

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

// Appends cuts by powers of two whose product divides `devices`, ascending.
void AddPowers(const std::vector<int64_t>& lengths, int64_t devices, AxisCuts& begun,
               std::vector<AxisCuts>& all) {
  if (begun.size() == lengths.size()) {
    all.push_back(begun);
    return;
  }
  for (int64_t pieces = 1; pieces <= devices; pieces *= 2) {
    if (lengths[begun.size()] % pieces != 0) continue;
    begun.push_back(pieces);
    AddPowers(lengths, devices / pieces, begun, all);
    begun.pop_back();
  }
}

// The cuts that MindSpore tries: powers of two; an odd factor of the devices goes to one axis
// whole, and then last comes no cut at all.
std::vector<AxisCuts> CutsToTry(const std::vector<int64_t>& lengths, int64_t device_count) {
  const int64_t power = device_count & -device_count;
  const int64_t odd = device_count / power;
  std::vector<AxisCuts> powers;
  AxisCuts begun;
  AddPowers(lengths, power, begun, powers);
  if (odd == 1) return powers;
  std::vector<AxisCuts> all;
  for (const AxisCuts& cuts : powers) {
    for (size_t axis = 0; axis < cuts.size(); ++axis) {
      if (lengths[axis] % (cuts[axis] * odd) != 0) continue;
      all.push_back(cuts);
      all.back()[axis] *= odd;
    }
  }
  all.emplace_back(lengths.size(), 1);
  return all;
}

class Propagation {
 public:
  Propagation(const Graph& graph, int64_t device_count, const PropagationOptions& options)
      : graph_(graph),
        device_count_(device_count),
        options_(options),
        signatures_(graph, MachineModel{}, CostOptions{}) {}

  Result<Assignment> Run() {
    RELAYOUT_RETURN_IF_ERROR(MakeNodes());
    MakeEdges();
    RELAYOUT_RETURN_IF_ERROR(ConfigureCasts());
    MakeParameterNodes();
    MakeReshapes();
    for (const auto& [number, node] : configured_) {
      (void)number;
      RELAYOUT_RETURN_IF_ERROR(Walk(node));
    }
    RELAYOUT_RETURN_IF_ERROR(SettleParameters());
    return ToAssignment();
  }

 private:
  // --- The network as nodes and edges.

  // Operators in the order of their numbers, the data set among them as kNoId.
  std::vector<OperatorId> Numbered() const {
    std::vector<OperatorId> order;
    std::set<OperatorId> seen;
    std::vector<ValueId> results = graph_.results();
    // Operators that no result needs, the last ones first.
    for (auto id = graph_.operators().rbegin(); id != graph_.operators().rend(); ++id) {
      results.insert(results.end(), id->outputs.begin(), id->outputs.end());
    }
    for (const ValueId result : results) WalkFrom(result, seen, order);
    return order;
  }

  // Depth first against the data's flow. A recursion would be as deep as the network.
  void WalkFrom(ValueId result, std::set<OperatorId>& seen, std::vector<OperatorId>& order) const {
    struct Step {
      OperatorId id;
      bool is_entered;
    };
    std::vector<Step> todo;
    const auto push = [this, &todo](ValueId value_id) {
      const Value& value = graph_.value(value_id);
      if (value.role == ValueRole::kResult) todo.push_back({value.producer, false});
      if (value.role == ValueRole::kInput) todo.push_back({kNoId, false});
    };
    push(result);
    while (!todo.empty()) {
      const Step step = todo.back();
      todo.pop_back();
      if (step.is_entered) order.push_back(step.id);
      if (step.is_entered || !seen.insert(step.id).second) continue;
      if (options_.training) {
        todo.push_back({step.id, true});
      } else {
        order.push_back(step.id);
      }
      if (step.id == kNoId) continue;
      std::vector<ValueId> inputs = graph_.op(step.id).inputs;
      // What is pushed last is walked first.
      if (options_.training) std::reverse(inputs.begin(), inputs.end());
      for (const ValueId input : inputs) push(input);
    }
  }

  Status MakeNodes() {
    node_of_.resize(graph_.operators().size());
    axes_.resize(graph_.operators().size());
    for (const OperatorId id : Numbered()) {
      Node node;
      node.op = id;
      node.number = nodes_.size();
      if (id == kNoId) {
        MakeDataSet(node);
      } else {
        RELAYOUT_RETURN_IF_ERROR(MakeOperator(node));
        node_of_[static_cast<size_t>(id)] = nodes_.size();
      }
      if (node.is_configured) configured_[node.number] = nodes_.size();
      nodes_.push_back(std::move(node));
    }
    return OkStatus();
  }

  void MakeDataSet(Node& node) {
    data_set_ = nodes_.size();
    node.number = std::numeric_limits<size_t>::max();
    node.is_configured = true;
    Candidate candidate;
    for (const ValueId input : graph_.inputs()) {
      const Dims& shape = graph_.value(input).shape;
      const bool divides = !shape.empty() && shape[0] % device_count_ == 0;
      candidate.layout.outputs.push_back(
          CutFirstDim(shape, options_.full_batch || !divides ? 1 : device_count_, device_count_));
    }
    node.candidates.Add(std::move(candidate));
  }

  Status MakeOperator(Node& node) {
    const Operator& op = graph_.op(node.op);
    RELAYOUT_ASSIGN_OR_RETURN(const OperatorRule* const rule, RuleOf(op));
    RELAYOUT_ASSIGN_OR_RETURN(OperatorAxes axes, rule->axes(graph_, op));
    node.input_count = op.inputs.size();
    node.is_reshape = op.type == "Reshape";
    node.is_configured = (op.cuts || op.mesh_cuts) && !rule->ignores_annotation && !node.is_reshape;
    if (!node.is_reshape) {
      std::shared_ptr<const std::vector<Candidate>>& shared =
          candidates_of_[signatures_.Signature(node.op)];
      if (shared == nullptr) {
        RELAYOUT_ASSIGN_OR_RETURN(std::vector<Candidate> made,
                                  MakeCandidates(op, *rule, axes, node.is_configured));
        shared = std::make_shared<const std::vector<Candidate>>(std::move(made));
      }
      node.candidates.Share(shared);
    }
    axes_[static_cast<size_t>(node.op)] = std::move(axes);
    return OkStatus();
  }

  // At least one.
  Result<std::vector<Candidate>> MakeCandidates(const Operator& op, const OperatorRule& rule,
                                                const OperatorAxes& axes, bool is_configured) {
    std::vector<AxisCuts> all;
    if (is_configured) {
      RELAYOUT_ASSIGN_OR_RETURN(AxisCuts cuts, ChosenCuts(graph_, op, rule, axes, device_count_));
      all.push_back(std::move(cuts));
    } else {
      all = CutsToTry(axes.lengths, device_count_);
    }
    std::vector<Candidate> candidates;
    Status why_not = OkStatus();
    for (AxisCuts& cuts : all) {
      Result<OperatorLayout> layout =
          is_configured && op.mesh_cuts
              ? LayOutOnMesh(graph_, op, axes, *op.mesh_cuts, device_count_)
              : LayOut(graph_, op, rule, axes, cuts, device_count_);
      if (layout.ok()) {
        candidates.push_back(MakeCandidate(op, std::move(cuts), std::move(layout).value()));
      } else {
        why_not = layout.status();
      }
    }
    if (candidates.empty()) return why_not;
    return candidates;
  }

  Candidate MakeCandidate(const Operator& op, AxisCuts cuts, OperatorLayout layout) const {
    const MindsporeCost cost = MindsporeOperatorCost(graph_, op, layout, device_count_);
    return {std::move(cuts), std::move(layout), cost};
  }

  void MakeEdges() {
    const size_t count = nodes_.size();
    for (size_t node = 0; node < count; ++node) {
      if (nodes_[node].op == kNoId) continue;
      const std::vector<ValueId>& inputs = graph_.op(nodes_[node].op).inputs;
      for (size_t i = 0; i < inputs.size(); ++i) {
        const Value& value = graph_.value(inputs[i]);
        if (value.role == ValueRole::kResult) {
          const size_t maker = node_of_[static_cast<size_t>(value.producer)];
          AddEdge({maker, static_cast<size_t>(value.output_index), node, i, inputs[i],
                   nodes_[maker].is_reshape || nodes_[node].is_reshape});
        } else if (value.role == ValueRole::kInput) {
          const auto at = std::find(graph_.inputs().begin(), graph_.inputs().end(), inputs[i]);
          AddEdge({data_set_, static_cast<size_t>(at - graph_.inputs().begin()), node, i, inputs[i],
                   nodes_[node].is_reshape});
        }
      }
    }
  }

  void AddEdge(const Edge& edge) {
    nodes_[edge.from].users.push_back(edges_.size());
    nodes_[edge.to].makers.push_back(edges_.size());
    edges_.push_back(edge);
  }

  // A Cast before an annotated operator counts as annotated with what suits that one.
  Status ConfigureCasts() {
    for (size_t e = 0; e < edges_.size(); ++e) {
      Node& maker = nodes_[edges_[e].from];
      if (maker.op == kNoId || graph_.op(maker.op).type != "Cast") continue;
      if (!nodes_[edges_[e].to].is_configured) continue;
      RELAYOUT_ASSIGN_OR_RETURN(const size_t best, CheapestBeside(edges_[e], /*of_maker=*/true));
      Keep(maker, best);
      maker.has_chosen = false;
      maker.is_configured = true;
      configured_[maker.number] = edges_[e].from;
    }
    return OkStatus();
  }

  void MakeParameterNodes() {
    const std::vector<std::vector<Graph::Use>> uses = graph_.Uses();
    for (const ValueId parameter : graph_.parameters()) {
      const std::vector<Graph::Use>& users = uses[static_cast<size_t>(parameter)];
      if (users.size() < 2) continue;
      Node node;
      node.parameter = parameter;
      node.number = nodes_.size();
      for (Candidate& candidate : CandidatesOfTensor(graph_.value(parameter).shape)) {
        node.candidates.Add(std::move(candidate));
      }
      nodes_.push_back(std::move(node));
      for (const Graph::Use& use : users) {
        AddEdge({nodes_.size() - 1, 0, node_of_[static_cast<size_t>(use.user)],
                 static_cast<size_t>(use.input), parameter, true});
      }
    }
  }

  // A tensor's dims, each an axis: the layout of input and output.
  std::vector<Candidate> CandidatesOfTensor(const Dims& shape) const {
    OperatorAxes axes;
    axes.inputs.emplace_back();
    for (const int64_t length : shape) {
      axes.inputs[0].push_back(static_cast<int>(axes.lengths.size()));
      axes.lengths.push_back(length);
    }
    axes.outputs = axes.inputs;
    std::vector<Candidate> candidates;
    for (AxisCuts& cuts : CutsToTry(axes.lengths, device_count_)) {
      Result<OperatorLayout> layout =
          LayOut(Operator{}, axes, cuts, MeshOrder::InOrder(axes.count()), device_count_);
      if (layout.ok()) candidates.push_back({std::move(cuts), std::move(*layout), {}});
    }
    return candidates;
  }

  // The pairs of layouts that a Reshape may join. Their costs are worked out when they are needed.
  void MakeReshapes() {
    for (Node& node : nodes_) {
      if (!node.is_reshape) continue;
      AddOwnPairs(node);
      node.before = LayoutsBefore(node);
      node.after = LayoutsAfter(node);
    }
  }

  // By itself a Reshape takes its input in any way and gives its output whole on the same mesh.
  void AddOwnPairs(Node& node) const {
    const Operator& op = graph_.op(node.op);
    const size_t dim_count = graph_.value(op.outputs[0]).shape.size();
    for (Candidate& own : CandidatesOfTensor(graph_.value(op.inputs[0]).shape)) {
      LayoutSpec whole;
      whole.mesh = own.layout.inputs[0].spec().mesh;
      whole.dim_axes.resize(dim_count);
      Result<Layout> out = Layout::Create(std::move(whole));
      RELAYOUT_CHECK(out.ok());
      own.layout.outputs = {std::move(out).value()};
      node.candidates.Add(std::move(own));
    }
  }

  std::vector<Layout> LayoutsBefore(const Node& node) const {
    std::vector<Layout> layouts;
    for (const size_t e : node.makers) {
      const CandidateList& candidates = nodes_[edges_[e].from].candidates;
      for (size_t i = 0; i < candidates.size(); ++i) {
        layouts.push_back(Out(edges_[e], candidates[i]));
      }
    }
    if (layouts.empty()) layouts.push_back(Whole(graph_.op(node.op).inputs[0]));
    return layouts;
  }

  std::vector<Layout> LayoutsAfter(const Node& node) const {
    std::vector<Layout> layouts;
    for (const size_t e : node.users) {
      if (nodes_[edges_[e].to].is_reshape) continue;
      const CandidateList& candidates = nodes_[edges_[e].to].candidates;
      for (size_t i = 0; i < candidates.size(); ++i) {
        layouts.push_back(In(edges_[e], candidates[i]));
      }
    }
    if (layouts.empty()) layouts.push_back(Whole(graph_.op(node.op).outputs[0]));
    return layouts;
  }

  Layout Whole(ValueId value) const {
    return Layout::Replicated(device_count_, graph_.value(value).shape.size());
  }

  // --- Costs.

  // Nothing when the edge may not be redistributed and would have to be.
  std::optional<MindsporeCost> CostOf(const Edge& edge, const Layout& from,
                                      const Layout& to) const {
    if (edge.is_fixed) {
      return from == to || (from.shard_count() == 1 && to.shard_count() == 1)
                 ? std::optional<MindsporeCost>(MindsporeCost{})
                 : std::nullopt;
    }
    return Redistribution(edge.value, from, to);
  }

  // MindSpore remembers a redistribution by its two layouts alone: what the first tensor cost, all
  // others cost, whatever their shapes.
  MindsporeCost Redistribution(ValueId id, const Layout& from, const Layout& to) const {
    const std::pair<const void*, const void*> layouts = {pool_.Share(from).identity(),
                                                         pool_.Share(to).identity()};
    const auto [known, is_new] = remembered_.try_emplace(layouts);
    if (is_new) {
      const Value& value = graph_.value(id);
      known->second = MindsporeRedistribution({from, value.shape}, {to, value.shape}, value.dtype);
    }
    return known->second;
  }

  static const Layout& Out(const Edge& edge, const Candidate& c) {
    return c.layout.outputs[edge.output];
  }
  static const Layout& In(const Edge& edge, const Candidate& c) {
    return c.layout.inputs[edge.input];
  }

  // Which candidate of one end is the cheapest beside what the other end has chosen.
  Result<size_t> CheapestBeside(const Edge& edge, bool of_maker) const {
    const Node& chooser = nodes_[of_maker ? edge.from : edge.to];
    const Node& chosen = nodes_[of_maker ? edge.to : edge.from];
    std::optional<size_t> best;
    MindsporeCost best_cost;
    for (size_t i = 0; i < chooser.candidates.size(); ++i) {
      const Candidate& mine = chooser.candidates[i];
      const Candidate& other = chosen.candidates[0];
      const std::optional<MindsporeCost> cost =
          of_maker ? CostOf(edge, Out(edge, mine), In(edge, other))
                   : CostOf(edge, Out(edge, other), In(edge, mine));
      if (!cost) continue;
      if (best && !IsBetter(*cost, mine, best_cost, chooser.candidates[*best])) continue;
      best = i;
      best_cost = *cost;
    }
    if (!best) return CannotAgree(edge);
    return *best;
  }

  static bool IsBetter(const MindsporeCost& edge_a, const Candidate& a, const MindsporeCost& edge_b,
                       const Candidate& b) {
    if (Differ(edge_a.communication, edge_b.communication)) {
      return edge_a.communication < edge_b.communication;
    }
    if (Differ(edge_a.computation, edge_b.computation)) {
      return edge_a.computation < edge_b.computation;
    }
    if (Differ(a.cost.communication, b.cost.communication)) {
      return a.cost.communication < b.cost.communication;
    }
    const int64_t pieces_a = PieceCount(a.layout.cuts);
    const int64_t pieces_b = PieceCount(b.layout.cuts);
    return pieces_a != pieces_b ? pieces_a > pieces_b : a.layout.cuts > b.layout.cuts;
  }

  Status CannotAgree(const Edge& edge) const {
    return InvalidInput(Format(
        "{}: its users cannot agree on how it is cut; annotate them alike ({} among them)",
        Describe(graph_, edge.value),
        nodes_[edge.to].op == kNoId ? "the data set" : Describe(graph_.op(nodes_[edge.to].op))));
  }

  // The cheapest over the inputs that come from visited operators.
  Result<size_t> CheapestOverInputs(const Node& node) const {
    std::optional<size_t> best;
    MindsporeCost best_cost;
    for (size_t i = 0; i < node.candidates.size(); ++i) {
      const Candidate& mine = node.candidates[i];
      MindsporeCost sum;
      bool fits = true;
      for (const size_t e : node.visited_makers) {
        const Edge& edge = edges_[e];
        const std::optional<MindsporeCost> cost =
            CostOf(edge, Out(edge, nodes_[edge.from].candidates[0]), In(edge, mine));
        fits = fits && cost.has_value();
        if (!cost) continue;
        sum.communication += cost->communication;
        sum.computation += cost->computation;
      }
      if (!fits) continue;
      if (best && !IsBetterOverInputs(sum, mine, best_cost, node.candidates[*best])) continue;
      best = i;
      best_cost = sum;
    }
    if (!best) return CannotAgree(edges_[node.visited_makers[0]]);
    return *best;
  }

  static bool IsBetterOverInputs(const MindsporeCost& sum_a, const Candidate& a,
                                 const MindsporeCost& sum_b, const Candidate& b) {
    if (Differ(sum_a.communication, sum_b.communication)) {
      return sum_a.communication < sum_b.communication;
    }
    if (Differ(sum_a.computation, sum_b.computation)) return sum_a.computation < sum_b.computation;
    if (Differ(a.cost.computation, b.cost.computation)) {
      return a.cost.computation < b.cost.computation;
    }
    return a.cost.communication < b.cost.communication;
  }

  // --- Candidates that take a neighbour's mesh as it is.

  // `inputs`: a layout for each input of the operator.
  void AddWithLayouts(Node& node, const std::vector<Layout>& inputs) {
    const size_t count = node.candidates.size();
    for (size_t i = 0; i < count; ++i) {
      if (!HasCuts(node.candidates[i], inputs)) continue;
      std::optional<OperatorLayout> layout = LayOutLike(node, node.candidates[i], inputs);
      if (!layout) continue;
      if (node.op == kNoId) {
        node.candidates.Add({node.candidates[i].cuts, std::move(*layout), {}});
      } else {
        node.candidates.Add(
            MakeCandidate(graph_.op(node.op), node.candidates[i].cuts, std::move(*layout)));
      }
    }
  }

  static bool HasCuts(const Candidate& candidate, const std::vector<Layout>& inputs) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Layout& own = candidate.layout.inputs[i];
      if (own.dim_count() != inputs[i].dim_count()) return false;
      for (size_t d = 0; d < own.dim_count(); ++d) {
        if (own.mesh_count(d) != inputs[i].mesh_count(d)) return false;
      }
    }
    return true;
  }

  // The outputs follow from the axes. Nothing when inputs cut an axis by different mesh axes.
  std::optional<OperatorLayout> LayOutLike(const Node& node, const Candidate& like,
                                           const std::vector<Layout>& inputs) const {
    OperatorLayout layout;
    layout.cuts = like.layout.cuts;
    layout.inputs = inputs;
    if (node.op == kNoId) {
      layout.outputs = inputs;
      return layout;
    }
    const OperatorAxes& axes = axes_[static_cast<size_t>(node.op)];
    std::vector<std::vector<int>> mesh_axes_of(axes.count());
    for (size_t i = 0; i < inputs.size(); ++i) {
      for (size_t d = 0; d < inputs[i].dim_count(); ++d) {
        const std::vector<int>& cutting = inputs[i].spec().dim_axes[d];
        const int axis = axes.inputs[i][d];
        if (cutting.empty() || axis == OperatorAxes::kWhole) continue;
        std::vector<int>& known = mesh_axes_of[static_cast<size_t>(axis)];
        if (!known.empty() && known != cutting) return std::nullopt;
        known = cutting;
      }
    }
    for (const std::vector<int>& dims : axes.outputs) {
      LayoutSpec spec;
      spec.mesh = inputs[0].spec().mesh;
      for (const int axis : dims) {
        spec.dim_axes.push_back(axis == OperatorAxes::kWhole
                                    ? std::vector<int>{}
                                    : mesh_axes_of[static_cast<size_t>(axis)]);
      }
      Result<Layout> output = Layout::Create(std::move(spec));
      if (!output.ok()) return std::nullopt;
      layout.outputs.push_back(std::move(output).value());
    }
    return layout;
  }

  // --- The walk.

  Status Walk(size_t start) {
    queue_.clear();
    queue_.emplace_back(start, 0);
    nodes_[start].has_chosen = true;
    while (!queue_.empty()) {
      const auto [node, depth] = queue_.front();
      nodes_[node].is_visited = true;
      for (const size_t e : nodes_[node].users) RELAYOUT_RETURN_IF_ERROR(VisitUser(e));
      for (const size_t e : nodes_[node].makers) RELAYOUT_RETURN_IF_ERROR(VisitMaker(e));
      queue_.pop_front();
      if (!queue_.empty() || waiting_.empty()) continue;
      const auto first = waiting_.begin();
      if (nodes_[first->second].is_visited || IsBeforeConfigured(first->first, start)) continue;
      const size_t next = first->second;
      RELAYOUT_ASSIGN_OR_RETURN(const size_t best, CheapestOverInputs(nodes_[next]));
      Keep(nodes_[next], best);
      queue_.emplace_back(next, 0);
      waiting_.erase(first);
    }
    return OkStatus();
  }

  // An annotated operator that is still to come is nearer to the result than `number`.
  bool IsBeforeConfigured(size_t number, size_t start) const {
    const auto next = configured_.upper_bound(nodes_[start].number);
    return next != configured_.end() && number > next->first;
  }

  static void Keep(Node& node, size_t candidate) {
    node.candidates.Keep(candidate);
    node.has_chosen = true;
  }

  void Enqueue(size_t node) {
    nodes_[node].is_visited = true;
    queue_.emplace_back(node, 1);
  }

  Status VisitUser(size_t e) {
    const Edge& edge = edges_[e];
    const Node& current = nodes_[edge.from];
    Node& user = nodes_[edge.to];
    const bool is_settled = user.is_visited || user.is_configured;
    if (!is_settled && !current.is_reshape && !user.is_reshape) TakeMeshOfMakers(e, user);
    if (is_settled) {
      NoteDisagreement(edge);
      return OkStatus();
    }
    if (user.is_reshape) {
      if (!current.is_reshape) JoinAfter(edge, user);
      return OkStatus();
    }
    if (current.is_reshape) {
      FollowReshape(edge, edge.to, /*is_user=*/true);
      return OkStatus();
    }
    size_t best = 0;
    if (!user.has_several_inputs()) {
      RELAYOUT_ASSIGN_OR_RETURN(best, CheapestBeside(edge, /*of_maker=*/false));
    } else if (user.all_inputs_visited()) {
      waiting_.erase(user.number);
      RELAYOUT_ASSIGN_OR_RETURN(best, CheapestOverInputs(user));
      user.visited_makers.clear();
    } else {
      waiting_[user.number] = edge.to;
      return OkStatus();
    }
    Keep(user, best);
    Enqueue(edge.to);
    return OkStatus();
  }

  void TakeMeshOfMakers(size_t e, Node& user) {
    const Edge& edge = edges_[e];
    if (!user.has_several_inputs()) {
      AddWithLayouts(user, {Out(edge, nodes_[edge.from].candidates[0])});
      return;
    }
    user.visited_makers.push_back(e);
    if (!user.all_inputs_visited()) return;
    std::vector<std::optional<Layout>> found(user.input_count);
    for (const size_t maker : user.visited_makers) {
      const Edge& from = edges_[maker];
      found[from.input] = Out(from, nodes_[from.from].candidates[0]);
    }
    std::vector<Layout> inputs;
    for (const std::optional<Layout>& layout : found) {
      if (!layout || layout->spec().mesh != found[0]->spec().mesh) return;
      inputs.push_back(*layout);
    }
    AddWithLayouts(user, inputs);
  }

  Status VisitMaker(size_t e) {
    const Edge& edge = edges_[e];
    const Node& current = nodes_[edge.to];
    Node& maker = nodes_[edge.from];
    if (maker.is_visited || maker.is_configured) {
      NoteDisagreement(edge);
      return OkStatus();
    }
    if (!current.is_reshape && !maker.is_reshape && !maker.has_several_inputs()) {
      const Layout& wanted = In(edge, current.candidates[0]);
      AddWithLayouts(maker, {wanted});
    }
    if (maker.is_reshape) {
      if (!current.is_reshape) JoinBefore(edge, maker);
      return OkStatus();
    }
    if (current.is_reshape) {
      FollowReshape(edge, edge.from, /*is_user=*/false);
      return OkStatus();
    }
    RELAYOUT_ASSIGN_OR_RETURN(const size_t best, CheapestBeside(edge, /*of_maker=*/true));
    Keep(maker, best);
    Enqueue(edge.from);
    return OkStatus();
  }

  // A Reshape takes the best pair that begins (or ends) with what its neighbour has chosen.
  void JoinAfter(const Edge& edge, Node& reshape) {
    Join(reshape, edge.to, &Out(edge, nodes_[edge.from].candidates[0]), nullptr);
  }
  void JoinBefore(const Edge& edge, Node& reshape) {
    Join(reshape, edge.from, nullptr, &In(edge, nodes_[edge.to].candidates[0]));
  }

  using Rated = std::pair<size_t, double>;

  // Equal costs are common here, and MindSpore takes the one that its std::sort puts first: with
  // more than 16 of them that is not the first of the list. Sorted the same way on purpose.
  static std::optional<size_t> Cheapest(std::vector<Rated>& rated) {
    if (rated.empty()) return std::nullopt;
    std::sort(rated.begin(), rated.end(),
              [](const Rated& a, const Rated& b) { return a.second < b.second; });
    return rated[0].first;
  }

  // Null: any.
  void Join(Node& reshape, size_t index, const Layout* in, const Layout* out) {
    const std::vector<std::pair<Layout, Layout>> pairs = Pairs(reshape, in, out);
    const Operator& op = graph_.op(reshape.op);
    const Value& value = graph_.value(op.inputs[0]);
    const Dims& out_shape = graph_.value(op.outputs[0]).shape;
    std::vector<Rated> free;
    std::vector<Rated> by_communication;
    for (size_t i = 0; i < pairs.size(); ++i) {
      const MindsporeCost cost = MindsporeReshape({pairs[i].first, value.shape},
                                                  {pairs[i].second, out_shape}, value.dtype);
      if (cost.communication == 0) free.emplace_back(i, cost.computation);
      by_communication.emplace_back(i, cost.communication);
    }
    const std::optional<size_t> best = Cheapest(free.empty() ? by_communication : free);
    // Without a pair the Reshape stays unvisited; another neighbour may reach it.
    if (!best) return;
    Candidate chosen;
    chosen.layout.inputs = {pairs[*best].first};
    chosen.layout.outputs = {pairs[*best].second};
    reshape.candidates.Add(std::move(chosen));
    Keep(reshape, reshape.candidates.size() - 1);
    Enqueue(index);
  }

  // What a Reshape may be with this input or output: first of its own, then of its neighbours.
  static std::vector<std::pair<Layout, Layout>> Pairs(const Node& reshape, const Layout* in,
                                                      const Layout* out) {
    std::vector<std::pair<Layout, Layout>> pairs;
    const auto fits = [](const Layout* wanted, const Layout& layout) {
      return wanted == nullptr || *wanted == layout;
    };
    for (size_t i = 0; i < reshape.candidates.size(); ++i) {
      const OperatorLayout& own = reshape.candidates[i].layout;
      if (!fits(in, own.inputs[0]) || !fits(out, own.outputs[0])) continue;
      pairs.emplace_back(own.inputs[0], own.outputs[0]);
    }
    for (const Layout& before : reshape.before) {
      if (!fits(in, before)) continue;
      for (const Layout& after : reshape.after) {
        if (fits(out, after)) pairs.emplace_back(before, after);
      }
    }
    return pairs;
  }

  // A neighbour of a Reshape takes its first cuts that give the Reshape's layout on that side.
  void FollowReshape(const Edge& edge, size_t index, bool is_user) {
    Node& node = nodes_[index];
    const Node& reshape = nodes_[is_user ? edge.from : edge.to];
    const Layout& wanted =
        is_user ? reshape.candidates[0].layout.outputs[0] : reshape.candidates[0].layout.inputs[0];
    for (size_t i = 0; i < node.candidates.size(); ++i) {
      const Candidate& c = node.candidates[i];
      if ((is_user ? In(edge, c) : Out(edge, c)) != wanted) continue;
      Keep(node, i);
      Enqueue(index);
      return;
    }
  }

  // --- Parameters with several users that came out differently.

  void NoteDisagreement(const Edge& edge) {
    const Node& maker = nodes_[edge.from];
    const Node& user = nodes_[edge.to];
    if (maker.candidates.size() != 1 || user.candidates.size() != 1) return;
    // Asked also where nothing depends on it: this tensor may be the first with these layouts.
    if (CostOf(edge, Out(edge, maker.candidates[0]), In(edge, user.candidates[0]))) return;
    if (maker.parameter != kNoId) disagreeing_.insert(edge.from);
  }

  // The users follow the annotated one among them.
  Status SettleParameters() {
    for (const size_t index : disagreeing_) {
      for (const size_t e : nodes_[index].users) {
        if (!nodes_[edges_[e].to].is_configured) continue;
        const Layout wanted = In(edges_[e], nodes_[edges_[e].to].candidates[0]);
        Candidate like;
        like.layout.inputs = {wanted};
        like.layout.outputs = {wanted};
        nodes_[index].candidates.Add(std::move(like));
        Keep(nodes_[index], nodes_[index].candidates.size() - 1);
        break;
      }
      for (const size_t e : nodes_[index].users)
        RELAYOUT_RETURN_IF_ERROR(FollowParameter(edges_[e]));
    }
    return OkStatus();
  }

  Status FollowParameter(const Edge& edge) {
    Node& user = nodes_[edge.to];
    if (user.op == kNoId || user.is_reshape || user.candidates.empty()) return OkStatus();
    const Layout& wanted = Out(edge, nodes_[edge.from].candidates[0]);
    if (CostOf(edge, wanted, In(edge, user.candidates[0]))) return OkStatus();
    if (user.is_configured) return CannotAgree(edge);
    Node anew;
    anew.op = user.op;
    RELAYOUT_RETURN_IF_ERROR(MakeOperator(anew));
    user.candidates = std::move(anew.candidates);
    RELAYOUT_ASSIGN_OR_RETURN(const size_t best, CheapestBeside(edge, /*of_maker=*/false));
    Keep(user, best);
    return OkStatus();
  }

  // --- The result.

  Assignment ToAssignment() const {
    Assignment assignment;
    for (size_t id = 0; id < graph_.operators().size(); ++id) {
      const Node& node = nodes_[node_of_[id]];
      // The first candidate cuts nothing where none was chosen, but where odd factors are.
      assignment.cuts.push_back(node.is_reshape ? ReshapeCuts(node) : node.candidates[0].cuts);
    }
    return assignment;
  }

  // What a Reshape's input says about its axes; no cuts where its layouts do not run along.
  AxisCuts ReshapeCuts(const Node& node) const {
    const OperatorAxes& axes = axes_[static_cast<size_t>(node.op)];
    const AxisCuts none(axes.count(), 1);
    if (!node.has_chosen) return none;
    const Layout& in = node.candidates[0].layout.inputs[0];
    Cuts cuts(1);
    for (size_t d = 0; d < in.dim_count(); ++d) cuts[0].push_back(in.mesh_count(d));
    const Result<AxisCuts> axis_cuts = ToAxisCuts(graph_, graph_.op(node.op), axes, cuts);
    return axis_cuts.ok() ? *axis_cuts : none;
  }

  struct HashPair {
    size_t operator()(const std::pair<const void*, const void*>& pair) const {
      const std::hash<const void*> hash;
      return hash(pair.first) * 31 + hash(pair.second);
    }
  };

  const Graph& graph_;
  int64_t device_count_;
  PropagationOptions options_;
  mutable LayoutPool pool_;
  mutable std::unordered_map<std::pair<const void*, const void*>, MindsporeCost, HashPair>
      remembered_;
  CostModel signatures_;  // Tells which operators are alike.
  std::unordered_map<std::string, std::shared_ptr<const std::vector<Candidate>>> candidates_of_;
  std::vector<Node> nodes_;
  std::vector<Edge> edges_;
  std::vector<size_t> node_of_;          // By OperatorId.
  std::vector<OperatorAxes> axes_;       // By OperatorId.
  std::map<size_t, size_t> configured_;  // Nodes by number.
  size_t data_set_ = 0;

  std::deque<std::pair<size_t, int>> queue_;
  std::map<size_t, size_t> waiting_;  // Nodes by number.
  std::set<size_t> disagreeing_;
};

}  // namespace

Result<Assignment> Propagate(const Graph& graph, int64_t device_count,
                             const PropagationOptions& options) {
  return Propagation(graph, device_count, options).Run();
}

}  // namespace relayout
