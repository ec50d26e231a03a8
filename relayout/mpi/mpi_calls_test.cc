// SPDX-License-Identifier: Apache-2.0
#include "relayout/mpi/mpi_calls.h"

#include <gtest/gtest.h>
#include <mpi.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

namespace relayout {
namespace {

TEST(MpiCalls, CountsInWindow) {
  struct Case {
    std::vector<int64_t> sizes;
    int64_t begin;
    int64_t end;
    std::vector<int> counts;
  };
  const Case cases[] = {
      {{3, 0, 4}, 0, 7, {3, 0, 4}}, {{3, 0, 4}, 2, 6, {1, 0, 3}},
      {{3, 0, 4}, 0, 3, {3, 0, 0}}, {{3, 0, 4}, 3, 7, {0, 0, 4}},
      {{3, 0, 4}, 3, 3, {0, 0, 0}}, {{5}, 1, 2, {1}},
      {{0, 0}, 0, 0, {0, 0}},       {{}, 0, 0, {}},
  };
  for (const Case& c : cases) EXPECT_EQ(CountsInWindow(c.sizes, c.begin, c.end), c.counts);
}

// Beyond what an int can say, and each byte in exactly one window.
TEST(MpiCalls, WindowsCoverEachByteOnce) {
  const std::vector<int64_t> sizes = {int64_t{5} << 30, 0, 1, (int64_t{3} << 30) + 17};
  const int64_t total = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  const int64_t limit = int64_t{1} << 30;
  std::vector<int64_t> covered(sizes.size(), 0);
  for (int64_t begin = 0; begin < total; begin += limit) {
    const int64_t end = std::min(total, begin + limit);
    const std::vector<int> counts = CountsInWindow(sizes, begin, end);
    EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), int64_t{0}), end - begin);
    for (size_t i = 0; i < sizes.size(); ++i) covered[i] += counts[i];
  }
  EXPECT_EQ(covered, sizes);
}

TEST(MpiCalls, ThreadLevels) {
  EXPECT_TRUE(CheckThreadLevel(MPI_THREAD_MULTIPLE).ok());
  EXPECT_TRUE(CheckThreadLevel(MPI_THREAD_SERIALIZED).ok());
  for (const int level : {MPI_THREAD_FUNNELED, MPI_THREAD_SINGLE}) {
    const Status status = CheckThreadLevel(level);
    EXPECT_EQ(status.code(), StatusCode::kUnsupported);
    EXPECT_NE(status.message().find("MPI_THREAD_SERIALIZED"), std::string::npos);
    EXPECT_NE(status.message().find(level == MPI_THREAD_SINGLE ? "SINGLE," : "FUNNELED,"),
              std::string::npos)
        << status.message();
  }
}

}  // namespace
}  // namespace relayout
