// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/kernels/activation.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "relayout/spmd/kernels/library.h"
#include "relayout/spmd/kernels/threads.h"

namespace relayout::kernels {
namespace {

using Input = View<const float>;
using Output = View<float>;

constexpr float kRootHalf = 0.70710678F;
constexpr float kRootOfInversePi = 0.56418958F;

void ApplyTo(Function function, const Input& x, const Output& y) {
  RELAYOUT_CHECK(x.shape == y.shape);
  Apply(function, x.size(), x.data, y.data);
}

void ApplyGradientTo(Function function, const Input& x, const Input& dy, const Output& dx) {
  RELAYOUT_CHECK(x.shape == dy.shape && x.shape == dx.shape);
  ApplyGradient(function, x.size(), x.data, dy.data, dx.data);
}

// y = formula(x), element by element.
template <typename Formula>
void Each(const Input& x, const Output& y, const Formula& formula) {
  RELAYOUT_CHECK(x.shape == y.shape);
  ForRange(x.size(), kElementGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y.data[i] = formula(x.data[i]);
  });
}

// dx = formula(kept, dy), where `kept` is x or y, element by element.
template <typename Formula>
void EachGradient(const Input& kept, const Input& dy, const Output& dx, const Formula& formula) {
  RELAYOUT_CHECK(kept.shape == dy.shape && kept.shape == dx.shape);
  ForRange(kept.size(), kElementGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) dx.data[i] = formula(kept.data[i], dy.data[i]);
  });
}

// GeLU as x sigmoid(v), which is the same as x/2 (1 + tanh(v/2)): an exponential takes a seventh of
// the time of a tangent.
struct GeluArgument {
  explicit GeluArgument(float x) : t(std::clamp(x, -kLimit, kLimit)) {}

  float v() const { return kTwoRoots * (t + kCubic * t * t * t); }
  float slope() const { return kTwoRoots * (1 + 3 * kCubic * t * t); }

  static constexpr float kTwoRoots = 1.5957691216F;  // 2 sqrt(2 / pi)
  static constexpr float kCubic = 0.044715F;
  // Beyond it the sigmoid is 0 or 1, to the last bit. The cube of what is far beyond is infinite.
  static constexpr float kLimit = 16;
  float t;
};

// Calls body(i, sigmoid of x[i]'s v) for each element; piece by piece, so that the sigmoids stay in
// a near cache.
template <typename Body>
void ForGeluSigmoids(const Input& x, const Body& body) {
  constexpr int64_t kPiece = 8192;
  ForRange(x.size(), kElementGrain, [&](int64_t begin, int64_t end) {
    std::vector<float> sigmoids(static_cast<size_t>(std::min(kPiece, end - begin)));
    float* const s = sigmoids.data();
    for (int64_t first = begin; first < end; first += kPiece) {
      const int64_t count = std::min(kPiece, end - first);
      for (int64_t i = 0; i < count; ++i) s[i] = GeluArgument(x.data[first + i]).v();
      Apply(Function::kSigmoid, count, s, s);
      for (int64_t i = 0; i < count; ++i) body(first + i, s[i]);
    }
  });
}

}  // namespace

void ReLU(const Input& x, const Output& y) {
  // In this form NaN stays NaN.
  Each(x, y, [](float value) { return value < 0 ? 0 : value; });
}

void ReLUGradient(const Input& y, const Input& dy, const Output& dx) {
  EachGradient(y, dy, dx, [](float result, float gradient) { return result > 0 ? gradient : 0; });
}

void GeLU(const Input& x, const Output& y) {
  RELAYOUT_CHECK(x.shape == y.shape);
  ForGeluSigmoids(x, [&](int64_t i, float sigmoid) { y.data[i] = x.data[i] * sigmoid; });
}
void GeLUGradient(const Input& x, const Input& dy, const Output& dx) {
  RELAYOUT_CHECK(x.shape == dy.shape && x.shape == dx.shape);
  ForGeluSigmoids(x, [&](int64_t i, float sigmoid) {
    const GeluArgument argument(x.data[i]);
    dx.data[i] = dy.data[i] * sigmoid * (1 + argument.t * (1 - sigmoid) * argument.slope());
  });
}

