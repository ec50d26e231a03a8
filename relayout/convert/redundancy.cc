// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/redundancy.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace relayout {
namespace {

// The ranks of a stage by what they share: groups in the order of their first ranks.
using Groups = std::vector<std::vector<int64_t>>;

Groups GroupsOf(const Layout& layout) {
  Groups groups;
  for (int64_t shard = 0; shard < layout.shard_count(); ++shard) {
    const Dims cell = layout.CellOfShard(shard);
    std::vector<int64_t>& group = groups.emplace_back();
    for (int64_t replica = 0; replica < layout.replica_count(); ++replica) {
      group.push_back(layout.RankOf(cell, replica));
    }
  }
  std::sort(groups.begin(), groups.end());
  return groups;
}

// Deals the parameters of one stage.
class Dealer {
 public:
  // The replica that stores the next parameter with this layout.
  int64_t Next(const Layout& layout) {
    const auto [known, is_new] = hand_of_layout_.try_emplace(layout.identity(), 0);
    if (is_new) {
      known->second =
          hand_of_groups_.try_emplace(GroupsOf(layout), hand_of_groups_.size()).first->second;
      dealt_.resize(hand_of_groups_.size(), 0);
    }
    return dealt_[known->second]++ % layout.replica_count();
  }

 private:
  std::unordered_map<const void*, size_t> hand_of_layout_;
  std::map<Groups, size_t> hand_of_groups_;
  std::vector<int64_t> dealt_;
};

// Stage and replica.
using Keepers = std::vector<std::pair<int64_t, int64_t>>;

std::unordered_map<std::string_view, Keepers> DealAll(const Strategy& target) {
  std::unordered_map<std::string_view, Keepers> keepers_of_name;
  for (int64_t stage = 0; stage < target.stage_count(); ++stage) {
    std::vector<Strategy::Parameter> parameters;
    for (const Strategy::Parameter& parameter : target.parameters(stage)) {
      parameters.push_back(parameter);
    }
    std::vector<size_t> order(parameters.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return parameters[a].name < parameters[b].name; });
    Dealer dealer;
    for (const size_t i : order) {
      keepers_of_name[parameters[i].name].emplace_back(stage, dealer.Next(parameters[i].layout));
    }
  }
  return keepers_of_name;
}

}  // namespace

void DealToReplicas(const Strategy& target, TargetValues& values) {
  const auto keepers_of_name = DealAll(target);
  values = values.KeptBy([&](size_t i) {
    std::vector<int64_t> keepers;
    const auto found = keepers_of_name.find(values[i].name);
    if (found == keepers_of_name.end()) return keepers;
    // Placements are in ascending stage on both sides.
    for (const auto& [stage, replica] : found->second) keepers.push_back(replica);
    return keepers;
  });
}

}  // namespace relayout
