// SPDX-License-Identifier: Apache-2.0
#include "relayout/plan/transfer.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "relayout/base/text.h"

namespace relayout {
namespace {

// One holder for each needed shard, or the first shard that nobody can serve.
Result<std::vector<int64_t>> ChooseHolders(const PlacedTensor& source,
                                           const TransferRequest& request,
                                           const std::vector<TransferTarget>& targets,
                                           ReplicaChooser& chooser) {
  const Partition& partition = source.partition;
  const std::vector<bool> needed = NeededShards(partition, targets);
  std::vector<std::vector<int64_t>> candidates(needed.size());
  for (size_t shard = 0; shard < needed.size(); ++shard) {
    if (!needed[shard]) continue;
    const std::vector<int64_t> holders = HoldersOf(source, static_cast<int64_t>(shard));
    std::copy_if(holders.begin(), holders.end(), std::back_inserter(candidates[shard]),
                 request.is_available);
    if (candidates[shard].empty()) {
      const Dims cell = partition.layout().CellOfShard(static_cast<int64_t>(shard));
      return NotFound(Format("the slice {} of {} should be in the file of rank {}, but is in none",
                             ToText(partition.BoxOf(cell)), ToText(partition.shape()),
                             RankRuns(holders)));
    }
  }
  std::vector<int64_t> chosen(needed.size(), Transfer::kNoRank);
  for (size_t shard = 0; shard < needed.size(); ++shard) {
    if (!needed[shard]) continue;
    const Dims cell = partition.layout().CellOfShard(static_cast<int64_t>(shard));
    chosen[shard] = chooser.Choose(candidates[shard],
                                   partition.BoxOf(cell).volume() * request.element_size_bytes);
  }
  return chosen;
}

}  // namespace

std::vector<int64_t> HoldersOf(const PlacedTensor& placed, int64_t shard) {
  const Layout& layout = placed.partition.layout();
  const Dims cell = layout.CellOfShard(shard);
  std::vector<int64_t> ranks;
  for (int64_t replica = 0; replica < layout.replica_count(); ++replica) {
    ranks.push_back(placed.first_rank + layout.RankOf(cell, replica));
  }
  return ranks;
}

TransferTarget MakeTarget(const PlacedTensor& placed,
                          const std::function<bool(int64_t)>& is_wanted) {
  TransferTarget target{.placed = placed, .ranks_of_shard = {}};
  for (int64_t shard = 0; shard < placed.partition.layout().shard_count(); ++shard) {
    std::vector<int64_t> ranks = HoldersOf(placed, shard);
    std::erase_if(ranks, [&](int64_t rank) { return !is_wanted(rank); });
    target.ranks_of_shard.push_back(std::move(ranks));
  }
  return target;
}

bool Transfer::wants_everything() const {
  return std::all_of(targets.begin(), targets.end(), [](const TransferTarget& target) {
    return std::none_of(target.ranks_of_shard.begin(), target.ranks_of_shard.end(),
                        [](const auto& ranks) { return ranks.empty(); });
  });
}

int64_t ReplicaChooser::Choose(const std::vector<int64_t>& candidates, int64_t size_bytes) {
  RELAYOUT_CHECK(!candidates.empty());
  const int64_t best =
      *std::min_element(candidates.begin(), candidates.end(), [&](int64_t a, int64_t b) {
        const int64_t load_a = bytes_of_rank_[a];
        const int64_t load_b = bytes_of_rank_[b];
        return load_a != load_b ? load_a < load_b : a < b;
      });
  bytes_of_rank_[best] += size_bytes;
  return best;
}

int64_t CellRange::count() const {
  int64_t count = 1;
  for (size_t d = 0; d < begin.size(); ++d) count *= end[d] - begin[d];
  return count;
}

int64_t CellRange::IndexOf(const Dims& cell) const { return OffsetIn({begin, end}, cell); }

CellRange CellsOverlapping(const Partition& partition, const Box& box) {
  CellRange range;
  for (size_t d = 0; d < box.begin.size(); ++d) {
    RELAYOUT_CHECK(box.begin[d] < box.end[d]);
    range.begin.push_back(partition.PieceAt(d, box.begin[d]));
    range.end.push_back(partition.PieceAt(d, box.end[d] - 1) + 1);
  }
  return range;
}

std::vector<bool> NeededShards(const Partition& source,
                               const std::vector<TransferTarget>& targets) {
  const Layout& layout = source.layout();
  std::vector<bool> needed(static_cast<size_t>(layout.shard_count()), false);
  for (const TransferTarget& target : targets) {
    const Partition& partition = target.placed.partition;
    for (int64_t shard = 0; shard < partition.layout().shard_count(); ++shard) {
      if (!target.wants(shard)) continue;
      const Box box = partition.BoxOf(partition.layout().CellOfShard(shard));
      if (box.volume() == 0) continue;
      const CellRange cells = CellsOverlapping(source, box);
      Dims cell = cells.begin;
      do {
        // An uneven piece without rows is in no file, and nobody misses it.
        if (source.BoxOf(cell).volume() == 0) continue;
        needed[static_cast<size_t>(layout.ShardIndexOf(cell))] = true;
      } while (NextIndex(cells.begin, cells.end, cell));
    }
  }
  return needed;
}

Result<Transfer> PlanTransfer(const TransferRequest& request, ReplicaChooser& chooser) {
  RELAYOUT_CHECK(!request.sources.empty() && !request.targets.empty());
  std::vector<TransferTarget> targets;
  for (const PlacedTensor& placed : request.targets) {
    RELAYOUT_CHECK(placed.partition.shape() == request.sources[0].partition.shape());
    targets.push_back(MakeTarget(placed, request.is_wanted));
  }
  Status first_failure;
  for (const PlacedTensor& source : request.sources) {
    RELAYOUT_CHECK(source.partition.shape() == request.sources[0].partition.shape());
    auto holders = ChooseHolders(source, request, targets, chooser);
    if (holders.ok()) {
      return Transfer{.element_size_bytes = request.element_size_bytes,
                      .source = source,
                      .source_ranks = std::move(*holders),
                      .targets = std::move(targets)};
    }
    if (first_failure.ok()) first_failure = holders.status();
  }
  return first_failure;
}

}  // namespace relayout
