// SPDX-License-Identifier: Apache-2.0
//
// Strategy: the layouts of all parameters, stage by stage, and where each stage's ranks begin.
//
//   stage 0, ranks 0-3:  layer1.weight  {a:4} (-,-) opt:4
//   stage 1, ranks 4-7:  layer2.weight  {a:4} (-,-) opt:4
//
// A parameter may live in several stages (a tied embedding), with a layout in each.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "relayout/base/dims.h"
#include "relayout/base/status.h"
#include "relayout/layout/layout.h"

namespace relayout {

// One parameter of one stage.
struct ParameterLayout {
  std::string name;
  Layout layout;
  // The whole tensor's shape where the strategy file states it (JSON's tensor_shape).
  std::optional<Dims> whole_shape;
};

// The parameters of one stage, in the order of the file.
struct StageStrategy {
  std::vector<ParameterLayout> parameters;
};

// A parameter's layout on the ranks [first_rank, first_rank + layout->device_count()).
struct Placement {
  int64_t stage = 0;
  int64_t first_rank = 0;
  const ParameterLayout* parameter = nullptr;

  const Layout& layout() const { return parameter->layout; }
};

class Strategy {
 public:
  // Checks and indexes `stages`. Fails when no stage has a parameter, a name occurs twice in a
  // stage, or the parameters of a stage disagree about its number of devices. A stage without
  // parameters has as many devices as the others, which then must agree.
  static Result<Strategy> Create(std::vector<StageStrategy> stages);

  // `device_count` ranks in one stage without any parameter: nothing is known, all is whole.
  static Strategy Empty(int64_t device_count);

  Strategy(Strategy&&) = default;
  Strategy& operator=(Strategy&&) = default;
  Strategy(const Strategy&) = delete;  // Placements point into it.
  Strategy& operator=(const Strategy&) = delete;

  const std::vector<StageStrategy>& stages() const { return stages_; }
  int64_t stage_count() const { return static_cast<int64_t>(stages_.size()); }
  int64_t rank_count() const { return first_ranks_.back(); }
  // Stage `stage` has the ranks [first_rank(stage), first_rank(stage + 1)).
  int64_t first_rank(int64_t stage) const { return first_ranks_[static_cast<size_t>(stage)]; }
  // @pre 0 <= rank < rank_count()
  int64_t StageOf(int64_t rank) const;

  // Where `name` lives, in ascending stage; empty when the strategy does not know it.
  // Valid while the strategy lives and is not moved from.
  std::vector<Placement> Find(std::string_view name) const;
  bool Contains(std::string_view name) const { return by_name_.contains(std::string(name)); }
  // Every name once, in order of first appearance.
  std::vector<std::string> Names() const;

 private:
  struct Location {
    size_t stage;
    size_t parameter;
  };
  Strategy() = default;

  std::vector<StageStrategy> stages_;
  std::vector<int64_t> first_ranks_;  // stage_count() + 1 entries
  std::unordered_map<std::string, std::vector<Location>> by_name_;
};

}  // namespace relayout
