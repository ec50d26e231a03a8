// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/kernels/normalize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "relayout/spmd/kernels/threads.h"
#include "tests/spmd/testing.h"

namespace relayout::kernels {
namespace {

constexpr float kEpsilon = 1e-3F;

// inputs: x, gamma and, for LayerNorm, beta.
Array NaiveNorm(const std::vector<Array>& inputs) {
  const bool centered = inputs.size() == 3;
  const Array& x = inputs[0];
  const int64_t columns = x.shape[1];
  Array y = x;
  for (int64_t row = 0; row < x.shape[0]; ++row) {
    double mean = 0;
    for (int64_t c = 0; c < columns && centered; ++c) mean += x.at({row, c});
    mean /= static_cast<double>(columns);
    double squares = 0;
    for (int64_t c = 0; c < columns; ++c) squares += std::pow(x.at({row, c}) - mean, 2);
    const double deviation =
        std::sqrt(squares / static_cast<double>(columns) + static_cast<double>(kEpsilon));
    for (int64_t c = 0; c < columns; ++c) {
      const auto i = static_cast<size_t>(c);
      y.at({row, c}) = (x.at({row, c}) - mean) / deviation * inputs[1].values[i] +
                       (centered ? inputs[2].values[i] : 0);
    }
  }
  return y;
}

struct Norm {
  Tensor y, mean, inverse, dx, dgamma, dbeta;
};

Norm Normalize(const std::vector<Array>& inputs, const Array& dy) {
  const Tensor x = ToTensor(inputs[0]);
  const Tensor gamma = ToTensor(inputs[1]);
  const Dims rows = {inputs[0].shape[0]};
  Norm norm{Unwritten(x.shape()), Unwritten(rows),          Unwritten(rows),
            ToTensor(dy),         Unwritten(gamma.shape()), Unwritten(gamma.shape())};
  if (inputs.size() == 3) {
    LayerNorm(x.f32(), gamma.f32(), ToTensor(inputs[2]).f32(), kEpsilon, norm.y.f32(),
              norm.mean.f32(), norm.inverse.f32());
    LayerNormGradient(x.f32(), gamma.f32(), norm.mean.f32(), norm.inverse.f32(), norm.dx.f32(),
                      norm.dx.f32(), norm.dgamma.f32(), norm.dbeta.f32());
  } else {
    RmsNorm(x.f32(), gamma.f32(), kEpsilon, norm.y.f32(), norm.inverse.f32());
    RmsNormGradient(x.f32(), gamma.f32(), norm.inverse.f32(), norm.dx.f32(), norm.dx.f32(),
                    norm.dgamma.f32());
  }
  return norm;
}

TEST(Norm, EqualsLoopsAndDifferences) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    oracle::Random random(seed);
    const Dims shape = {random.Between(1, 5), random.Between(2, 40)};
    std::vector<Array> inputs = {RandomArray(random, shape), RandomArray(random, {shape[1]})};
    if (seed % 2 == 0) inputs.push_back(RandomArray(random, {shape[1]}));
    const Array dy = RandomArray(random, shape);
    UseKernelThreads(1 + static_cast<int>(seed % 3));
    const Norm norm = Normalize(inputs, dy);
    ExpectNear(norm.y, NaiveNorm(inputs), 2e-6);
    ExpectNear(norm.dx, DifferenceGradient(NaiveNorm, inputs, dy, 0), 1e-5);
    ExpectNear(norm.dgamma, DifferenceGradient(NaiveNorm, inputs, dy, 1), 1e-5);
    if (inputs.size() == 3) {
      ExpectNear(norm.dbeta, DifferenceGradient(NaiveNorm, inputs, dy, 2), 1e-5);
    }
  }
  UseKernelThreads(1);
}

// More rows and columns than one thread takes.
TEST(Norm, IsTheSameBitsOnThreads) {
  oracle::Random random(8);
  const Dims shape = {700, 200};
  const std::vector<Array> inputs = {RandomArray(random, shape), RandomArray(random, {200}),
                                     RandomArray(random, {200})};
  const Array dy = RandomArray(random, shape);
  UseKernelThreads(1);
  const Norm one = Normalize(inputs, dy);
  UseKernelThreads(3);
  const Norm three = Normalize(inputs, dy);
  UseKernelThreads(1);
  ExpectNear(one.y, NaiveNorm(inputs), 2e-6);
  for (int64_t i = 0; i < one.dx.size(); ++i) {
    ASSERT_EQ(one.dx.f32().data[i], three.dx.f32().data[i]);
  }
  for (int64_t i = 0; i < one.dgamma.size(); ++i) {
    ASSERT_EQ(one.dgamma.f32().data[i], three.dgamma.f32().data[i]);
    ASSERT_EQ(one.dbeta.f32().data[i], three.dbeta.f32().data[i]);
  }
}

// The variance is that of the differences, not a difference of squares.
TEST(LayerNorm, OfRowsFarFromZeroKeepsItsDigits) {
  Array x = Array::Zeros({1, 64});
  for (size_t i = 0; i < 64; ++i) x.values[i] = 10000 + static_cast<double>(i % 2);
  Array ones = Array::Zeros({64});
  for (double& value : ones.values) value = 1;
  const std::vector<Array> inputs = {x, ones, Array::Zeros({64})};
  ExpectNear(Normalize(inputs, x).y, NaiveNorm(inputs), 1e-5);
}

}  // namespace
}  // namespace relayout::kernels
