// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/kernels/activation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "relayout/spmd/kernels/threads.h"
#include "tests/spmd/testing.h"

namespace relayout::kernels {
namespace {

double NaiveSigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double NaiveGelu(double x) {
  constexpr double kRoot = 0.79788456080286535588;  // sqrt(2 / pi)
  return x / 2 * (1 + std::tanh(kRoot * (x + 0.044715 * x * x * x)));
}

double NaiveGeluByErf(double x) { return x / 2 * (1 + std::erf(x / std::sqrt(2.0))); }

template <int kExponent>
void PowOf(const View<const float>& x, const View<float>& y) {
  Pow(x, kExponent, y);
}
template <int kExponent>
void PowGradientOf(const View<const float>& x, const View<const float>& dy, const View<float>& dx) {
  PowGradient(x, kExponent, dy, dx);
}

struct Row {
  const char* name;
  void (*forward)(const View<const float>&, const View<float>&);
  void (*gradient)(const View<const float>&, const View<const float>&, const View<float>&);
  bool from_result;
  double (*formula)(double);
  double shift = 0;  // Of the random numbers, so that they are where the function is.
};
const Row kRows[] = {
    {"ReLU", ReLU, ReLUGradient, true, [](double x) { return std::fmax(x, 0); }},
    {"GeLU", GeLU, GeLUGradient, false, NaiveGelu},
    {"GeLUByErf", GeLUByErf, GeLUByErfGradient, false, NaiveGeluByErf},
    {"SiLU", SiLU, SiLUGradient, false, [](double x) { return x * NaiveSigmoid(x); }},
    {"Tanh", Tanh, TanhGradient, true, [](double x) { return std::tanh(x); }},
    {"Sigmoid", Sigmoid, SigmoidGradient, true, NaiveSigmoid},
    {"Square", Square, SquareGradient, false, [](double x) { return x * x; }},
    {"Sqrt", Sqrt, SqrtGradient, true, [](double x) { return std::sqrt(x); }, 6.5},
    {"Rsqrt", Rsqrt, RsqrtGradient, true, [](double x) { return 1 / std::sqrt(x); }, 6.5},
    {"Exp", Exp, ExpGradient, true, [](double x) { return std::exp(x); }, -3},
    {"Log", Log, LogGradient, false, [](double x) { return std::log(x); }, 6.5},
    {"Erf", Erf, ErfGradient, false, [](double x) { return std::erf(x); }},
    {"Pow 3", PowOf<3>, PowGradientOf<3>, false, [](double x) { return x * x * x; }},
    {"Pow -2", PowOf<-2>, PowGradientOf<-2>, false, [](double x) { return 1 / x / x; }, 7},
    {"Pow 0", PowOf<0>, PowGradientOf<0>, false, [](double) { return 1.0; }},
};

TEST(Activation, EqualsLoopsAndDifferences) {
  for (const Row& row : kRows) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      SCOPED_TRACE(row.name + std::string(", seed ") + std::to_string(seed));
      oracle::Random random(seed);
      const Array x =
          RandomArray(random, {random.Between(1, 3), random.Between(1, 20)}, 6, row.shift);
      const Operator64 naive = [&](const std::vector<Array>& inputs) {
        Array y = inputs[0];
        for (double& value : y.values) value = row.formula(value);
        return y;
      };
      Tensor y = Unwritten(x.shape);
      row.forward(ToTensor(x).f32(), y.f32());
      ExpectNear(y, naive({x}), 1e-6);
      Tensor in_place = ToTensor(x);
      row.forward(in_place.f32(), in_place.f32());
      ExpectNear(in_place, naive({x}), 1e-6);

      const Array dy = RandomArray(random, x.shape);
      Tensor dx = ToTensor(dy);
      row.gradient(row.from_result ? y.f32() : ToTensor(x).f32(), dx.f32(), dx.f32());
      ExpectNear(dx, DifferenceGradient(naive, {x}, dy, 0), 1e-5);
    }
  }
}

TEST(Activation, IsTheSameOnThreads) {
  oracle::Random random(9);
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    const Array x = RandomArray(random, {200000}, 6, row.shift);
    for (const int threads : {1, 3}) {
      UseKernelThreads(threads);
      Tensor y = Unwritten(x.shape);
      row.forward(ToTensor(x).f32(), y.f32());
      Array want = x;
      for (double& value : want.values) value = row.formula(value);
      ExpectNear(y, want, 1e-6);
    }
  }
  UseKernelThreads(1);
}

TEST(ReLU, KeepsNaN) {
  Tensor x(DType::kFloat32, {1});
  x.f32().data[0] = std::numeric_limits<float>::quiet_NaN();
  ReLU(x.f32(), x.f32());
  EXPECT_TRUE(std::isnan(x.f32().data[0]));
}

// A loss that diverges has to show.
TEST(Activation, HasLimits) {
  struct Case {
    void (*forward)(const View<const float>&, const View<float>&);
    float x, y;
  };
  for (const Case& c :
       {Case{Sigmoid, 200, 1}, Case{Sigmoid, -200, 0}, Case{Tanh, 200, 1}, Case{Tanh, -200, -1},
        Case{GeLU, 200, 200}, Case{GeLU, -200, 0}, Case{GeLU, 1e38F, 1e38F}, Case{GeLU, -1e38F, 0},
        Case{SiLU, 200, 200}, Case{SiLU, -200, 0}}) {
    Tensor x(DType::kFloat32, {1});
    x.f32().data[0] = c.x;
    c.forward(x.f32(), x.f32());
    EXPECT_NEAR(x.f32().data[0], c.y, 1e-30) << c.x;
  }
  for (const float at : {-1e38F, -200.0F, 200.0F, 1e38F}) {
    Tensor x(DType::kFloat32, {1});
    Tensor dx(DType::kFloat32, {1});
    x.f32().data[0] = at;
    dx.f32().data[0] = 3;
    GeLUGradient(x.f32(), dx.f32(), dx.f32());
    EXPECT_NEAR(dx.f32().data[0], at > 0 ? 3 : 0, 1e-30) << at;
  }
}

}  // namespace
}  // namespace relayout::kernels
