// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/kernels/dropout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "relayout/spmd/kernels/arrange.h"
#include "relayout/spmd/kernels/threads.h"
#include "tests/spmd/testing.h"

namespace relayout::kernels {
namespace {

Tensor MaskOf(uint64_t key, double keep, const Dims& whole, const Dims& begin, const Dims& shape) {
  Tensor mask = Unwritten(shape);
  DropoutMask(key, keep, whole, begin, mask.f32());
  return mask;
}

int64_t CountKept(const Tensor& mask) {
  return mask.size() - std::ranges::count(mask.f32().elements(), 0.0F);
}

// Within five standard deviations of what is expected of it.
void ExpectShare(int64_t count, int64_t of, double probability) {
  const double deviation = std::sqrt(probability * (1 - probability) * static_cast<double>(of));
  EXPECT_NEAR(static_cast<double>(count), probability * static_cast<double>(of), 5 * deviation);
}

TEST(DropoutMask, KeepsAsManyAsItShould) {
  const Dims shape = {300, 400};
  for (const double keep : {0.1, 0.5, 0.9}) {
    const Tensor mask = MaskOf(DropoutKey(1, 2, "a", 3), keep, shape, {0, 0}, shape);
    ExpectShare(CountKept(mask), mask.size(), keep);
    for (const float value : mask.f32().elements()) {
      ASSERT_TRUE(value == 0 || value == static_cast<float>(1 / keep));
    }
    // Neighbours, and those below each other, do not know of each other.
    int64_t beside = 0;
    int64_t below = 0;
    const float* const m = mask.f32().data;
    for (int64_t i = 0; i + 400 < mask.size(); ++i) {
      beside += m[i] != 0 && m[i + 1] != 0 ? 1 : 0;
      below += m[i] != 0 && m[i + 400] != 0 ? 1 : 0;
    }
    ExpectShare(beside, mask.size() - 400, keep * keep);
    ExpectShare(below, mask.size() - 400, keep * keep);
  }
  EXPECT_EQ(CountKept(MaskOf(1, 1, shape, {0, 0}, shape)), 120000);
  EXPECT_EQ(CountKept(MaskOf(1, 0, shape, {0, 0}, shape)), 0);
}

TEST(DropoutMask, OfStepsOperatorsAndSeedsIsIndependent) {
  const Dims shape = {100000};
  const auto mask = [&](uint64_t seed, int64_t step, const char* name, int64_t number) {
    return MaskOf(DropoutKey(seed, step, name, number), 0.5, shape, {0}, shape);
  };
  const Tensor one = mask(1, 1, "a", 1);
  for (const Tensor& other :
       {mask(2, 1, "a", 1), mask(1, 2, "a", 1), mask(1, 1, "b", 1), mask(1, 1, "a", 2)}) {
    int64_t both = 0;
    for (int64_t i = 0; i < one.size(); ++i) {
      both += one.f32().data[i] != 0 && other.f32().data[i] != 0 ? 1 : 0;
    }
    ExpectShare(both, one.size(), 0.25);
  }
}

TEST(DropoutMask, OfAPieceIsAPieceOfTheMask) {
  oracle::Random random(3);
  for (int i = 0; i < 100; ++i) {
    const Dims whole = RandomShape(random, static_cast<size_t>(random.Between(1, 4)), 6);
    Dims begin, shape;
    for (const int64_t length : whole) {
      begin.push_back(random.Below(length));
      shape.push_back(random.Between(1, length - begin[begin.size() - 1]));
    }
    const Tensor mask = MaskOf(9, 0.5, whole, Dims::Filled(whole.size(), 0), whole);
    Tensor want = Unwritten(shape);
    Slice(mask.f32(), begin, Dims::Filled(whole.size(), 1), want.f32());
    const Tensor piece = MaskOf(9, 0.5, whole, begin, shape);
    ASSERT_TRUE(std::ranges::equal(piece.f32().elements(), want.f32().elements()));
  }
}

TEST(DropoutMask, IsTheSameOnThreads) {
  UseKernelThreads(3);
  const Tensor on_three = MaskOf(4, 0.5, {500, 300}, {0, 0}, {500, 300});
  UseKernelThreads(1);
  const Tensor on_one = MaskOf(4, 0.5, {500, 300}, {0, 0}, {500, 300});
  EXPECT_TRUE(std::ranges::equal(on_one.f32().elements(), on_three.f32().elements()));
}

// What a run has dropped it drops again after an update of relayout.
TEST(DropoutMask, StaysAsItIs) {
  const Tensor mask =
      MaskOf(DropoutKey(1, 2, "Default/dropout/Dropout-op0", 3), 0.5, {16}, {0}, {16});
  std::string text;
  for (const float value : mask.f32().elements()) text += value == 0 ? '.' : 'x';
  EXPECT_EQ(text, ".x.xxx.xxx...x..");
}

}  // namespace
}  // namespace relayout::kernels
