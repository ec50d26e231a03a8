// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/auto/propagation_reshape.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "relayout/base/check.h"
#include "relayout/infer/auto/mindspore_cost.h"
#include "relayout/infer/auto/propagation_network.h"

namespace relayout {
namespace {

// By itself a Reshape takes its input in any way and gives its output whole on the same mesh.
void AddOwnPairs(const PropagationNetwork& network, PropagationNode& node) {
  const Graph& graph = network.graph();
  const Operator& op = graph.op(node.op);
  const size_t dim_count = graph.value(op.outputs[0]).shape.size();
  for (Choice& own : ChoicesOfTensor(graph.value(op.inputs[0]).shape, network.device_count())) {
    LayoutSpec whole;
    whole.mesh = own.layout.inputs[0].spec().mesh;
    whole.dim_axes.resize(dim_count);
    Result<Layout> out = Layout::Create(std::move(whole));
    RELAYOUT_CHECK(out.ok());
    own.layout.outputs = {std::move(out).value()};
    node.choices.Add(std::move(own));
  }
}

Layout Whole(const PropagationNetwork& network, ValueId value) {
  return Layout::Replicated(network.device_count(), network.graph().value(value).shape.size());
}

std::vector<Layout> LayoutsBefore(const PropagationNetwork& network, const PropagationNode& node) {
  std::vector<Layout> layouts;
  for (const size_t e : node.makers) {
    const PropagationEdge& edge = network.edges()[e];
    const ChoiceList& choices = network.nodes()[edge.from].choices;
    for (size_t i = 0; i < choices.size(); ++i) {
      layouts.push_back(Out(edge, choices[i]));
    }
  }
  if (layouts.empty()) layouts.push_back(Whole(network, network.graph().op(node.op).inputs[0]));
  return layouts;
}

std::vector<Layout> LayoutsAfter(const PropagationNetwork& network, const PropagationNode& node) {
  std::vector<Layout> layouts;
  for (const size_t e : node.users) {
    if (network.nodes()[network.edges()[e].to].is_reshape) continue;
    const PropagationEdge& edge = network.edges()[e];
    const ChoiceList& choices = network.nodes()[edge.to].choices;
    for (size_t i = 0; i < choices.size(); ++i) {
      layouts.push_back(In(edge, choices[i]));
    }
  }
  if (layouts.empty()) layouts.push_back(Whole(network, network.graph().op(node.op).outputs[0]));
  return layouts;
}

using Pair = std::pair<Layout, Layout>;

// What a Reshape may be with this input or output: first of its own, then of its neighbours.
std::vector<Pair> Pairs(const PropagationNode& reshape, const Layout* in, const Layout* out) {
  std::vector<Pair> pairs;
  const auto fits = [](const Layout* wanted, const Layout& layout) {
    return wanted == nullptr || *wanted == layout;
  };
  for (size_t i = 0; i < reshape.choices.size(); ++i) {
    const OperatorLayout& own = reshape.choices[i].layout;
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

using Rated = std::pair<size_t, double>;

// Equal costs are common here, and MindSpore takes the one that its std::sort puts first: with
// more than 16 of them that is not the first of the list. Sorted the same way on purpose.
std::optional<size_t> Cheapest(std::vector<Rated>& rated) {
  if (rated.empty()) return std::nullopt;
  std::sort(rated.begin(), rated.end(),
            [](const Rated& a, const Rated& b) { return a.second < b.second; });
  return rated[0].first;
}

std::optional<size_t> CheapestPair(const std::vector<Pair>& pairs, const Value& input,
                                   const Value& output) {
  std::vector<Rated> free;
  std::vector<Rated> by_communication;
  for (size_t i = 0; i < pairs.size(); ++i) {
    const MindsporeCost cost = MindsporeReshape({pairs[i].first, input.shape},
                                                {pairs[i].second, output.shape}, input.dtype);
    if (cost.communication == 0) free.emplace_back(i, cost.computation);
    by_communication.emplace_back(i, cost.communication);
  }
  return Cheapest(free.empty() ? by_communication : free);
}

}  // namespace

void OfferPairs(PropagationNetwork& network) {
  for (PropagationNode& node : network.nodes()) {
    if (!node.is_reshape) continue;
    AddOwnPairs(network, node);
    node.before = LayoutsBefore(network, node);
    node.after = LayoutsAfter(network, node);
  }
}

bool ChoosePair(const PropagationNetwork& network, const Layout* in, const Layout* out,
                PropagationNode& reshape) {
  const Operator& op = network.graph().op(reshape.op);
  const std::vector<Pair> pairs = Pairs(reshape, in, out);
  const std::optional<size_t> best = CheapestPair(pairs, network.graph().value(op.inputs[0]),
                                                  network.graph().value(op.outputs[0]));
  if (!best) return false;
  Choice chosen;
  chosen.layout.inputs = {pairs[*best].first};
  chosen.layout.outputs = {pairs[*best].second};
  reshape.choices.Add(std::move(chosen));
  Keep(reshape.choices.size() - 1, reshape);
  return true;
}

}  // namespace relayout
