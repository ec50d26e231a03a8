// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/batch_rows.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "relayout/base/checked_math.h"
#include "relayout/base/text.h"
#include "relayout/train/permutation.h"

namespace relayout {
namespace {

Status CheckOptions(const BatchOptions& options) {
  if (options.batch_size < 1) {
    return InvalidInput(
        Format("batch_size = {}; a batch has one row at least", options.batch_size));
  }
  if (options.num_shards < 1) {
    return InvalidInput(Format("num_shards = {}; 1 is the whole dataset", options.num_shards));
  }
  if (options.shard_id < 0 || options.shard_id >= options.num_shards) {
    return InvalidInput(Format("shard_id = {}, but num_shards = {}; they are counted from 0",
                               options.shard_id, options.num_shards));
  }
  return OkStatus();
}

// Of all shards.
std::string BatchText(const BatchOptions& options) {
  return options.num_shards == 1
             ? Count(options.batch_size, "row")
             : Format("{} x {} shards", Count(options.batch_size, "row"), options.num_shards);
}

Status CheckLastRows(int64_t row_count, int64_t rest, const BatchOptions& options) {
  if (options.drop_remainder || rest % options.num_shards == 0) return OkStatus();
  return InvalidInput(Format(
      "{}: batches of {} leave {}, which {} shards cannot divide equally; drop the remainder",
      Count(row_count, "row"), BatchText(options), rest, options.num_shards));
}

}  // namespace

Result<BatchRows> BatchRows::Create(int64_t row_count, const BatchOptions& options) {
  RELAYOUT_RETURN_IF_ERROR(CheckOptions(options));
  const auto whole = CheckedMul(options.batch_size, options.num_shards);
  const int64_t full_count = whole ? row_count / *whole : 0;
  const int64_t rest = whole ? row_count % *whole : row_count;
  const int64_t batch_count = full_count + (!options.drop_remainder && rest > 0 ? 1 : 0);
  if (batch_count == 0) {
    return InvalidInput(Format("{}: too few for a batch of {}; take a smaller batch_size",
                               Count(row_count, "row"), BatchText(options)));
  }
  RELAYOUT_RETURN_IF_ERROR(CheckLastRows(row_count, rest, options));
  return BatchRows(row_count, options, batch_count);
}

Result<std::vector<int64_t>> BatchRows::Of(int64_t epoch, int64_t index) const {
  if (epoch < 0 || index < 0 || index >= batch_count_) {
    return InvalidInput(Format("batch {} of epoch {}: an epoch has batches 0 to {}", index, epoch,
                               batch_count_ - 1));
  }
  // Of all shards, then of this one. Before the last batch the product fits: rows are behind it.
  const int64_t begin = index * options_.num_shards * options_.batch_size;
  const int64_t left = row_count_ - begin;
  const int64_t size = std::min(options_.batch_size, left / options_.num_shards);
  std::vector<int64_t> rows(static_cast<size_t>(size));
  std::iota(rows.begin(), rows.end(), begin + options_.shard_id * size);
  if (options_.shuffle_seed) {
    const Permutation order(row_count_, *options_.shuffle_seed, epoch);
    for (int64_t& row : rows) row = order.At(row);
  }
  return rows;
}

}  // namespace relayout
