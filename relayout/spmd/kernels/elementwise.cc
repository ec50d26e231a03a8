// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/kernels/elementwise.h"

#include <cmath>
#include <limits>

#include "relayout/spmd/kernels/reduce.h"
#include "relayout/spmd/kernels/strides.h"
#include "relayout/spmd/kernels/threads.h"

namespace relayout::kernels {
namespace {

using Input = View<const float>;
using Output = View<float>;

// One row. The strides of joined rows are 0 or 1, and each case is a loop of its own.
template <typename Function>
void Row(int64_t count, const float* a, bool a_moves, const float* b, bool b_moves, float* y,
         const Function& function) {
  if (a_moves && b_moves) {
    for (int64_t i = 0; i < count; ++i) y[i] = function(a[i], b[i]);
  } else if (a_moves) {
    const float right = *b;
    for (int64_t i = 0; i < count; ++i) y[i] = function(a[i], right);
  } else if (b_moves) {
    const float left = *a;
    for (int64_t i = 0; i < count; ++i) y[i] = function(left, b[i]);
  } else {
    const float value = function(*a, *b);
    for (int64_t i = 0; i < count; ++i) y[i] = value;
  }
}

template <typename Function>
void Binary(const Input& a, const Input& b, const Output& y, const Function& function) {
  if (y.size() == 0) return;
  const Walk<3> walk = Join(Walk<3>{y.shape,
                                    {BroadcastStrides(a.shape, y.shape),
                                     BroadcastStrides(b.shape, y.shape), DenseStrides(y.shape)}});
  const size_t last = walk.shape.size() - 1;
  const int64_t length = walk.shape[last];
  const bool a_moves = walk.strides[0][last] != 0;
  const bool b_moves = walk.strides[1][last] != 0;
  if (last == 0) {
    ForRange(length, kElementGrain, [&](int64_t begin, int64_t end) {
      Row(end - begin, a_moves ? a.data + begin : a.data, a_moves,
          b_moves ? b.data + begin : b.data, b_moves, y.data + begin, function);
    });
    return;
  }
  const Walk<3> rows = WithoutLast(walk);
  ForRange(SizeOf(rows.shape), RowGrain(length), [&](int64_t begin, int64_t end) {
    Place<3> place(rows, begin);
    for (int64_t row = begin; row < end; ++row, place.Next()) {
      Row(length, a.data + place.offset(0), a_moves, b.data + place.offset(1), b_moves,
          y.data + place.offset(2), function);
    }
  });
}

// function(a, b) summed to the shape of dx.
template <typename Function>
void BinarySummed(const Input& a, const Input& b, const Dims& shape, const Output& dx,
                  const Function& function) {
  if (dx.shape == shape) {
    Binary(a, b, dx, function);
    return;
  }
  Tensor whole(DType::kFloat32, shape);
  Binary(a, b, whole.f32(), function);
  SumTo(whole.f32(), dx);
}

// bias as f32[c,1,...], which broadcasts by the common rule.
Dims BiasShape(const Dims& shape, bool channels_last, int64_t channels) {
  RELAYOUT_CHECK(shape.size() >= 2);
  const size_t dim = channels_last ? shape.size() - 1 : 1;
  RELAYOUT_CHECK(shape[dim] == channels);
  Dims bias = Dims::Filled(shape.size() - dim, 1);
  bias[0] = channels;
  return bias;
}

int32_t ToInteger(float value) {
  if (std::isnan(value)) return 0;
  if (value <= static_cast<float>(std::numeric_limits<int32_t>::min())) {
    return std::numeric_limits<int32_t>::min();
  }
  // The largest integer is no float; the next float above it is 2^31.
  if (value >= 2147483648.0F) return std::numeric_limits<int32_t>::max();
  return static_cast<int32_t>(value);
}

}  // namespace

void Add(const Input& a, const Input& b, const Output& y) {
  Binary(a, b, y, [](float left, float right) { return left + right; });
}

void Sub(const Input& a, const Input& b, const Output& y) {
  Binary(a, b, y, [](float left, float right) { return left - right; });
}

void Mul(const Input& a, const Input& b, const Output& y) {
  Binary(a, b, y, [](float left, float right) { return left * right; });
}

void RealDiv(const Input& a, const Input& b, const Output& y) {
  Binary(a, b, y, [](float left, float right) { return left / right; });
}

void BiasAdd(const Input& x, const Input& bias, bool channels_last, const Output& y) {
  Add(x, bias.Reshaped(BiasShape(x.shape, channels_last, bias.size())), y);
}

void BiasAddGradient(const Input& dy, bool channels_last, const Output& dbias) {
  SumTo(dy, dbias.Reshaped(BiasShape(dy.shape, channels_last, dbias.size())));
}

void SumTo(const Input& dy, const Output& dx, float scale) {
  const size_t missing = dy.shape.size() - dx.shape.size();
  RELAYOUT_CHECK(dx.shape.size() <= dy.shape.size());
  std::array<bool, kMaxDims> summed{};
  for (size_t d = 0; d < dy.shape.size(); ++d) {
    summed[d] = d < missing || dx.shape[d - missing] != dy.shape[d];
    RELAYOUT_CHECK(d < missing || !summed[d] || dx.shape[d - missing] == 1);
  }
  SumOver(dy, summed, scale, dx.data);
}

void MulGradient(const Input& dy, const Input& other, const Output& dx) {
  BinarySummed(dy, other, dy.shape, dx, [](float a, float b) { return a * b; });
}

void DividendGradient(const Input& dy, const Input& b, const Output& da) {
  BinarySummed(dy, b, dy.shape, da, [](float left, float right) { return left / right; });
}

void DivisorGradient(const Input& dy, const Input& a, const Input& b, const Output& db) {
  // (dy / b) * (a / b), then negated, so that b² cannot overflow.
  Tensor ratio(DType::kFloat32, dy.shape);
  RealDiv(a, b, ratio.f32());
  RealDiv(ratio.f32(), b, ratio.f32());
  BinarySummed(dy, ratio.f32(), dy.shape, db,
               [](float left, float right) { return -left * right; });
}

void Affine(const Input& x, float scale, float offset, const Output& y) {
  RELAYOUT_CHECK(x.size() == y.size());
  ForRange(x.size(), kElementGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y.data[i] = scale * x.data[i] + offset;
  });
}

void Cast(const Input& x, const View<int32_t>& y) {
  RELAYOUT_CHECK(x.size() == y.size());
  for (int64_t i = 0; i < x.size(); ++i) y.data[i] = ToInteger(x.data[i]);
}

void Cast(const View<const int32_t>& x, const Output& y) {
  RELAYOUT_CHECK(x.size() == y.size());
  for (int64_t i = 0; i < x.size(); ++i) y.data[i] = static_cast<float>(x.data[i]);
}

}  // namespace relayout::kernels
