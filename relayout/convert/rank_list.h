// SPDX-License-Identifier: Apache-2.0
//
// MindSpore's rank_list_for_transform: which source ranks' files one target rank needs. Strategies
// alone answer it; no checkpoint is looked at.
//
//   save_8 -> retrain_4, rank 0:   0 and 2     (MindSpore: 0 and 2, or more)
//
// The list is the smallest there is: replicas are used to keep it short.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/io/file_system.h"
#include "relayout/layout/strategy.h"
#include "relayout/plan/rank_cover.h"
#include "relayout/plan/transfer.h"

namespace relayout {

struct RankListRequest {
  // Nothing: the source is whole on rank 0.
  std::optional<std::string> source_strategy_path;
  // Nothing: the target is whole on rank 0.
  std::optional<std::string> target_strategy_path;
  int64_t rank = 0;
};

// Fails when a strategy cannot be read, or `rank` is not one of the target's. Never empty: values
// outside the strategies come from any rank.
Result<RankCover> RanksForTransform(FileSystem& fs, const RankListRequest& request);

// The same for every target rank, in order; request.rank is not looked at.
Result<std::vector<RankCover>> AllRanksForTransform(FileSystem& fs, const RankListRequest& request);

// A value of the wanted ranks, for finding the fewest source ranks.
struct NeededValue {
  std::vector<PlacedTensor> sources;
  std::vector<PlacedTensor> targets;
};

// The fewest source ranks from which the wanted target ranks can be made. Where a tied value lives
// in several source stages, all ways to choose a stage are tried (up to 256; beyond, one value
// after the other, and the result is not said to be minimal). is_available(value_index,
// source_rank): does that rank's file hold the value?
RankCover CoverValues(const std::vector<NeededValue>& values,
                      const std::function<bool(size_t value, int64_t source_rank)>& is_available,
                      const std::function<bool(int64_t target_rank)>& is_wanted);

}  // namespace relayout
