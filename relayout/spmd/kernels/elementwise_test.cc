// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/kernels/elementwise.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "relayout/spmd/kernels/threads.h"
#include "tests/spmd/testing.h"

namespace relayout::kernels {
namespace {

using Kernel = void (*)(const View<const float>&, const View<const float>&, const View<float>&);
using Formula = double (*)(double, double);

struct Row {
  const char* name;
  Kernel kernel;
  Formula formula;
};
const Row kRows[] = {
    {"Add", Add, [](double a, double b) { return a + b; }},
    {"Sub", Sub, [](double a, double b) { return a - b; }},
    {"Mul", Mul, [](double a, double b) { return a * b; }},
    {"RealDiv", RealDiv, [](double a, double b) { return a / b; }},
};

Array Naive(const Array& a, const Array& b, const Dims& shape, Formula formula) {
  Array y = Array::Zeros(shape);
  y.ForEach([&](const Dims& index) { y.at(index) = formula(a.at(index), b.at(index)); });
  return y;
}

struct Shapes {
  Dims a, b, y;
};

// y of random dims, a and b with dims of it missing or 1, but each dim in one of the two.
Shapes RandomShapes(oracle::Random& random, int64_t longest) {
  Shapes shapes;
  shapes.y = RandomShape(random, static_cast<size_t>(random.Below(5)), longest);
  const auto part = [&](size_t missing, uint64_t ones) {
    Dims shape;
    for (size_t d = missing; d < shapes.y.size(); ++d) {
      shape.push_back((ones >> d & 1) != 0 ? 1 : shapes.y[d]);
    }
    return shape;
  };
  const uint64_t ones_of_a = random.Next() & random.Next();
  const uint64_t ones_of_b = random.Next() & ~ones_of_a;
  const auto missing = static_cast<size_t>(random.Below(static_cast<int64_t>(shapes.y.size()) + 1));
  const bool a_is_short = random.OneIn(2);
  uint64_t hidden = (uint64_t{1} << missing) - 1;
  shapes.a = part(a_is_short ? missing : 0, a_is_short ? ones_of_a : ones_of_a & ~hidden);
  shapes.b = part(a_is_short ? 0 : missing, a_is_short ? ones_of_b & ~hidden : ones_of_b);
  return shapes;
}

Array AwayFromZero(Array array) {
  for (double& value : array.values) value += value < 0 ? -0.5 : 0.5;
  return array;
}

TEST(Elementwise, EqualsLoopsAndDifferences) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    const Row& row = kRows[seed % 4];
    SCOPED_TRACE(row.name + std::string(", seed ") + std::to_string(seed));
    oracle::Random random(seed);
    const Shapes shapes = RandomShapes(random, 4);
    const Array a = RandomArray(random, shapes.a);
    const Array b = AwayFromZero(RandomArray(random, shapes.b));
    const Operator64 naive = [&](const std::vector<Array>& inputs) {
      return Naive(inputs[0], inputs[1], shapes.y, row.formula);
    };
    Tensor y = Unwritten(shapes.y);
    row.kernel(ToTensor(a).f32(), ToTensor(b).f32(), y.f32());
    ExpectNear(y, naive({a, b}), 1e-6);

    const Array dy = RandomArray(random, shapes.y);
    const Tensor gradient = ToTensor(dy);
    Tensor da = Unwritten(shapes.a);
    Tensor db = Unwritten(shapes.b);
    switch (seed % 4) {
      case 0:
      case 1:
        SumTo(gradient.f32(), da.f32());
        SumTo(gradient.f32(), db.f32(), row.kernel == Sub ? -1 : 1);
        break;
      case 2:
        MulGradient(gradient.f32(), ToTensor(b).f32(), da.f32());
        MulGradient(gradient.f32(), ToTensor(a).f32(), db.f32());
        break;
      default:
        DividendGradient(gradient.f32(), ToTensor(b).f32(), da.f32());
        DivisorGradient(gradient.f32(), ToTensor(a).f32(), ToTensor(b).f32(), db.f32());
    }
    ExpectNear(da, DifferenceGradient(naive, {a, b}, dy, 0), 1e-5);
    ExpectNear(db, DifferenceGradient(naive, {a, b}, dy, 1), 1e-5);
  }
}

