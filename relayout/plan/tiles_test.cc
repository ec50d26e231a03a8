// SPDX-License-Identifier: Apache-2.0
#include "relayout/plan/tiles.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/layout/notation.h"
#include "tests/oracle/layouts.h"
#include "tests/oracle/plan_check.h"

namespace relayout {
namespace {

PlacedTensor Place(const std::string& layout, const Dims& shape) {
  return {.partition = *Partition::Create(*ParseLayout(layout), shape)};
}

struct TilesCase {
  std::string source;
  std::string target;
  Dims shape;
  TileOptions options;
  std::string tiles;
};

// One line a tile: "gather [0:2,0:8] from 0[0:2,0:4] 1[0:2,4:8] to 0[0:2,0:8]".
std::string TilesText(const TilesCase& c) {
  ReplicaChooser chooser;
  const auto transfer = PlanTransfer({.element_size_bytes = 4,
                                      .sources = {Place(c.source, c.shape)},
                                      .targets = {Place(c.target, c.shape)},
                                      .is_available = [](int64_t) { return true; },
                                      .is_wanted = [](int64_t) { return true; }},
                                     chooser);
  std::string text;
  TileCursor cursor(*transfer, c.options);
  while (const auto tile = cursor.Next()) {
    text += Format("{} {} from", tile->direct ? "direct" : "gather", ToText(tile->box));
    for (const ShardPiece& piece : tile->sources) {
      text += Format(" {}{}", piece.shard, ToText(piece.box));
    }
    text += " to";
    for (const TargetPiece& target : tile->targets) {
      text += Format(" {}{}", target.piece.shard, ToText(target.piece.box));
    }
    text += "\n";
  }
  return text;
}

class TilesTest : public testing::TestWithParam<TilesCase> {};

TEST_P(TilesTest, ListsTiles) { EXPECT_EQ(TilesText(GetParam()), GetParam().tiles); }

constexpr TileOptions kSmall = {
    .gather_bytes = 64, .min_direct_bytes = 64, .max_direct_bytes = 128};

INSTANTIATE_TEST_SUITE_P(
    Table, TilesTest,
    testing::Values(
        // The example of tiles.h.
        TilesCase{"{a:2} (-,a)",
                  "{} (-,-)",
                  {8, 8},
                  kSmall,
                  "gather [0:2,0:8] from 0[0:2,0:4] 1[0:2,4:8] to 0[0:2,0:8]\n"
                  "gather [2:4,0:8] from 0[2:4,0:4] 1[2:4,4:8] to 0[2:4,0:8]\n"
                  "gather [4:6,0:8] from 0[4:6,0:4] 1[4:6,4:8] to 0[4:6,0:8]\n"
                  "gather [6:8,0:8] from 0[6:8,0:4] 1[6:8,4:8] to 0[6:8,0:8]\n"},
        // Rows move as they are, in pieces of at most 128 bytes.
        TilesCase{"{a:2} (a,-)",
                  "{} (-,-)",
                  {8, 12},
                  kSmall,
                  "direct [0:2,0:12] from 0[0:2,0:12] to 0[0:2,0:12]\n"
                  "direct [2:4,0:12] from 0[2:4,0:12] to 0[2:4,0:12]\n"
                  "direct [4:6,0:12] from 1[4:6,0:12] to 0[4:6,0:12]\n"
                  "direct [6:8,0:12] from 1[6:8,0:12] to 0[6:8,0:12]\n"},
        // Long runs are worth a write each.
        TilesCase{"{a:2} (-,a)",
                  "{} (-,-)",
                  {2, 64},
                  kSmall,
                  "direct [0:1,0:32] from 0[0:1,0:32] to 0[0:1,0:32]\n"
                  "direct [0:1,32:64] from 1[0:1,32:64] to 0[0:1,32:64]\n"
                  "direct [1:2,0:32] from 0[1:2,0:32] to 0[1:2,0:32]\n"
                  "direct [1:2,32:64] from 1[1:2,32:64] to 0[1:2,32:64]\n"},
        TilesCase{"{a:2} ()", "{} ()", {}, kSmall, "direct [] from 0[] to 0[]\n"},
        TilesCase{"{a:2} (a)", "{} (-)", {0}, kSmall, ""}));

TEST(TilesTest, CoverEachWantedElementOnce) {
  oracle::PlanCounts counts;
  for (uint64_t seed = 0; seed < 8000; ++seed) {
    oracle::Random random(seed);
    const oracle::PlanCase plan_case = oracle::RandomPlanCase(random);
    ASSERT_EQ(oracle::CheckPlan(plan_case, &counts), "") << "seed " << seed << "\n"
                                                         << oracle::Describe(plan_case);
  }
  // The cases are of all kinds.
  EXPECT_GT(counts.direct_tiles, 10'000);
  EXPECT_GT(counts.gather_tiles, 10'000);
  EXPECT_GT(counts.refused, 100);
}

// Every layout of four devices into every other, in tiles of one row.
TEST(TilesTest, EveryLayoutOfFourDevices) {
  for (size_t dim_count = 1; dim_count <= 3; ++dim_count) {
    const auto layouts = oracle::AllLayouts(4, dim_count);
    for (const LayoutSpec& from : layouts) {
      for (const LayoutSpec& to : layouts) {
        oracle::PlanCase plan_case{.sources = {{from}},
                                   .targets = {{to}},
                                   .shape = oracle::CommonShape({from, to}, dim_count),
                                   .element_size_bytes = 2,
                                   .unwanted = {},
                                   .unavailable = {},
                                   .options = {.gather_bytes = 8, .min_direct_bytes = 8}};
        plan_case.shape.back() *= 2;
        ASSERT_EQ(oracle::CheckPlan(plan_case), "") << oracle::Describe(plan_case);
        plan_case.unwanted = {0, 3};
        ASSERT_EQ(oracle::CheckPlan(plan_case), "") << oracle::Describe(plan_case);
      }
    }
  }
}

}  // namespace
}  // namespace relayout