void GeLUByErf(const Input& x, const Output& y) {
  Each(x, y, [](float value) { return value / 2 * (1 + std::erf(value * kRootHalf)); });
}
void GeLUByErfGradient(const Input& x, const Input& dy, const Output& dx) {
  EachGradient(x, dy, dx, [](float value, float gradient) {
    const float density = std::exp(-value * value / 2) * kRootHalf * kRootOfInversePi;
    return gradient * ((1 + std::erf(value * kRootHalf)) / 2 + value * density);
  });
}

void SiLU(const Input& x, const Output& y) { ApplyTo(Function::kSilu, x, y); }
void SiLUGradient(const Input& x, const Input& dy, const Output& dx) {
  ApplyGradientTo(Function::kSilu, x, dy, dx);
}

void Tanh(const Input& x, const Output& y) { ApplyTo(Function::kTanh, x, y); }
void TanhGradient(const Input& y, const Input& dy, const Output& dx) {
  EachGradient(y, dy, dx,
               [](float result, float gradient) { return gradient * (1 - result * result); });
}

void Sigmoid(const Input& x, const Output& y) { ApplyTo(Function::kSigmoid, x, y); }
void SigmoidGradient(const Input& y, const Input& dy, const Output& dx) {
  EachGradient(y, dy, dx,
               [](float result, float gradient) { return gradient * result * (1 - result); });
}

void Square(const Input& x, const Output& y) {
  Each(x, y, [](float value) { return value * value; });
}
void SquareGradient(const Input& x, const Input& dy, const Output& dx) {
  EachGradient(x, dy, dx, [](float value, float gradient) { return 2 * value * gradient; });
}

void Sqrt(const Input& x, const Output& y) {
  Each(x, y, [](float value) { return std::sqrt(value); });
}
void SqrtGradient(const Input& y, const Input& dy, const Output& dx) {
  EachGradient(y, dy, dx, [](float root, float gradient) { return gradient / (2 * root); });
}

void Rsqrt(const Input& x, const Output& y) {
  Each(x, y, [](float value) { return 1 / std::sqrt(value); });
}
void RsqrtGradient(const Input& y, const Input& dy, const Output& dx) {
  EachGradient(y, dy, dx,
               [](float root, float gradient) { return -0.5F * root * root * root * gradient; });
}

void Exp(const Input& x, const Output& y) { ApplyTo(Function::kExp, x, y); }
void ExpGradient(const Input& y, const Input& dy, const Output& dx) {
  EachGradient(y, dy, dx, [](float power, float gradient) { return power * gradient; });
}

void Log(const Input& x, const Output& y) {
  Each(x, y, [](float value) { return std::log(value); });
}
void LogGradient(const Input& x, const Input& dy, const Output& dx) {
  EachGradient(x, dy, dx, [](float value, float gradient) { return gradient / value; });
}

void Erf(const Input& x, const Output& y) {
  Each(x, y, [](float value) { return std::erf(value); });
}
void ErfGradient(const Input& x, const Input& dy, const Output& dx) {
  EachGradient(x, dy, dx, [](float value, float gradient) {
    return gradient * 2 * kRootOfInversePi * std::exp(-value * value);
  });
}

void Pow(const Input& x, float exponent, const Output& y) {
  Each(x, y, [exponent](float value) { return std::pow(value, exponent); });
}
void PowGradient(const Input& x, float exponent, const Input& dy, const Output& dx) {
  EachGradient(x, dy, dx, [exponent](float value, float gradient) {
    // Not 0 * infinity, at 0.
    return exponent == 0 ? 0 : gradient * exponent * std::pow(value, exponent - 1);
  });
}

}  // namespace relayout::kernels
