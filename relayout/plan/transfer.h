// SPDX-License-Identifier: Apache-2.0
//
// Transfer: one tensor's way from the ranks that hold it to the ranks that want it. Pure data;
// whether the shards lie in files or in the memories of ranks is the executor's business.
//
// A tensor has one or more *sources* (a layout on a range of ranks; several when a tied tensor
// lives in several pipeline stages, all with the same contents) and one or more *targets*. Planning
// picks one source, and in it one holder for each shard that some wanted target rank needs. A
// target shard is assembled once, whatever the number of ranks that store it, so every needed
// source byte is read once.
//
// Example: {a:8} f32[8] @ (a) on ranks 0-7 to {a:6} f32[8] ... does not divide and is refused; to
// {a:4} f32[8] @ (a) on ranks 0-3:
//   source_ranks      0 1 2 3 4 5 6 7        one holder for each of 8 shards
//   target 0, shard 2 [4:6] is written by rank 2, from the shards of ranks 4 and 5
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/layout/layout.h"

namespace relayout {

// A tensor cut up over the ranks [first_rank, first_rank + partition.layout().device_count()).
struct PlacedTensor {
  Partition partition;
  int64_t first_rank = 0;
};

struct TransferTarget {
  PlacedTensor placed;
  // For each shard of the partition the wanted ranks that store it, ascending; empty = not wanted.
  std::vector<std::vector<int64_t>> ranks_of_shard;

  bool wants(int64_t shard) const { return !ranks_of_shard[static_cast<size_t>(shard)].empty(); }
};

struct Transfer {
  static constexpr int64_t kNoRank = -1;

  int64_t element_size_bytes = 1;
  PlacedTensor source;
  // For each shard of the source partition the rank to read it from; kNoRank = not needed.
  std::vector<int64_t> source_ranks;
  std::vector<TransferTarget> targets;

  const Dims& shape() const { return source.partition.shape(); }
  // True when every shard of every target is wanted by somebody.
  bool wants_everything() const;
};

// Spreads reads over the files: of the ranks that could serve a shard, the one that has been given
// the fewest bytes so far, the lowest of equals. Deterministic.
class ReplicaChooser {
 public:
  // @pre candidates is not empty
  int64_t Choose(const std::vector<int64_t>& candidates, int64_t size_bytes);

 private:
  std::unordered_map<int64_t, int64_t> bytes_of_rank_;
};

struct TransferRequest {
  int64_t element_size_bytes = 1;
  // Equal shapes; the first that can serve every needed shard is used.
  std::vector<PlacedTensor> sources;
  std::vector<PlacedTensor> targets;
  // Does this rank's file hold the tensor?
  std::function<bool(int64_t source_rank)> is_available;
  // Shall this target rank be written?
  std::function<bool(int64_t target_rank)> is_wanted;
};

// Fails when some needed shard has no available holder in any source; the message lists the box and
// the ranks that should hold it. @pre at least one source and one target, all of the same shape
Result<Transfer> PlanTransfer(const TransferRequest& request, ReplicaChooser& chooser);

// The global ranks that hold a shard, ascending.
std::vector<int64_t> HoldersOf(const PlacedTensor& placed, int64_t shard);

// `placed` with the ranks that want each shard.
TransferTarget MakeTarget(const PlacedTensor& placed,
                          const std::function<bool(int64_t)>& is_wanted);

// The shards of `source` that overlap the wanted shards of `targets`: [i] is true if shard i is
// needed.
std::vector<bool> NeededShards(const Partition& source, const std::vector<TransferTarget>& targets);

// Steps through the cells of `partition` that overlap `box`, in C order. @pre box is not empty
struct CellRange {
  Dims begin;
  Dims end;  // Exclusive.

  int64_t count() const;
  // Position of `cell` in C order within the range.
  int64_t IndexOf(const Dims& cell) const;
};
CellRange CellsOverlapping(const Partition& partition, const Box& box);

}  // namespace relayout