// So long that threads share the work, both along a row and by rows.
TEST(Elementwise, IsTheSameOnThreads) {
  oracle::Random random(5);
  const Shapes cases[] = {{{300000}, {300000}, {300000}},
                          {{700, 1, 257}, {3, 1}, {700, 3, 257}},
                          {{300000}, {}, {300000}}};
  for (const Shapes& shapes : cases) {
    const Array a = RandomArray(random, shapes.a);
    const Array b = RandomArray(random, shapes.b);
    for (const int threads : {1, 3}) {
      UseKernelThreads(threads);
      Tensor y = Unwritten(shapes.y);
      Sub(ToTensor(a).f32(), ToTensor(b).f32(), y.f32());
      ExpectNear(y, Naive(a, b, shapes.y, kRows[1].formula), 1e-6);
    }
  }
  UseKernelThreads(1);
}

TEST(Elementwise, MayWriteOverAnInput) {
  oracle::Random random(6);
  const Array a = RandomArray(random, {5, 7});
  const Array b = RandomArray(random, {7});
  Tensor y = ToTensor(a);
  Mul(y.f32(), ToTensor(b).f32(), y.f32());
  ExpectNear(y, Naive(a, b, {5, 7}, kRows[2].formula), 1e-6);
}

TEST(BiasAdd, GoesAlongDimOneOrTheLast) {
  oracle::Random random(7);
  for (const bool channels_last : {false, true}) {
    const Array x = RandomArray(random, {2, 3, 4, 5});
    const Array bias = RandomArray(random, {channels_last ? 5 : 3});
    const Operator64 naive = [&](const std::vector<Array>& inputs) {
      Array y = inputs[0];
      y.ForEach([&](const Dims& index) {
        y.at(index) += inputs[1].values[static_cast<size_t>(index[channels_last ? 3 : 1])];
      });
      return y;
    };
    Tensor y = Unwritten(x.shape);
    BiasAdd(ToTensor(x).f32(), ToTensor(bias).f32(), channels_last, y.f32());
    ExpectNear(y, naive({x, bias}), 1e-6);
    const Array dy = RandomArray(random, x.shape);
    Tensor dbias = Unwritten(bias.shape);
    BiasAddGradient(ToTensor(dy).f32(), channels_last, dbias.f32());
    ExpectNear(dbias, DifferenceGradient(naive, {x, bias}, dy, 1), 1e-5);
  }
}

TEST(Affine, ScalesAndShifts) {
  Tensor x(DType::kFloat32, {3});
  x.f32().data[1] = 4;
  Affine(x.f32(), -2, 0.5F, x.f32());
  EXPECT_EQ(x.f32().data[0], 0.5F);
  EXPECT_EQ(x.f32().data[1], -7.5F);
}

TEST(Cast, GoesTowardZeroAndStaysInRange) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  struct Case {
    float from;
    int32_t to;
  };
  for (const Case& c : {Case{-1.7F, -1}, Case{1.7F, 1}, Case{2147483520.0F, 2147483520},
                        Case{2147483648.0F, 2147483647}, Case{kInfinity, 2147483647},
                        Case{-kInfinity, -2147483647 - 1}, Case{-3e9F, -2147483647 - 1},
                        Case{std::numeric_limits<float>::quiet_NaN(), 0}}) {
    Tensor x(DType::kFloat32, {1});
    Tensor y(DType::kInt32, {1});
    x.f32().data[0] = c.from;
    Cast(x.f32(), y.i32());
    EXPECT_EQ(y.i32().data[0], c.to) << c.from;
  }
  Tensor ids(DType::kInt32, {2});
  ids.i32().data[1] = -5;
  Tensor y = Unwritten({2});
  Cast(ids.i32(), y.f32());
  EXPECT_EQ(y.f32().data[1], -5);
}

TEST(ElementwiseDeathTest, RefusesShapesThatDoNotBroadcast) {
  const Tensor a(DType::kFloat32, {2, 3});
  const Tensor b(DType::kFloat32, {2});
  Tensor y(DType::kFloat32, {2, 3});
  EXPECT_DEATH(Add(a.f32(), b.f32(), y.f32()), "shape");
  EXPECT_DEATH(SumTo(a.f32(), Tensor(DType::kFloat32, {2}).f32()), "shape");
}

}  // namespace
}  // namespace relayout::kernels
