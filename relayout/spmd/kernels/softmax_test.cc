// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/kernels/softmax.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "relayout/spmd/kernels/arrange.h"
#include "relayout/spmd/kernels/threads.h"
#include "tests/spmd/testing.h"

namespace relayout::kernels {
namespace {

Array NaiveSoftmax(const Array& x, size_t axis, bool logarithm) {
  Dims rows = x.shape;
  rows[axis] = 1;
  Array max = Array::Zeros(rows);
  Array sum = Array::Zeros(rows);
  for (double& value : max.values) value = -1e30;
  x.ForEach([&](const Dims& i) { max.at(i) = std::max(max.at(i), x.at(i)); });
  x.ForEach([&](const Dims& i) { sum.at(i) += std::exp(x.at(i) - max.at(i)); });
  Array y = x;
  y.ForEach([&](const Dims& i) {
    const double shifted = x.at(i) - max.at(i);
    y.at(i) = logarithm ? shifted - std::log(sum.at(i)) : std::exp(shifted) / sum.at(i);
  });
  return y;
}

TEST(Softmax, EqualsLoopsAndDifferences) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    oracle::Random random(seed);
    const bool logarithm = seed % 2 == 0;
    const Array x =
        RandomArray(random, RandomShape(random, static_cast<size_t>(random.Between(1, 3)), 9), 8);
    const auto axis = static_cast<size_t>(random.Below(static_cast<int64_t>(x.shape.size())));
    const Operator64 naive = [&](const std::vector<Array>& inputs) {
      return NaiveSoftmax(inputs[0], axis, logarithm);
    };
    Tensor y = Unwritten(x.shape);
    (logarithm ? LogSoftmax : Softmax)(ToTensor(x).f32(), axis, y.f32());
    ExpectNear(y, naive({x}), 1e-6);
    const Array dy = RandomArray(random, x.shape);
    Tensor dx = ToTensor(dy);
    (logarithm ? LogSoftmaxGradient : SoftmaxGradient)(y.f32(), dx.f32(), axis, dx.f32());
    ExpectNear(dx, DifferenceGradient(naive, {x}, dy, 0), 1e-5);
  }
}

TEST(Softmax, OfLargeNumbersDoesNotOverflow) {
  Tensor x(DType::kFloat32, {1, 3});
  x.f32().data[0] = 1e30F;
  x.f32().data[1] = 1e30F;
  x.f32().data[2] = -1e30F;
  Softmax(x.f32(), 1, x.f32());
  EXPECT_EQ(x.f32().data[0], 0.5F);
  EXPECT_EQ(x.f32().data[1], 0.5F);
  EXPECT_EQ(x.f32().data[2], 0);
}

TEST(Softmax, IsTheSameOnThreads) {
  oracle::Random random(2);
  const Array x = RandomArray(random, {600, 150}, 8);
  const Array want = NaiveSoftmax(x, 1, false);
  for (const int threads : {1, 3}) {
    UseKernelThreads(threads);
    Tensor y = Unwritten(x.shape);
    Softmax(ToTensor(x).f32(), 1, y.f32());
    ExpectNear(y, want, 1e-6);
  }
  UseKernelThreads(1);
}

// The classes of one rank.
struct Part {
  Tensor x, y, dy, dx;
  std::vector<float> row;  // What was reduced last.
};

Tensor Columns(const Array& whole, int64_t begin, int64_t end) {
  Tensor part(DType::kFloat32, {whole.shape[0], end - begin});
  Slice(ToTensor(whole).f32(), {0, begin}, {1, 1}, part.f32());
  return part;
}

template <typename Reduce>
std::vector<float> AllReduce(const std::vector<Part>& parts, const Reduce& reduce) {
  std::vector<float> all = parts[0].row;
  for (size_t p = 1; p < parts.size(); ++p) {
    for (size_t i = 0; i < all.size(); ++i) all[i] = reduce(all[i], parts[p].row[i]);
  }
  return all;
}

// Ranks with 4, 0 and 7 of 11 classes, as softmax.h says.
TEST(Softmax, OfCutClassesIsThatOfTheWhole) {
  oracle::Random random(4);
  const Array x = RandomArray(random, {6, 11}, 8);
  const Array dy = RandomArray(random, x.shape);
  const auto larger = [](float a, float b) { return std::max(a, b); };
  const auto plus = [](float a, float b) { return a + b; };
  const int64_t ends[] = {0, 4, 4, 11};
  for (const bool logarithm : {false, true}) {
    SCOPED_TRACE(logarithm);
    std::vector<Part> parts(3);
    for (size_t p = 0; p < 3; ++p) {
      Part& part = parts[p];
      part.x = Columns(x, ends[p], ends[p + 1]);
      part.dy = Columns(dy, ends[p], ends[p + 1]);
      part.y = Unwritten(part.x.shape());
      part.dx = Unwritten(part.x.shape());
      part.row.assign(static_cast<size_t>(RowCount(part.x.shape(), 1)), 0);
      MaxOver(part.x.f32(), 1, part.row.data());
    }
    const std::vector<float> max = AllReduce(parts, larger);
    for (Part& part : parts) {
      ExpOver(part.x.f32(), 1, max.data(), part.y.f32(), part.row.data());
    }
    const std::vector<float> sum = AllReduce(parts, plus);
    for (Part& part : parts) {
      if (logarithm) {
        LogOver(part.x.f32(), 1, max.data(), sum.data(), part.y.f32());
        TotalOver(part.dy.f32(), 1, part.row.data());
      } else {
        DivideOver(part.y.f32(), 1, sum.data());
        DotOver(part.y.f32(), part.dy.f32(), 1, part.row.data());
      }
    }
    const std::vector<float> total = AllReduce(parts, plus);
    Tensor y = Unwritten(x.shape);
    Tensor dx = Unwritten(x.shape);
    for (size_t p = 0; p < 3; ++p) {
      Part& part = parts[p];
      (logarithm ? LogSoftmaxGradientOver : SoftmaxGradientOver)(part.y.f32(), part.dy.f32(), 1,
                                                                 total.data(), part.dx.f32());
      if (ends[p] == ends[p + 1]) continue;
      Paste(part.y.f32(), {0, ends[p]}, {1, 1}, y.f32());
      Paste(part.dx.f32(), {0, ends[p]}, {1, 1}, dx.f32());
    }
    const Operator64 naive = [&](const std::vector<Array>& inputs) {
      return NaiveSoftmax(inputs[0], 1, logarithm);
    };
    ExpectNear(y, naive({x}), 1e-6);
    ExpectNear(dx, DifferenceGradient(naive, {x}, dy, 0), 1e-5);
  }
}

}  // namespace
}  // namespace relayout::kernels
