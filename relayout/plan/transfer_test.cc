// SPDX-License-Identifier: Apache-2.0
#include "relayout/plan/transfer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "relayout/layout/notation.h"

namespace relayout {
namespace {

PlacedTensor Place(const char* layout, const Dims& shape, int64_t first_rank = 0) {
  return {.partition = *Partition::Create(*ParseLayout(layout), shape), .first_rank = first_rank};
}

bool Any(int64_t) { return true; }

TEST(PlanTransferTest, MergesEightShardsIntoFour) {
  ReplicaChooser chooser;
  const auto transfer = PlanTransfer({.element_size_bytes = 4,
                                      .sources = {Place("{a:8} (a)", {8})},
                                      .targets = {Place("{a:4} (a)", {8})},
                                      .is_available = Any,
                                      .is_wanted = Any},
                                     chooser);
  ASSERT_TRUE(transfer.ok());
  EXPECT_EQ(transfer->source_ranks, (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(transfer->targets[0].ranks_of_shard,
            (std::vector<std::vector<int64_t>>{{0}, {1}, {2}, {3}}));
  EXPECT_TRUE(transfer->wants_everything());
  EXPECT_EQ(transfer->shape(), Dims({8}));
}

TEST(PlanTransferTest, SpreadsReplicasOverTheFiles) {
  // Eight ranks hold two halves four times; three tensors of two halves each.
  ReplicaChooser chooser;
  std::vector<int64_t> ranks;
  for (int tensor = 0; tensor < 3; ++tensor) {
    const auto transfer = PlanTransfer({.element_size_bytes = 4,
                                        .sources = {Place("{a:4,b:2} (b)", {8})},
                                        .targets = {Place("{} (-)", {8})},
                                        .is_available = Any,
                                        .is_wanted = Any},
                                       chooser);
    ranks.insert(ranks.end(), transfer->source_ranks.begin(), transfer->source_ranks.end());
  }
  EXPECT_EQ(ranks, (std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
}

TEST(PlanTransferTest, ReadsWhatIsWantedOnly) {
  ReplicaChooser chooser;
  const auto transfer = PlanTransfer({.element_size_bytes = 4,
                                      .sources = {Place("{a:8} (a)", {8})},
                                      .targets = {Place("{a:2,b:2} (a)", {8})},
                                      .is_available = Any,
                                      .is_wanted = [](int64_t rank) { return rank == 3; }},
                                     chooser);
  ASSERT_TRUE(transfer.ok());
  EXPECT_EQ(transfer->source_ranks, (std::vector<int64_t>{-1, -1, -1, -1, 4, 5, 6, 7}));
  EXPECT_EQ(transfer->targets[0].ranks_of_shard, (std::vector<std::vector<int64_t>>{{}, {3}}));
  EXPECT_FALSE(transfer->wants_everything());
}

TEST(PlanTransferTest, TakesAnotherStageWhenTheFirstLacksAShard) {
  ReplicaChooser chooser;
  const TransferRequest request{
      .element_size_bytes = 4,
      .sources = {Place("{a:2} (a)", {8}), Place("{a:2,b:2} (b)", {8}, 2)},
      .targets = {Place("{} (-)", {8})},
      .is_available = [](int64_t rank) { return rank != 1 && rank != 2; },
      .is_wanted = Any};
  const auto transfer = PlanTransfer(request, chooser);
  ASSERT_TRUE(transfer.ok());
  EXPECT_EQ(transfer->source.first_rank, 2);
  EXPECT_EQ(transfer->source_ranks, (std::vector<int64_t>{4, 3}));
}

TEST(PlanTransferTest, NamesTheSliceThatIsInNoFile) {
  ReplicaChooser chooser;
  const auto transfer =
      PlanTransfer({.element_size_bytes = 4,
                    .sources = {Place("{a:2,b:2} (b)", {8}, 4)},
                    .targets = {Place("{} (-)", {8})},
                    .is_available = [](int64_t rank) { return rank != 5 && rank != 7; },
                    .is_wanted = Any},
                   chooser);
  ASSERT_FALSE(transfer.ok());
  EXPECT_EQ(transfer.status().code(), StatusCode::kNotFound);
  EXPECT_EQ(transfer.status().message(),
            "the slice [4:8] of [8] should be in the file of rank 5, 7, but is in none");
}

// MindSpore writes no record for a slice without elements, so nobody may ask for one. The planner
// once did, when such a slice lay between two that were needed.
TEST(PlanTransferTest, AsksNobodyForEmptySlices) {
  ReplicaChooser chooser;
  const auto transfer = PlanTransfer({.element_size_bytes = 4,
                                      .sources = {Place("{a:3} (a) rows:4+0+4", {8})},
                                      .targets = {Place("{} (-)", {8})},
                                      .is_available = [](int64_t rank) { return rank != 1; },
                                      .is_wanted = Any},
                                     chooser);
  ASSERT_TRUE(transfer.ok()) << transfer.status().message();
  EXPECT_EQ(transfer->source_ranks, (std::vector<int64_t>{0, -1, 2}));
}

TEST(ReplicaChooserTest, TakesTheLeastLoadedThenTheLowest) {
  ReplicaChooser chooser;
  EXPECT_EQ(chooser.Choose({2, 3}, 10), 2);
  EXPECT_EQ(chooser.Choose({2, 3}, 5), 3);
  EXPECT_EQ(chooser.Choose({2, 3}, 5), 3);
  EXPECT_EQ(chooser.Choose({2, 3}, 1), 2);
  EXPECT_EQ(chooser.Choose({2}, 1), 2);
  EXPECT_EQ(chooser.Choose({2, 3, 9}, 1), 9);
}

TEST(CellRangeTest, CellsOverlapping) {
  const Partition partition = *Partition::Create(*ParseLayout("{a:4,b:2} (a,b)"), {8, 6});
  const CellRange range = CellsOverlapping(partition, {{1, 0}, {5, 3}});
  EXPECT_EQ(range.begin, Dims({0, 0}));
  EXPECT_EQ(range.end, Dims({3, 1}));
  EXPECT_EQ(range.count(), 3);
  EXPECT_EQ(range.IndexOf({2, 0}), 2);
}

TEST(HoldersOfTest, AreGlobalAndAscending) {
  EXPECT_EQ(HoldersOf(Place("{a:2,b:2,c:2} (b)", {4}, 10), 1),
            (std::vector<int64_t>{12, 13, 16, 17}));
}

}  // namespace
}  // namespace relayout
