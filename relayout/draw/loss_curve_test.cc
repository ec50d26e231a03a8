// SPDX-License-Identifier: Apache-2.0
#include "relayout/draw/loss_curve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace relayout {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(LossCurveSvg, SaysWhatItShows) {
  const std::string svg =
      LossCurveSvg({{"8 ranks", {2.3F, 1.5F, 1}}, {"4 ranks & more", {0.9F, 0.5F}}}, {"Tutorial"});
  EXPECT_THAT(svg, HasSubstr("<title>Tutorial</title>"));
  EXPECT_THAT(svg, HasSubstr("8 ranks: 3 steps, loss 2.3 to 1; 4 ranks &amp; more: 2 steps, loss "
                             "0.9 to 0.5"));
}

// 5 steps over 648 from x = 56; losses up to 2.5 over 272, 0 at y = 312.
TEST(LossCurveSvg, JoinsThePartsWhereOneTakesOver) {
  const std::string svg = LossCurveSvg({{"a", {2.5F, 2, 1}}, {"b", {1, 0}}});
  EXPECT_THAT(svg, HasSubstr(R"(points="56,40 218,94.4 380,203.2")"));
  EXPECT_THAT(svg, HasSubstr(R"(points="380,203.2 542,203.2")"));
  EXPECT_THAT(svg, HasSubstr(R"(points="542,203.2 704,312")"));
  EXPECT_THAT(svg, HasSubstr(R"(<line x1="542" y1="40" x2="542" y2="312" stroke="currentColor" )"
                             R"(stroke-dasharray="4 4"/>)"));
}

TEST(LossCurveSvg, LeavesGapsForWhatIsNoNumber) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::string svg = LossCurveSvg({{"a", {1, 1, nan, 1, 1}}});
  EXPECT_THAT(svg, HasSubstr(R"(points="56,40 218,40")"));
  EXPECT_THAT(svg, HasSubstr(R"(points="542,40 704,40")"));
  EXPECT_THAT(svg, Not(HasSubstr("nan,")));
}

TEST(LossCurveSvg, DrawsNothingOfNothing) {
  EXPECT_THAT(LossCurveSvg({}), HasSubstr("</svg>"));
  EXPECT_THAT(LossCurveSvg({{"a", {}}}), HasSubstr("</svg>"));
  EXPECT_THAT(LossCurveSvg({{"a", {0}}}), HasSubstr(R"(points="56,312")"));
}

}  // namespace
}  // namespace relayout
