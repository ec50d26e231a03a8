// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/rank_list.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <optional>
#include <set>
#include <utility>

#include "relayout/base/checked_math.h"
#include "relayout/base/text.h"
#include "relayout/convert/contents.h"
#include "relayout/convert/load_strategy.h"

namespace relayout {
namespace {

using Needs = std::set<std::vector<int64_t>>;

// When nothing but an empty piece is wanted, somebody must still say its type and shape: ranks that
// hold some element, as MindSpore writes no record for a slice without any.
std::vector<int64_t> Witnesses(const PlacedTensor& source,
                               const std::function<bool(int64_t)>& is_available) {
  const Partition& partition = source.partition;
  const bool is_empty = Box::Whole(partition.shape()).volume() == 0;
  std::vector<int64_t> ranks;
  for (int64_t local = 0; local < partition.layout().device_count(); ++local) {
    const int64_t rank = source.first_rank + local;
    const bool holds = is_empty || partition.BoxOf(partition.layout().CellOf(local)).volume() > 0;
    if (holds && is_available(rank)) ranks.push_back(rank);
  }
  return ranks;
}

// The holders of each needed shard of one source of a value.
Needs NeedsOf(const PlacedTensor& source, const NeededValue& value,
              const std::function<bool(int64_t)>& is_available,
              const std::function<bool(int64_t)>& is_wanted) {
  std::vector<TransferTarget> targets;
  for (const PlacedTensor& placed : value.targets) targets.push_back(MakeTarget(placed, is_wanted));
  const std::vector<bool> needed = NeededShards(source.partition, targets);
  Needs needs;
  for (size_t shard = 0; shard < needed.size(); ++shard) {
    if (!needed[shard]) continue;
    std::vector<int64_t> holders = HoldersOf(source, static_cast<int64_t>(shard));
    std::erase_if(holders, [&](int64_t rank) { return !is_available(rank); });
    needs.insert(std::move(holders));
  }
  if (needs.empty()) needs.insert(Witnesses(source, is_available));
  return needs;
}

bool AllCanBeMet(const Needs& needs) {
  return std::none_of(needs.begin(), needs.end(), [](const auto& need) { return need.empty(); });
}

// Any shape that both sides can cut: what overlaps what does not depend on it.
Result<Dims> StandInShape(const Layout& source, const std::vector<Placement>& targets) {
  Dims shape = source.grid();
  for (const Placement& target : targets) {
    if (target.layout().dim_count() != shape.size()) {
      return InvalidInput(Format("{} dims in the source strategy, {} in the target's", shape.size(),
                                 target.layout().dim_count()));
    }
    for (size_t d = 0; d < shape.size(); ++d) {
      const int64_t pieces = target.layout().grid()[d];
      const auto common = CheckedMul(shape[d] / std::gcd(shape[d], pieces), pieces);
      if (!common) return InvalidInput("the pieces of the two layouts have no common multiple");
      shape[d] = *common;
    }
  }
  // Uneven rows are lengths, not ratios.
  for (const Layout* layout : {&source, &targets[0].layout()}) {
    const std::vector<int64_t>& rows = layout->spec().uneven_rows;
    if (!rows.empty()) shape[0] = std::accumulate(rows.begin(), rows.end(), int64_t{0});
  }
  return shape;
}

Result<NeededValue> Place(const std::vector<Placement>& from, const std::vector<Placement>& to) {
  NeededValue value;
  RELAYOUT_ASSIGN_OR_RETURN(const Dims shape, StandInShape(from[0].layout(), to));
  for (const Placement& placement : from) {
    auto partition = Partition::Create(placement.layout(), shape);
    // Another stage's layout that does not fit the stand-in shape: the first one serves.
    if (!partition.ok() && !value.sources.empty()) continue;
    if (!partition.ok()) return partition.status();
    value.sources.push_back({.partition = *partition, .first_rank = placement.first_rank});
  }
  for (const Placement& placement : to) {
    RELAYOUT_ASSIGN_OR_RETURN(Partition partition, Partition::Create(placement.layout(), shape));
    value.targets.push_back(
        {.partition = std::move(partition), .first_rank = placement.first_rank});
  }
  return value;
}

struct StrategyPair {
  Strategy source = Strategy::Empty(1);
  Strategy target = Strategy::Empty(1);
  bool has_target = false;
};

Result<StrategyPair> LoadPair(FileSystem& fs, const RankListRequest& request) {
  if (!request.source_strategy_path && !request.target_strategy_path) {
    return InvalidInput("give a source strategy, a target strategy, or both");
  }
  StrategyPair pair;
  if (request.source_strategy_path) {
    RELAYOUT_ASSIGN_OR_RETURN(pair.source, LoadStrategy(fs, *request.source_strategy_path));
  }
  if (request.target_strategy_path) {
    RELAYOUT_ASSIGN_OR_RETURN(pair.target, LoadStrategy(fs, *request.target_strategy_path));
    pair.has_target = true;
  }
  return pair;
}

Result<RankCover> CoverRank(const StrategyPair& pair, int64_t rank) {
  std::vector<NeededValue> values;
  for (const std::string_view name : pair.source.Names()) {
    if (IsScratch(name)) continue;
    const std::vector<Placement> from = pair.source.Find(name);
    std::vector<Placement> to = pair.target.Find(name);
    std::erase_if(to, [&](const Placement& placement) {
      return placement.stage != pair.target.StageOf(rank);
    });
    const ParameterForm whole{.layout = Layout::Replicated(1, from[0].layout().dim_count()),
                              .whole_shape = {}};
    if (!pair.has_target) to = {{.stage = 0, .first_rank = 0, .parameter = &whole}};
    if (to.empty()) continue;
    auto value = Place(from, to);
    if (!value.ok()) return value.status().WithContext(Printable(name));
    values.push_back(std::move(*value));
  }
  RankCover cover = CoverValues(
      values, [](size_t, int64_t) { return true; },
      [rank](int64_t target_rank) { return target_rank == rank; });
  // Values that no strategy knows are on every rank.
  if (cover.ranks.empty()) cover.ranks.push_back(0);
  return cover;
}

Needs Joined(Needs needs, const Needs& more) {
  needs.insert(more.begin(), more.end());
  return needs;
}

// The smallest cover of `needs` and of one alternative of each of choices[next...].
RankCover TryAll(const std::vector<std::vector<Needs>>& choices, size_t next, const Needs& needs) {
  if (next == choices.size()) return SmallestRankCover(needs);
  std::optional<RankCover> best;
  bool is_minimal = true;
  for (const Needs& alternative : choices[next]) {
    RankCover cover = TryAll(choices, next + 1, Joined(needs, alternative));
    is_minimal = is_minimal && cover.is_minimal;
    if (!best || cover.ranks.size() < best->ranks.size()) best = std::move(cover);
  }
  best->is_minimal = is_minimal;
  return *std::move(best);
}

RankCover CoverChoices(const std::vector<std::vector<Needs>>& choices, Needs needs) {
  constexpr size_t kMaxCombinations = 256;
  size_t combinations = 1;
  for (const auto& alternatives : choices) {
    combinations = std::min(combinations * alternatives.size(), kMaxCombinations + 1);
  }
  if (combinations <= kMaxCombinations) return TryAll(choices, 0, needs);
  // One by one, each with the alternative that adds the fewest ranks.
  for (const auto& alternatives : choices) {
    size_t fewest = SIZE_MAX;
    const Needs* chosen = nullptr;
    for (const Needs& alternative : alternatives) {
      const size_t count = SmallestRankCover(Joined(needs, alternative)).ranks.size();
      if (count < fewest) chosen = &alternative;
      fewest = std::min(fewest, count);
    }
    needs = Joined(std::move(needs), *chosen);
  }
  RankCover cover = SmallestRankCover(needs);
  cover.is_minimal = false;
  return cover;
}

}  // namespace

RankCover CoverValues(const std::vector<NeededValue>& values,
                      const std::function<bool(size_t value, int64_t source_rank)>& is_available,
                      const std::function<bool(int64_t target_rank)>& is_wanted) {
  Needs needs;
  // Of values with several sources, the needs of each. A set: a tied parameter and its optimizer
  // states ask the same question.
  std::set<std::vector<Needs>> choices;
  for (size_t i = 0; i < values.size(); ++i) {
    std::vector<Needs> alternatives;
    for (const PlacedTensor& source : values[i].sources) {
      Needs of_source = NeedsOf(
          source, values[i], [&](int64_t rank) { return is_available(i, rank); }, is_wanted);
      if (AllCanBeMet(of_source)) alternatives.push_back(std::move(of_source));
    }
    if (alternatives.size() == 1) needs.insert(alternatives[0].begin(), alternatives[0].end());
    if (alternatives.size() > 1) choices.insert(std::move(alternatives));
  }
  return CoverChoices({choices.begin(), choices.end()}, needs);
}

Result<RankCover> RanksForTransform(FileSystem& fs, const RankListRequest& request) {
  RELAYOUT_ASSIGN_OR_RETURN(const StrategyPair pair, LoadPair(fs, request));
  if (request.rank < 0 || request.rank >= pair.target.rank_count()) {
    return InvalidInput(
        Format("rank {}: the target has ranks 0-{}", request.rank, pair.target.rank_count() - 1));
  }
  return CoverRank(pair, request.rank);
}

Result<std::vector<RankCover>> AllRanksForTransform(FileSystem& fs,
                                                    const RankListRequest& request) {
  RELAYOUT_ASSIGN_OR_RETURN(const StrategyPair pair, LoadPair(fs, request));
  std::vector<RankCover> covers;
  for (int64_t rank = 0; rank < pair.target.rank_count(); ++rank) {
    RELAYOUT_ASSIGN_OR_RETURN(covers.emplace_back(), CoverRank(pair, rank));
  }
  return covers;
}

}  // namespace relayout
