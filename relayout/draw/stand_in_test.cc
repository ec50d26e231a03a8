// SPDX-License-Identifier: Apache-2.0
#include "relayout/draw/stand_in.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "relayout/layout/notation.h"

namespace relayout {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Layout Parse(const char* text) { return ParseLayout(text).value(); }

TEST(StandInShape, IsTheLeastThatAllDivide) {
  EXPECT_EQ(StandInShape({Parse("{a:8} (a,-)"), Parse("{a:6} (a,-)")}).value(), (Dims{24, 1}));
  EXPECT_EQ(StandInShape({Parse("{a:2,b:4} (b,-) opt:2"), Parse("{a:2,b:2} (a,b)")}).value(),
            (Dims{8, 2}));
  EXPECT_EQ(StandInShape({Parse("{a:2} (a,-) rows:5+3"), Parse("{a:4} (a,-)")}).value(),
            (Dims{8, 1}));
  EXPECT_EQ(StandInShape({Parse("{a:2} ()")}).value(), Dims{});
}

TEST(StandInShape, RefusesWhatCannotBeOneTensor) {
  const auto dims = StandInShape({Parse("{a:8} (a,-)"), Parse("{a:8} (a)")});
  ASSERT_FALSE(dims.ok());
  EXPECT_EQ(dims.status().message(), "{a:8} (a,-) has 2 dimensions, but {a:8} (a) has 1");
  const auto rows = StandInShape({Parse("{a:2} (a,-) rows:5+2"), Parse("{a:4} (a,-)")});
  ASSERT_FALSE(rows.ok());
  EXPECT_THAT(rows.status().message(), HasSubstr("7 is not divisible by 4"));
}

TEST(StandInShape, RefusesCutsWithoutACommonMultiple) {
  // Primes near 2^31: three of them are beyond 63 bits.
  const std::vector<Layout> layouts = {Parse("{a:2147483647} (a)"), Parse("{a:2147483629} (a)"),
                                       Parse("{a:2147483587} (a)")};
  const auto shape = StandInShape(layouts);
  ASSERT_FALSE(shape.ok());
  EXPECT_EQ(shape.status().code(), StatusCode::kUnsupported);
}

TEST(PlanOnStandIn, ReadsTheLowestOfThoseThatHoldTheSame) {
  const ParameterForm from{.layout = Parse("{a:2,b:2} (b,-)"), .whole_shape = {}};
  const ParameterForm to{.layout = Parse("{a:4} (a,-)"), .whole_shape = {}};
  const Transfer transfer = PlanOnStandIn({{.stage = 1, .first_rank = 4, .parameter = &from}},
                                          {{.stage = 0, .first_rank = 0, .parameter = &to}})
                                .value();
  EXPECT_EQ(transfer.shape(), (Dims{4, 1}));
  EXPECT_THAT(transfer.source_ranks, ElementsAre(4, 5));
  EXPECT_THAT(transfer.targets[0].ranks_of_shard[3], ElementsAre(3));
}

}  // namespace
}  // namespace relayout
