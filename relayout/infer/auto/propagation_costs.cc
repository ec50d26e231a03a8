// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/auto/propagation_costs.h"

#include <cmath>
#include <functional>

#include "relayout/base/text.h"
#include "relayout/infer/auto/propagation_network.h"

namespace relayout {
namespace {

bool Differ(double a, double b) { return a != b && !(std::abs(a - b) < 1e-5); }

int64_t PieceCount(const Cuts& cuts) {
  int64_t count = 1;
  for (const auto& input : cuts) {
    for (const int64_t pieces : input) count *= pieces;
  }
  return count;
}

bool IsBetter(const MindsporeCost& edge_a, const Choice& a, const MindsporeCost& edge_b,
              const Choice& b) {
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

bool IsBetterOverInputs(const MindsporeCost& sum_a, const Choice& a, const MindsporeCost& sum_b,
                        const Choice& b) {
  if (Differ(sum_a.communication, sum_b.communication)) {
    return sum_a.communication < sum_b.communication;
  }
  if (Differ(sum_a.computation, sum_b.computation)) return sum_a.computation < sum_b.computation;
  if (Differ(a.cost.computation, b.cost.computation)) {
    return a.cost.computation < b.cost.computation;
  }
  return a.cost.communication < b.cost.communication;
}

}  // namespace

size_t PropagationCosts::HashPair::operator()(
    const std::pair<const void*, const void*>& pair) const {
  const std::hash<const void*> hash;
  return hash(pair.first) * 31 + hash(pair.second);
}

std::optional<MindsporeCost> PropagationCosts::CostOf(const PropagationEdge& edge,
                                                      const Layout& from, const Layout& to) {
  if (!edge.is_fixed) return Redistribution(edge.value, from, to);
  const bool stays = from == to || (from.shard_count() == 1 && to.shard_count() == 1);
  return stays ? std::optional<MindsporeCost>(MindsporeCost{}) : std::nullopt;
}

MindsporeCost PropagationCosts::Redistribution(ValueId id, const Layout& from, const Layout& to) {
  const std::pair<const void*, const void*> layouts = {pool_.Share(from).identity(),
                                                       pool_.Share(to).identity()};
  const auto [known, is_new] = remembered_.try_emplace(layouts);
  if (is_new) {
    const Value& value = network_.graph().value(id);
    known->second = MindsporeRedistribution({from, value.shape}, {to, value.shape}, value.dtype);
  }
  return known->second;
}

Result<size_t> PropagationCosts::CheapestBeside(const PropagationEdge& edge, bool of_maker) {
  const PropagationNode& chooser = network_.nodes()[of_maker ? edge.from : edge.to];
  const PropagationNode& chosen = network_.nodes()[of_maker ? edge.to : edge.from];
  std::optional<size_t> best;
  MindsporeCost best_cost;
  for (size_t i = 0; i < chooser.choices.size(); ++i) {
    const Choice& mine = chooser.choices[i];
    const Choice& other = chosen.choices[0];
    const std::optional<MindsporeCost> cost = of_maker
                                                  ? CostOf(edge, Out(edge, mine), In(edge, other))
                                                  : CostOf(edge, Out(edge, other), In(edge, mine));
    if (!cost) continue;
    if (best && !IsBetter(*cost, mine, best_cost, chooser.choices[*best])) continue;
    best = i;
    best_cost = *cost;
  }
  if (!best) return CannotAgree(edge);
  return *best;
}

std::optional<MindsporeCost> PropagationCosts::CostOverInputs(const PropagationNode& node,
                                                              const Choice& choice) {
  MindsporeCost sum;
  bool fits = true;
  for (const size_t e : node.visited_makers) {
    const PropagationEdge& edge = network_.edges()[e];
    const Choice& maker = network_.nodes()[edge.from].choices[0];
    // Asked for every input even where one does not fit: the costs are remembered.
    const std::optional<MindsporeCost> cost = CostOf(edge, Out(edge, maker), In(edge, choice));
    fits = fits && cost.has_value();
    if (!cost) continue;
    sum.communication += cost->communication;
    sum.computation += cost->computation;
  }
  return fits ? std::optional<MindsporeCost>(sum) : std::nullopt;
}

Result<size_t> PropagationCosts::CheapestOverInputs(const PropagationNode& node) {
  std::optional<size_t> best;
  MindsporeCost best_cost;
  for (size_t i = 0; i < node.choices.size(); ++i) {
    const Choice& mine = node.choices[i];
    const std::optional<MindsporeCost> sum = CostOverInputs(node, mine);
    if (!sum) continue;
    if (best && !IsBetterOverInputs(*sum, mine, best_cost, node.choices[*best])) continue;
    best = i;
    best_cost = *sum;
  }
  if (!best) return CannotAgree(network_.edges()[node.visited_makers[0]]);
  return *best;
}

Status PropagationCosts::CannotAgree(const PropagationEdge& edge) const {
  const OperatorId user = network_.nodes()[edge.to].op;
  return InvalidInput(
      Format("{}: its users cannot agree on how it is cut; annotate them alike ({} among them)",
             Describe(network_.graph(), edge.value),
             user == kNoId ? "the data set" : Describe(network_.graph().op(user))));
}

}  // namespace relayout
