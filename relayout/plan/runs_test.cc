// SPDX-License-Identifier: Apache-2.0
#include "relayout/plan/runs.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "relayout/base/text.h"
#include "tests/oracle/oracle.h"
#include "tests/oracle/random.h"

namespace relayout {
namespace {

// "3 at 12 22".
std::string RunsText(const Box& container, const Box& box) {
  std::string text = Format("{} at", RunElements(container, box));
  ForEachRun(container, box, [&](int64_t offset) { text += Format(" {}", offset); });
  return text;
}

struct RunsCase {
  Box container;
  Box box;
  size_t first_whole;
  std::string runs;
};

class RunsTest : public testing::TestWithParam<RunsCase> {};

TEST_P(RunsTest, ListsRuns) {
  const RunsCase& c = GetParam();
  EXPECT_EQ(FirstWholeDim(c.container, c.box), c.first_whole);
  EXPECT_EQ(RunsText(c.container, c.box), c.runs);
}

INSTANTIATE_TEST_SUITE_P(
    Table, RunsTest,
    testing::Values(RunsCase{{{0, 0}, {4, 10}}, {{1, 2}, {3, 5}}, 2, "3 at 12 22"},
                    RunsCase{{{0, 0}, {4, 10}}, {{1, 0}, {3, 10}}, 1, "20 at 10"},
                    RunsCase{{{0, 0}, {4, 10}}, {{0, 0}, {4, 10}}, 0, "40 at 0"},
                    // A container that does not begin at zero.
                    RunsCase{{{2, 4}, {4, 8}}, {{3, 4}, {4, 6}}, 2, "2 at 4"},
                    RunsCase{{{}, {}}, {{}, {}}, 0, "1 at 0"},
                    RunsCase{{{0}, {8}}, {{3}, {5}}, 1, "2 at 3"},
                    RunsCase{{{0, 0, 0}, {2, 3, 4}}, {{0, 1, 0}, {2, 2, 4}}, 2, "4 at 4 16"},
                    RunsCase{{{0, 0, 0}, {2, 1, 4}}, {{0, 0, 1}, {2, 1, 2}}, 3, "1 at 1 5"},
                    RunsCase{{{0, 0}, {4, 10}}, {{1, 2}, {3, 2}}, 2, "0 at"}));

TEST(RunsTest, RunsOfRandomBoxesAreTheirElements) {
  oracle::Random random(1);
  for (int i = 0; i < 2000; ++i) {
    oracle::Region container, box;
    const int64_t dim_count = random.Between(0, 4);
    for (int64_t d = 0; d < dim_count; ++d) {
      const int64_t begin = random.Below(3);
      const int64_t end = begin + random.Between(1, 4);
      container.begin.push_back(begin);
      container.end.push_back(end);
      box.begin.push_back(random.Between(begin, end - 1));
      box.end.push_back(random.Between(box.begin.back() + 1, end));
      if (random.OneIn(2)) box.begin.back() = begin, box.end.back() = end;
    }
    std::vector<int64_t> expected;
    for (const oracle::Ints& index : oracle::IndicesOf(box)) {
      oracle::Ints local;
      for (size_t d = 0; d < index.size(); ++d) local.push_back(index[d] - container.begin[d]);
      expected.push_back(oracle::FlatIndex(container.shape(), local));
    }
    std::vector<int64_t> listed;
    const int64_t length = RunElements(oracle::ToBox(container), oracle::ToBox(box));
    int64_t end_of_last = -1;
    ForEachRun(oracle::ToBox(container), oracle::ToBox(box), [&](int64_t offset) {
      EXPECT_GT(offset, end_of_last) << "runs that touch are one run";
      for (int64_t k = 0; k < length; ++k) listed.push_back(offset + k);
      end_of_last = offset + length;
    });
    ASSERT_EQ(listed, expected) << ToText(oracle::ToBox(container)) << ToText(oracle::ToBox(box));
  }
}

}  // namespace
}  // namespace relayout
