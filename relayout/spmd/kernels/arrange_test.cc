// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/kernels/arrange.h"

#include <gtest/gtest.h>

#include <utility>

#include "relayout/spmd/kernels/threads.h"
#include "tests/spmd/testing.h"

namespace relayout::kernels {
namespace {

Dims RandomOrder(oracle::Random& random, size_t count) {
  Dims order;
  for (size_t d = 0; d < count; ++d) order.push_back(static_cast<int64_t>(d));
  for (size_t d = count; d-- > 1;) {
    std::swap(order[d], order[static_cast<size_t>(random.Below(static_cast<int64_t>(d) + 1))]);
  }
  return order;
}

void CheckTranspose(const Array& x, const Dims& order) {
  Array want;
  for (const int64_t dim : order) want.shape.push_back(x.shape[static_cast<size_t>(dim)]);
  want = Array::Zeros(want.shape);
  want.ForEach([&](const Dims& index) {
    Dims from = index;
    for (size_t d = 0; d < order.size(); ++d) from[static_cast<size_t>(order[d])] = index[d];
    want.at(index) = x.at(from);
  });
  Tensor y = Unwritten(want.shape);
  Transpose(ToTensor(x).f32(), order, y.f32());
  ExpectNear(y, want, 0);
  Tensor back = Unwritten(x.shape);
  Transpose(y.f32(), InverseOrder(order), back.f32());
  ExpectNear(back, x, 0);
}

TEST(Transpose, EqualsLoopsAndIsUndone) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    oracle::Random random(seed);
    const auto dims = static_cast<size_t>(random.Below(6));
    // Some are longer than a square.
    const Array x = RandomArray(random, RandomShape(random, dims, dims < 3 ? 40 : 6));
    CheckTranspose(x, RandomOrder(random, dims));
  }
}

TEST(Transpose, IsTheSameOnThreads) {
  oracle::Random random(1);
  for (const int threads : {1, 3}) {
    UseKernelThreads(threads);
    CheckTranspose(RandomArray(random, {301, 407}), {1, 0});
    CheckTranspose(RandomArray(random, {3, 200, 7, 40}), {0, 2, 1, 3});
    CheckTranspose(RandomArray(random, {3, 60, 7, 100}), {0, 2, 3, 1});
  }
  UseKernelThreads(1);
}

struct Cut {
  Dims begin, step, count;
};

Cut RandomCut(oracle::Random& random, const Dims& shape) {
  Cut cut;
  for (const int64_t length : shape) {
    const int64_t step = random.OneIn(2) ? 1 : random.Between(1, 3) * (random.OneIn(2) ? 1 : -1);
    const int64_t begin = random.Below(length);
    const int64_t room = (step > 0 ? length - 1 - begin : begin) / (step > 0 ? step : -step) + 1;
    cut.begin.push_back(begin);
    cut.step.push_back(step);
    cut.count.push_back(random.Between(1, room));
  }
  return cut;
}

TEST(Slice, EqualsLoopsAndPasteIsItsBackward) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    oracle::Random random(seed);
    const Array x = RandomArray(random, RandomShape(random, static_cast<size_t>(seed % 5), 9));
    const Cut cut = RandomCut(random, x.shape);
    Array want = Array::Zeros(cut.count);
    Array pasted = Array::Zeros(x.shape);
    want.ForEach([&](const Dims& index) {
      Dims from = index;
      for (size_t d = 0; d < from.size(); ++d) from[d] = cut.begin[d] + index[d] * cut.step[d];
      want.at(index) = x.at(from);
      pasted.at(from) = x.at(from);
    });
    Tensor y = Unwritten(cut.count);
    Slice(ToTensor(x).f32(), cut.begin, cut.step, y.f32());
    ExpectNear(y, want, 0);
    Tensor dx = Unwritten(x.shape);
    SliceGradient(y.f32(), cut.begin, cut.step, dx.f32());
    ExpectNear(dx, pasted, 0);
  }
}

// A Split in parts, and their Concat.
TEST(Paste, PutsTogetherWhatWasSliced) {
  oracle::Random random(2);
  const Array x = RandomArray(random, {3, 10, 4});
  Tensor whole = Unwritten(x.shape);
  for (const auto& [begin, end] :
       {std::pair{0, 2}, std::pair{2, 2}, std::pair{2, 9}, std::pair{9, 10}}) {
    Tensor part = Unwritten({3, end - begin, 4});
    Slice(ToTensor(x).f32(), {0, begin, 0}, {1, 1, 1}, part.f32());
    Paste(part.f32(), {0, begin, 0}, {1, 1, 1}, whole.f32());
  }
  ExpectNear(whole, x, 0);
}

TEST(SliceDeathTest, RefusesWhatIsOutside) {
  const Tensor x(DType::kFloat32, {4});
  Tensor y(DType::kFloat32, {3});
  EXPECT_DEATH(Slice(x.f32(), {2}, {1}, y.f32()), "begin");
  EXPECT_DEATH(Slice(x.f32(), {1}, {-1}, y.f32()), "begin");
}

TEST(Integers, MoveAsFloatsDo) {
  Tensor x(DType::kInt32, {3, 4});
  for (int64_t i = 0; i < x.size(); ++i) x.i32().data[i] = INT32_MAX - static_cast<int32_t>(i);
  Tensor turned(DType::kInt32, {4, 3});
  Transpose(x.i32(), {1, 0}, turned.i32());
  EXPECT_EQ(turned.i32().data[1 * 3 + 2], INT32_MAX - 9);
  Tensor part(DType::kInt32, {2, 2});
  Slice(x.i32(), {1, 3}, {1, -2}, part.i32());
  EXPECT_EQ(part.i32().data[0], INT32_MAX - 7);
  EXPECT_EQ(part.i32().data[3], INT32_MAX - 9);
  Tensor back(DType::kInt32, {3, 4});
  Paste(part.i32(), {1, 3}, {1, -2}, back.i32());
  EXPECT_EQ(back.i32().data[1 * 4 + 3], INT32_MAX - 7);
  EXPECT_EQ(back.i32().data[2 * 4 + 1], INT32_MAX - 9);
  EXPECT_EQ(back.i32().data[0], 0);
}

TEST(TakeTriangle, EqualsLoops) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    oracle::Random random(seed);
    const Array x =
        RandomArray(random, RandomShape(random, static_cast<size_t>(random.Between(2, 3)), 6));
    const auto triangle = random.OneIn(2) ? Triangle::kLower : Triangle::kUpper;
    const int64_t diagonal = random.Between(-7, 7);
    const int64_t row_begin = random.Below(3);
    Array want = x;
    want.ForEach([&](const Dims& index) {
      const int64_t row = row_begin + index[index.size() - 2];
      const int64_t beyond = index[index.size() - 1] - row - diagonal;
      const bool is_kept = triangle == Triangle::kLower ? beyond <= 0 : beyond >= 0;
      if (!is_kept) want.at(index) = 0;
    });
    Tensor y = Unwritten(x.shape);
    TakeTriangle(ToTensor(x).f32(), triangle, diagonal, row_begin, y.f32());
    ExpectNear(y, want, 0);
    Tensor in_place = ToTensor(x);
    TakeTriangle(in_place.f32(), triangle, diagonal, row_begin, in_place.f32());
    ExpectNear(in_place, want, 0);
  }
}

}  // namespace
}  // namespace relayout::kernels
