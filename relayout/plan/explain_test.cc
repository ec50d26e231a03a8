// SPDX-License-Identifier: Apache-2.0
#include "relayout/plan/explain.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/layout/notation.h"
#include "tests/oracle/layouts.h"
#include "tests/oracle/plan_check.h"

namespace relayout {
namespace {

// A layout and the first rank it is on.
struct Place {
  std::string layout;
  int64_t first_rank = 0;
};

struct ExplainCase {
  std::string name;
  std::vector<Place> sources;
  std::vector<Place> targets;
  Dims shape;
  std::set<int64_t> unwanted;
  std::string text;
};

std::vector<PlacedTensor> Placed(const std::vector<Place>& places, const Dims& shape) {
  std::vector<PlacedTensor> placed;
  for (const Place& place : places) {
    placed.push_back({.partition = *Partition::Create(*ParseLayout(place.layout), shape),
                      .first_rank = place.first_rank});
  }
  return placed;
}

Transfer PlanOf(const ExplainCase& c) {
  ReplicaChooser chooser;
  return *PlanTransfer({.element_size_bytes = 4,
                        .sources = Placed(c.sources, c.shape),
                        .targets = Placed(c.targets, c.shape),
                        .is_available = [](int64_t) { return true; },
                        .is_wanted = [&](int64_t rank) { return !c.unwanted.contains(rank); }},
                       chooser);
}

std::vector<std::string> LinesOf(const ExplainCase& c) {
  auto unused = Placed(c.sources, c.shape);
  unused.erase(unused.begin());
  return ExplainTransfer("w", DType::kFloat32, PlanOf(c), unused);
}

std::string TextOf(const ExplainCase& c) {
  std::string text = "\n";
  for (const std::string& line : LinesOf(c)) text += line + "\n";
  return text;
}

class ExplainTest : public testing::TestWithParam<ExplainCase> {};

TEST_P(ExplainTest, Draws) { EXPECT_EQ(TextOf(GetParam()), GetParam().text); }

INSTANTIATE_TEST_SUITE_P(
    Table, ExplainTest,
    testing::Values(
        // The example of the headers.
        ExplainCase{"ColumnsToRows", {{"{a:2} (-,a)"}}, {{"{a:2} (a,-)"}}, {4, 6}, {}, R"(
w: f32[4,6], 96 B
  source  {a:2} (-,a)  ranks 0-1: 2 shards of [4,3]
  target  {a:2} (a,-)  ranks 0-1: 2 shards of [2,6]
  read from ranks 0, 1, written to ranks 0, 1

      0       3       6
    0 #=======|=======#
      # 0 > 0 | 1 > 0 #
    2 #.......|.......#
      # 0 > 1 | 1 > 1 #
    4 #=======|=======#
    down: dim 0, across: dim 1; 3 > 0,2 is read from rank 3 and stored by ranks 0 and 2
    lines: | - a source shard begins, : . a target shard, # = both

  target rank 0 [0:2,0:6] 48 B <- rank 0 [0:2,0:3] (24 B), rank 1 [0:2,3:6] (24 B)
  target rank 1 [2:4,0:6] 48 B <- rank 0 [2:4,0:3] (24 B), rank 1 [2:4,3:6] (24 B)
)"},
        // The example of layout.h: the optimizer split cuts rows.
        ExplainCase{"OptimizerSplit",
                    {{"{a:2,b:2,c:2} (-,b) opt:4"}},
                    {{"{a:2,b:2} (a,-)"}},
                    {784, 512},
                    {},
                    R"(
w: f32[784,512], 1.5 MiB
  source  {a:2,b:2,c:2} (-,b) opt:4  ranks 0-7: 8 shards of [196,256]
  target  {a:2,b:2} (a,-)  ranks 0-3: 2 shards of [392,512], each on 2 ranks
  read from ranks 0-7, written to ranks 0-3

        0         256       512
      0 #=========|=========#
        # 0 > 0,1 | 2 > 0,1 #
    196 #---------|---------#
        # 1 > 0,1 | 3 > 0,1 #
    392 #=========|=========#
        # 4 > 2,3 | 6 > 2,3 #
    588 #---------|---------#
        # 5 > 2,3 | 7 > 2,3 #
    784 #=========|=========#
    down: dim 0, across: dim 1; 3 > 0,2 is read from rank 3 and stored by ranks 0 and 2
    lines: | - a source shard begins, : . a target shard, # = both

  target ranks 0, 1 [0:392,0:512] 784 KiB <- rank 0 [0:196,0:256] (196 KiB),
                                             rank 2 [0:196,256:512] (196 KiB),
                                             rank 1 [196:392,0:256] (196 KiB),
                                             rank 3 [196:392,256:512] (196 KiB)
  target ranks 2, 3 [392:784,0:512] 784 KiB <- rank 4 [392:588,0:256] (196 KiB),
                                               rank 6 [392:588,256:512] (196 KiB),
                                               rank 5 [588:784,0:256] (196 KiB),
                                               rank 7 [588:784,256:512] (196 KiB)
)"},
        // Replicas take turns.
        ExplainCase{"SourceReplicas", {{"{a:2,b:2} (-,b)"}}, {{"{a:4} (a,-)"}}, {8, 4}, {}, R"(
w: f32[8,4], 128 B
  source  {a:2,b:2} (-,b)  ranks 0-3: 2 shards of [8,2], each on 2 ranks
  target  {a:4} (a,-)  ranks 0-3: 4 shards of [2,4]
  read from ranks 0, 1, written to ranks 0-3

      0       2       4
    0 #=======|=======#
      # 0 > 0 | 1 > 0 #
    2 #.......|.......#
      # 0 > 1 | 1 > 1 #
    4 #.......|.......#
      # 0 > 2 | 1 > 2 #
    6 #.......|.......#
      # 0 > 3 | 1 > 3 #
    8 #=======|=======#
    down: dim 0, across: dim 1; 3 > 0,2 is read from rank 3 and stored by ranks 0 and 2
    lines: | - a source shard begins, : . a target shard, # = both

  source shard [0:8,0:2] is on ranks 0, 2; rank 0 is read
  source shard [0:8,2:4] is on ranks 1, 3; rank 1 is read

  target rank 0 [0:2,0:4] 32 B <- rank 0 [0:2,0:2] (16 B), rank 1 [0:2,2:4] (16 B)
  target rank 1 [2:4,0:4] 32 B <- rank 0 [2:4,0:2] (16 B), rank 1 [2:4,2:4] (16 B)
  target rank 2 [4:6,0:4] 32 B <- rank 0 [4:6,0:2] (16 B), rank 1 [4:6,2:4] (16 B)
  target rank 3 [6:8,0:4] 32 B <- rank 0 [6:8,0:2] (16 B), rank 1 [6:8,2:4] (16 B)
)"},
        // A vector lies.
        ExplainCase{"Vector", {{"{a:4} (a)"}}, {{"{a:2} (a)"}}, {8}, {}, R"(
w: f32[8], 32 B
  source  {a:4} (a)  ranks 0-3: 4 shards of [2]
  target  {a:2} (a)  ranks 0-1: 2 shards of [4]
  read from ranks 0-3, written to ranks 0, 1

     0       2       4       6       8
     #=======|=======#=======|=======#
     # 0 > 0 | 1 > 0 # 2 > 1 | 3 > 1 #
     #=======|=======#=======|=======#
    across: dim 0; 3 > 0,2 is read from rank 3 and stored by ranks 0 and 2
    lines: | - a source shard begins, : . a target shard, # = both

  target rank 0 [0:4] 16 B <- rank 0 [0:2] (8 B), rank 1 [2:4] (8 B)
  target rank 1 [4:8] 16 B <- rank 2 [4:6] (8 B), rank 3 [6:8] (8 B)
)"},
        // Only the first of three dims is cut.
        ExplainCase{"Rows", {{"{a:2} (a,-,-)"}}, {{"{} (-,-,-)"}}, {4, 3, 5}, {}, R"(
w: f32[4,3,5], 240 B
  source  {a:2} (a,-,-)  ranks 0-1: 2 shards of [2,3,5]
  target  {} (-,-,-)  rank 0: whole
  read from ranks 0, 1, written to rank 0

    0 #=======#
      # 0 > 0 #
    2 #-------#
      # 1 > 0 #
    4 #=======#
    down: dim 0; 3 > 0,2 is read from rank 3 and stored by ranks 0 and 2
    lines: | - a source shard begins, : . a target shard, # = both

  target rank 0 [0:4,0:3,0:5] 240 B <- rank 0 [0:2,0:3,0:5] (120 B), rank 1 [2:4,0:3,0:5] (120 B)
)"},
        // Nothing to draw.
        ExplainCase{"Scalar", {{"{a:2} ()"}}, {{"{} ()"}}, {}, {}, R"(
w: f32[], 4 B
  source  {a:2} ()  ranks 0-1: whole, each on 2 ranks
  target  {} ()  rank 0: whole
  read from rank 0, written to rank 0

  source shard [] is on ranks 0, 1; rank 0 is read

  target rank 0 [] 4 B <- rank 0 [] (4 B)
)"},
        ExplainCase{"NoElements", {{"{a:2} (a,-)"}}, {{"{} (-,-)"}}, {0, 4}, {}, R"(
w: f32[0,4], 0 B
  source  {a:2} (a,-)  ranks 0-1: 2 shards of [0,4]
  target  {} (-,-)  rank 0: whole
  nothing is copied

  target rank 0 [0:0,0:4]: no elements
)"},
        ExplainCase{"UnevenRows", {{"{a:2} (a,-) rows:5+3"}}, {{"{a:2,b:2} (b,a)"}}, {8, 4}, {}, R"(
w: f32[8,4], 128 B
  source  {a:2} (a,-) rows:5+3  ranks 0-1: 2 shards of unequal rows
  target  {a:2,b:2} (b,a)  ranks 0-3: 4 shards of [4,2]
  read from ranks 0, 1, written to ranks 0-3

      0       2       4
    0 #=======:=======#
      # 0 > 0 : 0 > 2 #
    4 #.......:.......#
      # 0 > 1 : 0 > 3 #
    5 #-------:-------#
      # 1 > 1 : 1 > 3 #
    8 #=======:=======#
    down: dim 0, across: dim 1; 3 > 0,2 is read from rank 3 and stored by ranks 0 and 2
    lines: | - a source shard begins, : . a target shard, # = both

  target rank 0 [0:4,0:2] 32 B <- rank 0 [0:4,0:2] (32 B)
  target rank 1 [4:8,0:2] 32 B <- rank 0 [4:5,0:2] (8 B), rank 1 [5:8,0:2] (24 B)
  target rank 2 [0:4,2:4] 32 B <- rank 0 [0:4,2:4] (32 B)
  target rank 3 [4:8,2:4] 32 B <- rank 0 [4:5,2:4] (8 B), rank 1 [5:8,2:4] (24 B)
)"},
        // Two targets in one picture; the other source is not read.
        ExplainCase{"TiedOverStages",
                    {{"{a:2} (a,-)"}, {"{a:2} (a,-)", 2}},
                    {{"{a:2} (a,-)"}, {"{a:2} (-,a)", 2}},
                    {4, 6},
                    {},
                    R"(
w: f32[4,6], 96 B
  source  {a:2} (a,-)  ranks 0-1: 2 shards of [2,6]
  source  {a:2} (a,-)  ranks 2-3: 2 shards of [2,6]; not read: holds the same
  target  {a:2} (a,-)  ranks 0-1: 2 shards of [2,6]
  target  {a:2} (-,a)  ranks 2-3: 2 shards of [4,3]
  read from ranks 0, 1, written to ranks 0-3

      0         3         6
    0 #=========:=========#
      # 0 > 0,2 : 0 > 0,3 #
    2 #=========:=========#
      # 1 > 1,2 : 1 > 1,3 #
    4 #=========:=========#
    down: dim 0, across: dim 1; 3 > 0,2 is read from rank 3 and stored by ranks 0 and 2
    lines: | - a source shard begins, : . a target shard, # = both

  target rank 0 [0:2,0:6] 48 B <- rank 0 [0:2,0:6] (48 B)
  target rank 1 [2:4,0:6] 48 B <- rank 1 [2:4,0:6] (48 B)
  target rank 2 [0:4,0:3] 48 B <- rank 0 [0:2,0:3] (24 B), rank 1 [2:4,0:3] (24 B)
  target rank 3 [0:4,3:6] 48 B <- rank 0 [0:2,3:6] (24 B), rank 1 [2:4,3:6] (24 B)
)"},
        // Cells that nobody wants stay empty.
        ExplainCase{"OneRankWanted", {{"{a:4} (-,a)"}}, {{"{a:4} (a,-)"}}, {8, 8}, {0, 1, 3}, R"(
w: f32[8,8], 256 B
  source  {a:4} (-,a)  ranks 0-3: 4 shards of [8,2]
  target  {a:4} (a,-)  ranks 0-3: 4 shards of [2,8]
  read from ranks 0-3, written to rank 2

      0       2       4       6       8
    0 #=======|=======|=======|=======#
      #       |       |       |       #
    2 #.......|.......|.......|.......#
      #       |       |       |       #
    4 #.......|.......|.......|.......#
      # 0 > 2 | 1 > 2 | 2 > 2 | 3 > 2 #
    6 #.......|.......|.......|.......#
      #       |       |       |       #
    8 #=======|=======|=======|=======#
    down: dim 0, across: dim 1; 3 > 0,2 is read from rank 3 and stored by ranks 0 and 2
    lines: | - a source shard begins, : . a target shard, # = both

  target rank 2 [4:6,0:8] 64 B <- rank 0 [4:6,0:2] (16 B), rank 1 [4:6,2:4] (16 B),
                                  rank 2 [4:6,4:6] (16 B), rank 3 [4:6,6:8] (16 B)
)"},
        // Two of three are drawn.
        ExplainCase{"ThreeDims", {{"{a:2,b:2} (a,b,-)"}}, {{"{a:2} (-,-,a)"}}, {4, 4, 4}, {}, R"(
w: f32[4,4,4], 256 B
  source  {a:2,b:2} (a,b,-)  ranks 0-3: 4 shards of [2,2,4]
  target  {a:2} (-,-,a)  ranks 0-1: 2 shards of [4,4,2]
  read from ranks 0-3, written to ranks 0, 1

      0       2       4
    0 #=======|=======#
      # 0 > 0 | 1 > 0 #
    2 #-------|-------#
      # 2 > 0 | 3 > 0 #
    4 #=======|=======#
    down: dim 0, across: dim 1; 3 > 0,2 is read from rank 3 and stored by ranks 0 and 2
    lines: | - a source shard begins, : . a target shard, # = both
    dim 2 is cut too; drawn is its first part, 0:2

  target rank 0 [0:4,0:4,0:2] 128 B <- rank 0 [0:2,0:2,0:2] (32 B), rank 1 [0:2,2:4,0:2] (32 B),
                                       rank 2 [2:4,0:2,0:2] (32 B), rank 3 [2:4,2:4,0:2] (32 B)
  target rank 1 [0:4,0:4,2:4] 128 B <- rank 0 [0:2,0:2,2:4] (32 B), rank 1 [0:2,2:4,2:4] (32 B),
                                       rank 2 [2:4,0:2,2:4] (32 B), rank 3 [2:4,2:4,2:4] (32 B)
)"},
        // A page, not ten thousand lines.
        ExplainCase{
            "ManyRanks", {{"{a:32,b:32} (a,b)"}}, {{"{a:64,b:16} (b,-)"}}, {8192, 8192}, {}, R"(
w: f32[8192,8192], 256 MiB
  source  {a:32,b:32} (a,b)  ranks 0-1023: 1024 shards of [256,256]
  target  {a:64,b:16} (b,-)  ranks 0-1023: 16 shards of [512,8192], each on 64 ranks
  read from ranks 0-1023, written to ranks 0-1023

         0            256          512          768          1024         1280         1536         1792
       0 #============|============|============|============|============|============|============|
         #  0 > 0+63  |  1 > 0+63  |  2 > 0+63  |  3 > 0+63  |  4 > 0+63  |  5 > 0+63  |  6 > 0+63  |
     256 #------------|------------|------------|------------|------------|------------|------------|
         # 32 > 0+63  | 33 > 0+63  | 34 > 0+63  | 35 > 0+63  | 36 > 0+63  | 37 > 0+63  | 38 > 0+63  |
     512 #============|============|============|============|============|============|============|
         # 64 > 1+63  | 65 > 1+63  | 66 > 1+63  | 67 > 1+63  | 68 > 1+63  | 69 > 1+63  | 70 > 1+63  |
     768 #------------|------------|------------|------------|------------|------------|------------|
         # 96 > 1+63  | 97 > 1+63  | 98 > 1+63  | 99 > 1+63  | 100 > 1+63 | 101 > 1+63 | 102 > 1+63 |
    1024 #============|============|============|============|============|============|============|
         # 128 > 2+63 | 129 > 2+63 | 130 > 2+63 | 131 > 2+63 | 132 > 2+63 | 133 > 2+63 | 134 > 2+63 |
    1280 #------------|------------|------------|------------|------------|------------|------------|
         # 160 > 2+63 | 161 > 2+63 | 162 > 2+63 | 163 > 2+63 | 164 > 2+63 | 165 > 2+63 | 166 > 2+63 |
    1536 #============|============|============|============|============|============|============|
         # 192 > 3+63 | 193 > 3+63 | 194 > 3+63 | 195 > 3+63 | 196 > 3+63 | 197 > 3+63 | 198 > 3+63 |
    1792 #------------|------------|------------|------------|------------|------------|------------|
         # 224 > 3+63 | 225 > 3+63 | 226 > 3+63 | 227 > 3+63 | 228 > 3+63 | 229 > 3+63 | 230 > 3+63 |
    2048 #============|============|============|============|============|============|============|
         # 256 > 4+63 | 257 > 4+63 | 258 > 4+63 | 259 > 4+63 | 260 > 4+63 | 261 > 4+63 | 262 > 4+63 |
    2304 #------------|------------|------------|------------|------------|------------|------------|
         # 288 > 4+63 | 289 > 4+63 | 290 > 4+63 | 291 > 4+63 | 292 > 4+63 | 293 > 4+63 | 294 > 4+63 |
    2560 #============|============|============|============|============|============|============|
         # 320 > 5+63 | 321 > 5+63 | 322 > 5+63 | 323 > 5+63 | 324 > 5+63 | 325 > 5+63 | 326 > 5+63 |
    2816 #------------|------------|------------|------------|------------|------------|------------|
         # 352 > 5+63 | 353 > 5+63 | 354 > 5+63 | 355 > 5+63 | 356 > 5+63 | 357 > 5+63 | 358 > 5+63 |
    3072 #============|============|============|============|============|============|============|
    down: dim 0, across: dim 1; 3 > 0,2 is read from rank 3 and stored by ranks 0 and 2
    0+63 are rank 0 and 63 more
    lines: | - a source shard begins, : . a target shard, # = both
    drawn are the first 12 of 32 rows and the first 7 of 32 columns

  target ranks 0, 16, 32 and 61 more [0:512,0:8192] 16 MiB <-
      rank 0 [0:256,0:256] (256 KiB), rank 1 [0:256,256:512] (256 KiB),
      rank 2 [0:256,512:768] (256 KiB), rank 3 [0:256,768:1024] (256 KiB),
      rank 4 [0:256,1024:1280] (256 KiB), rank 5 [0:256,1280:1536] (256 KiB),
      rank 6 [0:256,1536:1792] (256 KiB), rank 7 [0:256,1792:2048] (256 KiB), and 56 more
  target ranks 1, 17, 33 and 61 more [512:1024,0:8192] 16 MiB <-
      rank 64 [512:768,0:256] (256 KiB), rank 65 [512:768,256:512] (256 KiB),
      rank 66 [512:768,512:768] (256 KiB), rank 67 [512:768,768:1024] (256 KiB),
      rank 68 [512:768,1024:1280] (256 KiB), rank 69 [512:768,1280:1536] (256 KiB),
      rank 70 [512:768,1536:1792] (256 KiB), rank 71 [512:768,1792:2048] (256 KiB), and 56 more
  target ranks 2, 18, 34 and 61 more [1024:1536,0:8192] 16 MiB <-
      rank 128 [1024:1280,0:256] (256 KiB), rank 129 [1024:1280,256:512] (256 KiB),
      rank 130 [1024:1280,512:768] (256 KiB), rank 131 [1024:1280,768:1024] (256 KiB),
      rank 132 [1024:1280,1024:1280] (256 KiB), rank 133 [1024:1280,1280:1536] (256 KiB),
      rank 134 [1024:1280,1536:1792] (256 KiB), rank 135 [1024:1280,1792:2048] (256 KiB),
      and 56 more
  target ranks 3, 19, 35 and 61 more [1536:2048,0:8192] 16 MiB <-
      rank 192 [1536:1792,0:256] (256 KiB), rank 193 [1536:1792,256:512] (256 KiB),
      rank 194 [1536:1792,512:768] (256 KiB), rank 195 [1536:1792,768:1024] (256 KiB),
      rank 196 [1536:1792,1024:1280] (256 KiB), rank 197 [1536:1792,1280:1536] (256 KiB),
      rank 198 [1536:1792,1536:1792] (256 KiB), rank 199 [1536:1792,1792:2048] (256 KiB),
      and 56 more
  target ranks 4, 20, 36 and 61 more [2048:2560,0:8192] 16 MiB <-
      rank 256 [2048:2304,0:256] (256 KiB), rank 257 [2048:2304,256:512] (256 KiB),
      rank 258 [2048:2304,512:768] (256 KiB), rank 259 [2048:2304,768:1024] (256 KiB),
      rank 260 [2048:2304,1024:1280] (256 KiB), rank 261 [2048:2304,1280:1536] (256 KiB),
      rank 262 [2048:2304,1536:1792] (256 KiB), rank 263 [2048:2304,1792:2048] (256 KiB),
      and 56 more
  ... and 11 more target shards
)"}),
    [](const auto& info) { return info.param.name; });

TEST(ExplainTest, IsAPageHoweverManyRanks) {
  for (const char* layout : {"{a:1024} (a,-)", "{a:1024} (-,a)", "{a:32,b:32} (a,b)",
                             "{a:1024} (-,-) opt:all", "{a:2,b:512} (-,a) opt:4"}) {
    const ExplainCase c{"", {{layout}}, {{"{a:64,b:16} (b,a)"}}, {65536, 65536}, {}, ""};
    const auto lines = LinesOf(c);
    EXPECT_LT(lines.size(), 90U) << layout;
    EXPECT_GT(lines.size(), 20U) << layout;
    for (const std::string& line : lines) EXPECT_LE(line.size(), 110U) << line;
  }
}

std::vector<PlacedTensor> PlacedOf(const std::vector<oracle::PlacedSpec>& specs,
                                   const oracle::Ints& shape) {
  Dims dims;
  for (const int64_t dim : shape) dims.push_back(dim);
  std::vector<PlacedTensor> placed;
  for (const oracle::PlacedSpec& spec : specs) {
    placed.push_back({.partition = *Partition::Create(*Layout::Create(spec.spec), dims),
                      .first_rank = spec.first_rank});
  }
  return placed;
}

// @post of CopiesInto, for plans of all kinds: disjoint boxes of the shard, in its own number.
TEST(ExplainTest, CopiesMakeUpEachShard) {
  int64_t copy_count = 0;
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    oracle::Random random(seed);
    const oracle::PlanCase c = oracle::RandomPlanCase(random);
    ReplicaChooser chooser;
    const auto transfer =
        PlanTransfer({.element_size_bytes = c.element_size_bytes,
                      .sources = PlacedOf(c.sources, c.shape),
                      .targets = PlacedOf(c.targets, c.shape),
                      .is_available = [&](int64_t r) { return !c.unavailable.contains(r); },
                      .is_wanted = [&](int64_t r) { return !c.unwanted.contains(r); }},
                     chooser);
    if (!transfer.ok()) continue;
    for (size_t t = 0; t < transfer->targets.size(); ++t) {
      const TransferTarget& target = transfer->targets[t];
      for (size_t shard = 0; shard < target.ranks_of_shard.size(); ++shard) {
        if (target.ranks_of_shard[shard].empty()) continue;
        const Layout& layout = target.placed.partition.layout();
        const Box box =
            target.placed.partition.BoxOf(layout.CellOfShard(static_cast<int64_t>(shard)));
        int64_t covered = 0;
        const auto copies = CopiesInto(*transfer, t, static_cast<int64_t>(shard));
        for (size_t i = 0; i < copies.size(); ++i) {
          EXPECT_EQ(Intersect(copies[i].box, box), copies[i].box);
          EXPECT_NE(copies[i].source_rank, Transfer::kNoRank);
          for (size_t j = 0; j < i; ++j) {
            EXPECT_EQ(Intersect(copies[i].box, copies[j].box).volume(), 0);
          }
          covered += copies[i].box.volume();
          ++copy_count;
        }
        ASSERT_EQ(covered, box.volume()) << "seed " << seed;
      }
    }
  }
  EXPECT_GT(copy_count, 10'000);
}

}  // namespace
}  // namespace relayout
