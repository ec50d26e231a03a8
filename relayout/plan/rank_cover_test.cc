// SPDX-License-Identifier: Apache-2.0
#include "relayout/plan/rank_cover.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdint>
#include <set>
#include <vector>

#include "tests/oracle/random.h"

namespace relayout {
namespace {

using Needs = std::set<std::vector<int64_t>>;

struct CoverCase {
  Needs needs;
  std::vector<int64_t> ranks;
};

class RankCoverTest : public testing::TestWithParam<CoverCase> {};

TEST_P(RankCoverTest, FindsTheSmallestSet) {
  const RankCover cover = SmallestRankCover(GetParam().needs);
  EXPECT_EQ(cover.ranks, GetParam().ranks);
  EXPECT_TRUE(cover.is_minimal);
}

INSTANTIATE_TEST_SUITE_P(
    Table, RankCoverTest,
    testing::Values(CoverCase{{{0, 4}, {1, 5}, {0, 1}}, {0, 1}}, CoverCase{{}, {}},  //
                    CoverCase{{{}}, {}}, CoverCase{{{}, {7}}, {7}},
                    CoverCase{{{3}, {2, 3}, {1, 2, 3}}, {3}},
                    // Greedy takes 1 first and needs three.
                    CoverCase{{{1, 2}, {1, 3}, {2, 4}, {1, 2, 5}, {3, 6}}, {2, 3}}));

// All subsets of ten ranks.
int SmallestByBruteForce(const Needs& needs) {
  int smallest = 99;
  for (uint32_t set = 0; set < 1U << 10; ++set) {
    bool meets_all = true;
    for (const auto& need : needs) {
      bool meets = need.empty();
      for (const int64_t rank : need) meets = meets || (set >> rank & 1) != 0;
      meets_all = meets_all && meets;
    }
    if (meets_all) smallest = std::min(smallest, std::popcount(set));
  }
  return smallest;
}

TEST(RankCoverTest, EqualsBruteForce) {
  oracle::Random random(2);
  for (int i = 0; i < 500; ++i) {
    Needs needs;
    const int64_t count = random.Between(0, 12);
    for (int64_t k = 0; k < count; ++k) {
      std::set<int64_t> need;
      const int64_t size = random.Between(0, 4);
      for (int64_t m = 0; m < size; ++m) need.insert(random.Below(10));
      needs.emplace(need.begin(), need.end());
    }
    const RankCover cover = SmallestRankCover(needs);
    ASSERT_TRUE(cover.is_minimal);
    ASSERT_TRUE(std::is_sorted(cover.ranks.begin(), cover.ranks.end()));
    for (const auto& need : needs) {
      bool met = need.empty();
      for (const int64_t rank : need) {
        met = met || std::binary_search(cover.ranks.begin(), cover.ranks.end(), rank);
      }
      EXPECT_TRUE(met);
    }
    ASSERT_EQ(std::ssize(cover.ranks), SmallestByBruteForce(needs)) << i;
  }
}

TEST(RankCoverTest, EndsSoonOnHardInstances) {
  oracle::Random random(3);
  Needs needs;
  for (int i = 0; i < 300; ++i) {
    std::set<int64_t> need;
    while (need.size() < 3) need.insert(random.Below(100));
    needs.emplace(need.begin(), need.end());
  }
  const auto start = std::chrono::steady_clock::now();
  const RankCover cover = SmallestRankCover(needs);
  EXPECT_FALSE(cover.is_minimal);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
}

}  // namespace
}  // namespace relayout
