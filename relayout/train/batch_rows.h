// SPDX-License-Identifier: Apache-2.0
//
// Which rows of a dataset a batch has: how they are cut into batches, shuffled, and divided among
// the ranks that read different parts.
//
//   10 rows, batch_size 2, no shuffle            batches  0 1 | 2 3 | 4 5 | 6 7 | 8 9
//   num_shards 2, shard_id 0                              0 1 | 4 5
//                 shard_id 1                              2 3 | 6 7
//   the same without drop_remainder: of the last two rows one each,
//                 shard_id 0                              0 1 | 4 5 | 8
//                 shard_id 1                              2 3 | 6 7 | 9
//
// So batch i of the shards, one behind the other in the order of shard_id, is batch i of the whole
// dataset with batch_size * num_shards: training on shards takes the steps of training on all. (In
// MindSpore shard s has the rows s, s + num_shards, ...; batches of all shards together hold the
// same rows as here, in another order.)
//
// Shuffled, the rows of an epoch are in the order of permutation.h, from the seed and the epoch,
// before they are cut; all ranks have the same. MindSpore's order for a seed is another one.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "relayout/base/status.h"

namespace relayout {

struct BatchOptions {
  int64_t batch_size = 32;     // Rows of a batch of this shard.
  bool drop_remainder = true;  // The last batch, where it is not whole. Else it is shorter.
  std::optional<uint64_t> shuffle_seed = std::nullopt;  // None: in the order of the data.
  int64_t num_shards = 1;
  int64_t shard_id = 0;
};

// A value.
class BatchRows {
 public:
  // Fails when a number is not positive or shard_id is not below num_shards, when not one batch
  // comes out, and when the last rows cannot be divided equally among the shards.
  static Result<BatchRows> Create(int64_t row_count, const BatchOptions& options);

  const BatchOptions& options() const { return options_; }
  int64_t row_count() const { return row_count_; }
  // Of an epoch.
  int64_t batch_count() const { return batch_count_; }

  // The rows of a batch, in [0, row_count). Fails when there is no such batch.
  Result<std::vector<int64_t>> Of(int64_t epoch, int64_t index) const;

 private:
  BatchRows(int64_t row_count, const BatchOptions& options, int64_t batch_count)
      : row_count_(row_count), options_(options), batch_count_(batch_count) {}

  int64_t row_count_;
  BatchOptions options_;
  int64_t batch_count_;
};

}  // namespace relayout
