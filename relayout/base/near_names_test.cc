// SPDX-License-Identifier: Apache-2.0
#include "relayout/base/near_names.h"

#include <gtest/gtest.h>

namespace relayout {
namespace {

TEST(NearNamesTest, EditDistance) {
  struct Case {
    const char* a;
    const char* b;
    size_t distance;
  };
  for (const Case& c : {Case{"", "", 0},
                        {"", "abc", 3},
                        {"abc", "", 3},
                        {"abc", "abc", 0},
                        {"abc", "axc", 1},
                        {"abc", "ab", 1},
                        {"kitten", "sitting", 3}}) {
    EXPECT_EQ(EditDistance(c.a, c.b), c.distance) << c.a << " " << c.b;
    EXPECT_EQ(EditDistance(c.b, c.a), c.distance) << c.b << " " << c.a;
  }
}

TEST(NearNamesTest, FindsWhatWasMeant) {
  const std::vector<std::string> names = {"layer1.weight", "layer2.weight", "moment.layer1.weight",
                                          "embedding", "b"};
  struct Case {
    std::string wanted;
    std::vector<std::string> best;
  };
  for (const Case& c : {Case{"layer1.weigth", {"layer1.weight", "layer2.weight"}},
                        {"layer1", {"layer1.weight", "moment.layer1.weight"}},
                        {"embeding", {"embedding"}},
                        {"nothing alike", {}},
                        {"", {}}}) {
    NearNames near(c.wanted);
    for (const std::string& name : names) near.Consider(name);
    EXPECT_EQ(near.Best(), c.best) << c.wanted;
  }
}

TEST(NearNamesTest, KeepsTheNearestOfMany) {
  NearNames near("layer.weight");
  for (int i = 0; i < 1000; ++i) near.Consider("layer.weight" + std::to_string(i));
  near.Consider("layer.weight");
  ASSERT_EQ(near.Best(2), (std::vector<std::string>{"layer.weight0", "layer.weight1"}));
  EXPECT_EQ(near.Best(1000).size(), 32U);
}

}  // namespace
}  // namespace relayout
