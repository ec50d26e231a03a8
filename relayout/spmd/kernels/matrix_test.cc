// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/kernels/matrix.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

#include "relayout/spmd/kernels/threads.h"
#include "tests/spmd/testing.h"

namespace relayout::kernels {
namespace {

int64_t Dim(const Dims& shape, size_t from_end) { return shape[shape.size() - from_end]; }

// By the definition, with broadcast batch dims.
Array NaiveProduct(const Array& a, const Array& b, Transposes transposes, const Dims& batch) {
  Dims shape = batch;
  shape.push_back(Dim(a.shape, transposes.a ? 1 : 2));
  shape.push_back(Dim(b.shape, transposes.b ? 2 : 1));
  Array c = Array::Zeros(shape);
  const int64_t length = Dim(a.shape, transposes.a ? 2 : 1);
  c.ForEach([&](const Dims& index) {
    Dims in_a = index;
    Dims in_b = index;
    const size_t row = index.size() - 2;
    for (int64_t k = 0; k < length; ++k) {
      in_a[row] = transposes.a ? k : index[row];
      in_a[row + 1] = transposes.a ? index[row] : k;
      in_b[row] = transposes.b ? index[row + 1] : k;
      in_b[row + 1] = transposes.b ? k : index[row + 1];
      c.at(index) += a.at(in_a) * b.at(in_b);
    }
  });
  return c;
}

// The dims of one factor: some batch dims left out or 1.
Dims FactorShape(oracle::Random& random, const Dims& batch, int64_t rows, int64_t columns) {
  Dims shape;
  const auto missing = static_cast<size_t>(random.Below(static_cast<int64_t>(batch.size()) + 1));
  for (size_t d = missing; d < batch.size(); ++d) {
    shape.push_back(random.OneIn(3) ? 1 : batch[d]);
  }
  shape.push_back(rows);
  shape.push_back(columns);
  return shape;
}

TEST(BatchMatMul, EqualsLoopsAndDifferences) {
  for (uint64_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(seed);
    oracle::Random random(seed);
    const Transposes transposes{random.OneIn(2), random.OneIn(2)};
    const int64_t m = random.Between(1, 6);
    const int64_t k = random.Between(1, 6);
    const int64_t n = random.Between(1, 6);
    const Dims batch = RandomShape(random, static_cast<size_t>(random.Below(3)), 3);
    const Array a =
        RandomArray(random, FactorShape(random, batch, transposes.a ? k : m, transposes.a ? m : k));
    const Array b =
        RandomArray(random, FactorShape(random, batch, transposes.b ? n : k, transposes.b ? k : n));
    UseKernelThreads(static_cast<int>(random.Between(1, 3)));

    const Operator64 naive = [&](const std::vector<Array>& inputs) {
      return NaiveProduct(inputs[0], inputs[1], transposes, batch);
    };
    const Array want = naive({a, b});
    Tensor c = Unwritten(want.shape);
    BatchMatMul(ToTensor(a).f32(), ToTensor(b).f32(), transposes, c.f32());
    ExpectNear(c, want, 1e-6);

    const Array dc = RandomArray(random, want.shape);
    Tensor da = Unwritten(a.shape);
    Tensor db = Unwritten(b.shape);
    BatchMatMulGradientA(ToTensor(dc).f32(), ToTensor(b).f32(), transposes, da.f32());
    BatchMatMulGradientB(ToTensor(dc).f32(), ToTensor(a).f32(), transposes, db.f32());
    ExpectNear(da, DifferenceGradient(naive, {a, b}, dc, 0), 1e-5);
    ExpectNear(db, DifferenceGradient(naive, {a, b}, dc, 1), 1e-5);
  }
}

TEST(MatMul, OfNothingIsZero) {
  Tensor c = Unwritten({2, 3});
  MatMul(Tensor(DType::kFloat32, {2, 0}).f32(), Tensor(DType::kFloat32, {0, 3}).f32(), {}, c.f32());
  for (const float value : c.f32().elements()) EXPECT_EQ(value, 0);
  Tensor none(DType::kFloat32, {0, 3});
  MatMul(Tensor(DType::kFloat32, {0, 4}).f32(), Tensor(DType::kFloat32, {4, 3}).f32(), {},
         none.f32());
}

// Larger than the blocks of the library, so that its threads and its packing take part.
class LargeMatMul : public testing::TestWithParam<int> {};

TEST_P(LargeMatMul, EqualsLoopsAndItself) {
  oracle::Random random(11);
  const Array a = RandomArray(random, {131, 257});
  const Array b = RandomArray(random, {257, 67});
  const Array want = NaiveProduct(a, b, {}, {});
  UseKernelThreads(GetParam());
  EXPECT_EQ(KernelThreads(), GetParam());
  Tensor first = Unwritten(want.shape);
  MatMul(ToTensor(a).f32(), ToTensor(b).f32(), {}, first.f32());
  ExpectNear(first, want, 3e-6);
  for (int i = 0; i < 20; ++i) {
    Tensor again = Unwritten(want.shape);
    MatMul(ToTensor(a).f32(), ToTensor(b).f32(), {}, again.f32());
    ASSERT_EQ(std::memcmp(first.bytes().data(), again.bytes().data(), first.bytes().size()), 0);
  }
}
INSTANTIATE_TEST_SUITE_P(Threads, LargeMatMul, testing::Values(1, 2, 4));

// Ranks are threads: each has a number of its own, and none waits for another.
TEST(MatMul, RunsOnManyThreadsAtOnce) {
  oracle::Random random(12);
  const Array a = RandomArray(random, {40, 90});
  const Array b = RandomArray(random, {90, 30});
  const Array want = NaiveProduct(a, b, {}, {});
  std::vector<Tensor> results;
  for (int i = 0; i < 8; ++i) results.push_back(Unwritten(want.shape));
  std::vector<int> threads(results.size());
  {
    std::vector<std::jthread> ranks;
    for (size_t i = 0; i < results.size(); ++i) {
      ranks.emplace_back([&, i] {
        UseKernelThreads(1 + static_cast<int>(i % 3));
        for (int run = 0; run < 20; ++run) {
          MatMul(ToTensor(a).f32(), ToTensor(b).f32(), {}, results[i].f32());
        }
        threads[i] = KernelThreads();
      });
    }
  }
  for (size_t i = 0; i < results.size(); ++i) {
    ExpectNear(results[i], want, 2e-6);
    EXPECT_EQ(threads[i], 1 + static_cast<int>(i % 3));
  }
}

TEST(MatMulDeathTest, RefusesShapesThatDoNotFit) {
  const Tensor a(DType::kFloat32, {2, 3});
  Tensor c(DType::kFloat32, {2, 2});
  EXPECT_DEATH(MatMul(a.f32(), a.f32(), {}, c.f32()), "rows");
}

}  // namespace
}  // namespace relayout::kernels
