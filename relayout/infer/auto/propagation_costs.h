// SPDX-License-Identifier: Apache-2.0
//
// What propagation compares: which choice of a node is the cheapest beside what its neighbours have
// chosen, by MindSpore's cost model (mindspore_cost.h) and in MindSpore's order of preference
// (propagation.h).
#pragma once

#include <cstddef>
#include <optional>
#include <unordered_map>
#include <utility>

#include "relayout/base/status.h"
#include "relayout/graph/graph.h"
#include "relayout/infer/auto/mindspore_cost.h"
#include "relayout/layout/layout.h"

namespace relayout {

class PropagationNetwork;
struct Choice;
struct PropagationEdge;
struct PropagationNode;

class PropagationCosts {
 public:
  // Keeps a reference to the network.
  explicit PropagationCosts(const PropagationNetwork& network) : network_(network) {}

  // Nothing when the edge may not be redistributed and would have to be. MindSpore remembers a
  // redistribution by its two layouts alone: what the first tensor cost, all others cost, whatever
  // their shapes. So what is asked, and in which order, is part of the rule.
  std::optional<MindsporeCost> CostOf(const PropagationEdge& edge, const Layout& from,
                                      const Layout& to);

  // Which choice of one end is the cheapest beside what the other end has chosen. Fails, naming
  // the parameter, when none can be.
  Result<size_t> CheapestBeside(const PropagationEdge& edge, bool of_maker);

  // The same over all inputs of a node that come from visited ones.
  Result<size_t> CheapestOverInputs(const PropagationNode& node);

  // That the users of a parameter disagree.
  Status CannotAgree(const PropagationEdge& edge) const;

 private:
  struct HashPair {
    size_t operator()(const std::pair<const void*, const void*>& pair) const;
  };

  MindsporeCost Redistribution(ValueId id, const Layout& from, const Layout& to);
  // Nothing when some input cannot be redistributed and would have to be.
  std::optional<MindsporeCost> CostOverInputs(const PropagationNode& node, const Choice& choice);

  const PropagationNetwork& network_;
  LayoutPool pool_;
  std::unordered_map<std::pair<const void*, const void*>, MindsporeCost, HashPair> remembered_;
};

}  // namespace relayout
