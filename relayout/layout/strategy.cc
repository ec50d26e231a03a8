// SPDX-License-Identifier: Apache-2.0
#include "relayout/layout/strategy.h"

#include <algorithm>
#include <utility>

#include "relayout/base/checked_math.h"
#include "relayout/base/text.h"

namespace relayout {
namespace {

// The number of devices of each stage; stages without parameters take that of the others.
Result<std::vector<int64_t>> DeviceCounts(const std::vector<StageStrategy>& stages) {
  std::vector<int64_t> counts(stages.size(), 0);
  for (size_t s = 0; s < stages.size(); ++s) {
    for (const ParameterLayout& parameter : stages[s].parameters) {
      const int64_t count = parameter.layout.device_count();
      if (counts[s] != 0 && counts[s] != count) {
        return InvalidInput(Format("stage {}: {} is laid out on {}, but {} on {}", s,
                                   stages[s].parameters[0].name, Count(counts[s], "device"),
                                   Printable(parameter.name), count));
      }
      counts[s] = count;
    }
  }
  const auto known = std::find_if(counts.begin(), counts.end(), [](int64_t n) { return n != 0; });
  if (known == counts.end()) return InvalidInput("the strategy names no parameter");
  const int64_t common = *known;
  if (std::find(counts.begin(), counts.end(), 0) != counts.end()) {
    for (size_t s = 0; s < counts.size(); ++s) {
      if (counts[s] != 0 && counts[s] != common) {
        return InvalidInput(
            "a stage has no parameters and the others differ in size, so its size is unknown");
      }
      counts[s] = common;
    }
  }
  return counts;
}

}  // namespace

Result<Strategy> Strategy::Create(std::vector<StageStrategy> stages) {
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<int64_t> counts, DeviceCounts(stages));
  Strategy strategy;
  strategy.first_ranks_.push_back(0);
  for (const int64_t count : counts) {
    const auto next = CheckedAdd(strategy.first_ranks_.back(), count);
    if (!next || *next > (int64_t{1} << 40)) return InvalidInput("the strategy has too many ranks");
    strategy.first_ranks_.push_back(*next);
  }
  for (size_t s = 0; s < stages.size(); ++s) {
    for (size_t p = 0; p < stages[s].parameters.size(); ++p) {
      const std::string& name = stages[s].parameters[p].name;
      std::vector<Location>& locations = strategy.by_name_[name];
      if (!locations.empty() && locations.back().stage == s) {
        return InvalidInput(Format("{}: listed twice in stage {}", Printable(name), s));
      }
      locations.push_back({s, p});
    }
  }
  strategy.stages_ = std::move(stages);
  return strategy;
}

Strategy Strategy::Empty(int64_t device_count) {
  Strategy strategy;
  strategy.stages_.resize(1);
  strategy.first_ranks_ = {0, device_count};
  return strategy;
}

int64_t Strategy::StageOf(int64_t rank) const {
  RELAYOUT_CHECK(rank >= 0 && rank < rank_count());
  return std::upper_bound(first_ranks_.begin(), first_ranks_.end(), rank) - first_ranks_.begin() -
         1;
}

std::vector<Placement> Strategy::Find(std::string_view name) const {
  std::vector<Placement> placements;
  const auto found = by_name_.find(std::string(name));
  if (found == by_name_.end()) return placements;
  for (const Location& location : found->second) {
    placements.push_back({.stage = static_cast<int64_t>(location.stage),
                          .first_rank = first_ranks_[location.stage],
                          .parameter = &stages_[location.stage].parameters[location.parameter]});
  }
  return placements;
}

std::vector<std::string> Strategy::Names() const {
  std::vector<std::string> names;
  for (size_t s = 0; s < stages_.size(); ++s) {
    for (const ParameterLayout& parameter : stages_[s].parameters) {
      if (by_name_.at(parameter.name).front().stage == s) names.push_back(parameter.name);
    }
  }
  return names;
}

}  // namespace relayout
