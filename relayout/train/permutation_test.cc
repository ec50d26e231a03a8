// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/permutation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace relayout {
namespace {

std::vector<int64_t> All(int64_t size, uint64_t seed, int64_t epoch) {
  const Permutation permutation(size, seed, epoch);
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < size; ++i) numbers.push_back(permutation.At(i));
  return numbers;
}

TEST(Permutation, HasEachNumberOnce) {
  for (const int64_t size : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 16, 17, 97, 1000, 1536, 60000}) {
    std::vector<int64_t> numbers = All(size, 1, 0);
    std::sort(numbers.begin(), numbers.end());
    for (int64_t i = 0; i < size; ++i) ASSERT_EQ(numbers[static_cast<size_t>(i)], i) << size;
  }
}

TEST(Permutation, LargeSizesAreFine) {
  const int64_t size = (int64_t{1} << 62) + 1;
  const Permutation permutation(size, 1, 0);
  for (const int64_t position : {int64_t{0}, size / 2, size - 1}) {
    const int64_t x = permutation.At(position);
    EXPECT_TRUE(0 <= x && x < size);
  }
  EXPECT_NE(permutation.At(0), permutation.At(1));
}

TEST(Permutation, SeedsAndEpochsDiffer) {
  const auto first = All(1000, 1, 0);
  EXPECT_EQ(first, All(1000, 1, 0));
  for (const auto& other : {All(1000, 2, 0), All(1000, 1, 1), All(1000, 1, int64_t{1} << 32),
                            All(1000, uint64_t{1} << 32, 0)}) {
    int64_t same = 0;
    for (size_t i = 0; i < 1000; ++i) same += first[i] == other[i];
    EXPECT_LT(same, 10);
  }
}

// Over many epochs each number comes to each position equally often, up to chance: 5 deviations.
TEST(Permutation, NumbersAreEquallyProbable) {
  constexpr int kEpochs = 20'000;
  for (const int64_t size : {2, 3, 5, 10, 12, 30}) {
    std::vector<int> counts(static_cast<size_t>(size * size));
    for (int epoch = 0; epoch < kEpochs; ++epoch) {
      const auto numbers = All(size, 3, epoch);
      for (int64_t i = 0; i < size; ++i) {
        ++counts[static_cast<size_t>(i * size + numbers[static_cast<size_t>(i)])];
      }
    }
    const double want = double{kEpochs} / static_cast<double>(size);
    for (const int count : counts) EXPECT_NEAR(count, want, 5 * std::sqrt(want)) << size;
  }
}

// What follows what: neighbours in the file are not neighbours in the order more often than chance
// has it, which is once in an epoch for each of the two directions.
TEST(Permutation, NeighboursPart) {
  int64_t neighbours = 0;
  for (int epoch = 0; epoch < 1000; ++epoch) {
    const auto numbers = All(1536, 4, epoch);
    for (size_t i = 1; i < numbers.size(); ++i) {
      neighbours += std::abs(numbers[i] - numbers[i - 1]) == 1;
    }
  }
  EXPECT_NEAR(static_cast<double>(neighbours), 2000, 5 * std::sqrt(2000.0));
}

}  // namespace
}  // namespace relayout
