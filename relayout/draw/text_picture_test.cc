// SPDX-License-Identifier: Apache-2.0
#include "relayout/draw/text_picture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "relayout/layout/notation.h"

namespace relayout {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Layout Parse(const char* text) { return ParseLayout(text).value(); }

std::string Drawn(const char* layout, const TextPictureOptions& options = {}) {
  std::string text = "\n";
  for (const std::string& line : DrawDevices(Parse(layout), options)) text += line + "\n";
  return text;
}

TEST(DrawDevices, AGridOfTwoAxes) {
  EXPECT_EQ(Drawn("{a:2,b:4} (b,-) opt:2"), R"(
        b=0    b=1    b=2    b=3
     +------+------+------+------+
 a=0 | 0 #0 | 1 #2 | 2 #4 | 3 #6 |
     +------+------+------+------+
 a=1 | 4 #1 | 5 #3 | 6 #5 | 7 #7 |
     +------+------+------+------+
)");
}

TEST(DrawDevices, ThreeAxesAndAStageThatBeginsLater) {
  EXPECT_EQ(Drawn("{a:2,b:2,c:2} (-,b)", {.first_rank = 8}), R"(
            b=0             b=1
        c=0     c=1     c=0     c=1
     +-------+-------+-------+-------+
 a=0 |  8 #0 |  9 #0 | 10 #1 | 11 #1 |
     +-------+-------+-------+-------+
 a=1 | 12 #0 | 13 #0 | 14 #1 | 15 #1 |
     +-------+-------+-------+-------+
)");
}

TEST(DrawDevices, BreaksALongAxisToFit) {
  EXPECT_EQ(Drawn("{a:12} (a)", {.width = 60}), R"(
            +0       +1       +2       +3
        +--------+--------+--------+--------+
  a=0-3 |  0 #0  |  1 #1  |  2 #2  |  3 #3  |
        +--------+--------+--------+--------+
  a=4-7 |  4 #4  |  5 #5  |  6 #6  |  7 #7  |
        +--------+--------+--------+--------+
 a=8-11 |  8 #8  |  9 #9  | 10 #10 | 11 #11 |
        +--------+--------+--------+--------+
)");
}

TEST(DrawDevices, ColorsOnlyWhenAsked) {
  EXPECT_EQ(Drawn("{a:4} (a)").find('\x1b'), std::string::npos);
  EXPECT_THAT(Drawn("{a:4} (a)", {.colors = TextColors::kTrueColor}),
              HasSubstr("\x1b[38;2;0;0;0;48;2;112;173;234m 0 #0 \x1b[0m|"));
  EXPECT_THAT(Drawn("{a:4} (a)", {.colors = TextColors::k256}), HasSubstr("\x1b[30;48;5;"));
}

TEST(DrawDevices, StaysWithinTheWidth) {
  for (const char* text : {"{a:64} (a)", "{a:16,b:16} (a,b)", "{a:1000} (a)", "{a:17} (a)",
                           "{a:4,b:4,c:4,d:4} (a,b)", "{a:997} (a)"}) {
    for (const size_t width : {40, 80, 100}) {
      for (const std::string& line : DrawDevices(Parse(text), {.width = width})) {
        EXPECT_LE(line.size(), width) << text << "\n" << line;
      }
    }
  }
}

TEST(ListShards, BoxesWhereTheShapeIsKnown) {
  EXPECT_THAT(ListShards(Parse("{a:2,b:2} (a,-)"), Dims{784, 512}, 4),
              ElementsAre("#0  [0:392,0:512]    ranks 4, 5", "#1  [392:784,0:512]  ranks 6, 7"));
}

TEST(ListShards, FractionsWhereItIsNotOrDoesNotFit) {
  const auto want = ElementsAre("#0  rows 0/2 to 1/2  rank 0", "#1  rows 1/2 to 2/2  rank 1");
  EXPECT_THAT(ListShards(Parse("{a:2} (a,-)"), std::nullopt, 0), want);
  EXPECT_THAT(ListShards(Parse("{a:2} (a,-)"), Dims{5, 5}, 0), want);
  EXPECT_THAT(ListShards(Parse("{a:2} (-,-)"), std::nullopt, 0),
              ElementsAre("#0  the whole  ranks 0, 1"));
  EXPECT_THAT(ListShards(Parse("{a:2} (a,-) rows:5+3"), std::nullopt, 0),
              ElementsAre("#0  rows 0:5  rank 0", "#1  rows 5:8  rank 1"));
}

TEST(ListShards, SaysHowManyMore) {
  EXPECT_THAT(ListShards(Parse("{a:64} (a)"), std::nullopt, 0, 1),
              ElementsAre("#0  dim 0 0/64 to 1/64  rank 0", "... and 63 more shards"));
}

}  // namespace
}  // namespace relayout
