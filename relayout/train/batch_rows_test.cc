// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/batch_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "relayout/base/text.h"

namespace relayout {
namespace {

BatchOptions Options(int64_t batch_size, bool drop_remainder, int64_t num_shards = 1,
                     int64_t shard_id = 0) {
  BatchOptions options;
  options.batch_size = batch_size;
  options.drop_remainder = drop_remainder;
  options.num_shards = num_shards;
  options.shard_id = shard_id;
  return options;
}

// "0 1 | 4 5", or what is wrong.
std::string Text(int64_t row_count, const BatchOptions& options, int64_t epoch = 0) {
  const auto rows = BatchRows::Create(row_count, options);
  if (!rows.ok()) return rows.status().message();
  std::string text;
  for (int64_t i = 0; i < rows->batch_count(); ++i) {
    if (i > 0) text += " |";
    for (const int64_t row : *rows->Of(epoch, i)) text += Format(" {}", row);
  }
  return text.substr(1);
}

TEST(BatchRows, AreCutAndDivided) {
  EXPECT_EQ(Text(10, Options(2, true)), "0 1 | 2 3 | 4 5 | 6 7 | 8 9");
  EXPECT_EQ(Text(10, Options(4, true)), "0 1 2 3 | 4 5 6 7");
  EXPECT_EQ(Text(10, Options(4, false)), "0 1 2 3 | 4 5 6 7 | 8 9");
  EXPECT_EQ(Text(3, Options(4, false)), "0 1 2");
  EXPECT_EQ(Text(10, Options(2, true, 2, 0)), "0 1 | 4 5");
  EXPECT_EQ(Text(10, Options(2, true, 2, 1)), "2 3 | 6 7");
  EXPECT_EQ(Text(10, Options(2, false, 2, 0)), "0 1 | 4 5 | 8");
  EXPECT_EQ(Text(10, Options(2, false, 2, 1)), "2 3 | 6 7 | 9");
}

TEST(BatchRows, TellsWhatIsWrong) {
  EXPECT_EQ(Text(10, Options(0, true)), "batch_size = 0; a batch has one row at least");
  EXPECT_EQ(Text(10, Options(1, true, 0)), "num_shards = 0; 1 is the whole dataset");
  EXPECT_EQ(Text(10, Options(1, true, 2, 2)),
            "shard_id = 2, but num_shards = 2; they are counted from 0");
  EXPECT_EQ(Text(10, Options(1, true, 2, -1)),
            "shard_id = -1, but num_shards = 2; they are counted from 0");
  EXPECT_EQ(Text(10, Options(16, true)),
            "10 rows: too few for a batch of 16 rows; take a smaller batch_size");
  EXPECT_EQ(Text(10, Options(4, true, 4)),
            "10 rows: too few for a batch of 4 rows x 4 shards; take a smaller batch_size");
  EXPECT_EQ(Text(0, Options(4, false)),
            "0 rows: too few for a batch of 4 rows; take a smaller batch_size");
  EXPECT_EQ(Text(10, Options(int64_t{1} << 62, true, 4)),
            "10 rows: too few for a batch of 4611686018427387904 rows x 4 shards; take a smaller "
            "batch_size");
  EXPECT_EQ(Text(10, Options(1, false, 4)),
            "10 rows: batches of 1 row x 4 shards leave 2, which 4 shards cannot divide equally; "
            "drop the remainder");
  const auto rows = *BatchRows::Create(10, Options(4, true));
  EXPECT_EQ(rows.Of(0, 2).status().message(), "batch 2 of epoch 0: an epoch has batches 0 to 1");
  EXPECT_FALSE(rows.Of(-1, 0).ok());
  EXPECT_FALSE(rows.Of(0, -1).ok());
}

// The definition: batch i of all shards together is batch i of the whole dataset, shuffled or not,
// in every small world.
TEST(BatchRows, ShardsTogetherAreTheWhole) {
  int checked = 0;
  for (int64_t row_count = 1; row_count <= 26; ++row_count) {
    for (int64_t num_shards = 1; num_shards <= 4; ++num_shards) {
      for (int64_t batch_size = 1; batch_size <= 5; ++batch_size) {
        for (const bool drop : {true, false}) {
          for (const bool shuffle : {true, false}) {
            BatchOptions all = Options(batch_size * num_shards, drop);
            BatchOptions part = Options(batch_size, drop, num_shards);
            if (shuffle) all.shuffle_seed = part.shuffle_seed = 5;
            const auto whole = BatchRows::Create(row_count, all);
            if (!BatchRows::Create(row_count, part).ok()) continue;
            ASSERT_TRUE(whole.ok());
            for (int64_t i = 0; i < whole->batch_count(); ++i) {
              std::vector<int64_t> together;
              for (part.shard_id = 0; part.shard_id < num_shards; ++part.shard_id) {
                const auto shard = *BatchRows::Create(row_count, part);
                ASSERT_EQ(shard.batch_count(), whole->batch_count());
                const auto rows = *shard.Of(2, i);
                together.insert(together.end(), rows.begin(), rows.end());
              }
              part.shard_id = 0;
              EXPECT_EQ(together, *whole->Of(2, i));
              ++checked;
            }
          }
        }
      }
    }
  }
  EXPECT_GT(checked, 1000);
}

TEST(BatchRows, AnEpochHasEachRowOnce) {
  BatchOptions options = Options(7, false);
  options.shuffle_seed = 1;
  const auto rows = *BatchRows::Create(100, options);
  std::vector<int64_t> first;
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<int64_t> all;
    for (int64_t i = 0; i < rows.batch_count(); ++i) {
      for (const int64_t row : *rows.Of(epoch, i)) all.push_back(row);
    }
    if (epoch == 0) first = all;
    EXPECT_EQ(all == first, epoch == 0);
    std::sort(all.begin(), all.end());
    ASSERT_EQ(all.size(), 100U);
    for (size_t i = 0; i < 100; ++i) EXPECT_EQ(all[i], static_cast<int64_t>(i));
  }
}

}  // namespace
}  // namespace relayout
