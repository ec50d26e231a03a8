// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/kernels/reduce.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "relayout/spmd/kernels/threads.h"
#include "tests/spmd/testing.h"

namespace relayout::kernels {
namespace {

Array NaiveSum(const Array& x, const DimSet& summed, double scale) {
  Array y = Array::Zeros(KeptAsOnes(x.shape, summed));
  x.ForEach([&](const Dims& index) { y.at(index) += scale * x.at(index); });
  return y;
}

TEST(SumOver, EqualsLoopsAndBroadcastIsItsBackward) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    oracle::Random random(seed);
    const Array x = RandomArray(random, RandomShape(random, static_cast<size_t>(seed % 5), 7));
    DimSet summed{};
    for (size_t d = 0; d < x.shape.size(); ++d) summed[d] = random.OneIn(2);
    const Operator64 naive = [&](const std::vector<Array>& inputs) {
      return NaiveSum(inputs[0], summed, 0.25);
    };
    const Array want = naive({x});
    Tensor y = Unwritten(want.shape);
    SumOver(ToTensor(x).f32(), summed, 0.25F, y.f32().data);
    ExpectNear(y, want, 1e-6);

    const Array dy = RandomArray(random, want.shape);
    Tensor dx = Unwritten(x.shape);
    Broadcast(ToTensor(dy).f32(), 0.25F, dx.f32());
    ExpectNear(dx, DifferenceGradient(naive, {x}, dy, 0), 1e-5);
  }
}

// Rows that are longer than a block of lanes, columns that are more than are summed at a time.
TEST(SumOver, IsTheSameBitsOnAnyNumberOfThreads) {
  oracle::Random random(3);
  struct Case {
    Dims shape;
    std::vector<int64_t> axes;
  };
  for (const Case& c : {Case{{600, 333}, {0}}, Case{{600, 333}, {-1}}, Case{{9, 70, 333}, {1}},
                        Case{{9, 70, 333}, {0, 2}}, Case{{200001}, {}}}) {
    const Array x = RandomArray(random, c.shape);
    const DimSet summed = ToDimSet(c.axes, c.shape.size());
    const Array want = NaiveSum(x, summed, 1);
    UseKernelThreads(1);
    Tensor one = Unwritten(want.shape);
    SumOver(ToTensor(x).f32(), summed, 1, one.f32().data);
    ExpectNear(one, want, 1e-6);
    UseKernelThreads(3);
    Tensor three = Unwritten(want.shape);
    SumOver(ToTensor(x).f32(), summed, 1, three.f32().data);
    EXPECT_EQ(std::memcmp(one.bytes().data(), three.bytes().data(), one.bytes().size()), 0);
  }
  UseKernelThreads(1);
}

TEST(SumOver, OfNothingIsZero) {
  Tensor y = Unwritten({3});
  SumOver(Tensor(DType::kFloat32, {3, 0}).f32(), ToDimSet(std::vector<int64_t>{1}, 2), 1,
          y.f32().data);
  for (const float value : y.f32().elements()) EXPECT_EQ(value, 0);
}

TEST(DimSet, CountsFromTheEndAndNoneMeansAll) {
  EXPECT_EQ(KeptAsOnes({4, 5, 6}, ToDimSet(std::vector<int64_t>{-1, 0}, 3)), (Dims{1, 5, 1}));
  EXPECT_EQ(KeptAsOnes({4, 5, 6}, ToDimSet({}, 3)), (Dims{1, 1, 1}));
  EXPECT_EQ(ReducedCount({4, 5, 6}, ToDimSet(std::vector<int64_t>{-1, 0}, 3)), 24);
}

}  // namespace
}  // namespace relayout::kernels
