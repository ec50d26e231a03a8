// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/kernels/softmax.h"

#include <cmath>
#include <limits>
#include <vector>

#include "relayout/spmd/kernels/library.h"
#include "relayout/spmd/kernels/reduce.h"
#include "relayout/spmd/kernels/row_math.h"
#include "relayout/spmd/kernels/threads.h"

namespace relayout::kernels {
namespace {

using Input = View<const float>;
using Output = View<float>;

// A shape around its axis: [outer, length, inner].
struct AxisShape {
  AxisShape(const Dims& shape, size_t axis) {
    RELAYOUT_CHECK(axis < shape.size());
    for (size_t d = 0; d < axis; ++d) outer *= shape[d];
    length = shape[axis];
    for (size_t d = axis + 1; d < shape.size(); ++d) inner *= shape[d];
  }
  int64_t outer = 1;
  int64_t length = 1;
  int64_t inner = 1;
};

// Calls body(offset, row) for the `inner` values that begin at `offset` and belong to the rows from
// `row` on: all of them, in parts that have an outer index each.
template <typename Body>
void ForSlices(const AxisShape& shape, const Body& body) {
  const int64_t slice = shape.length * shape.inner;
  ForRange(shape.outer, RowGrain(slice), [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      for (int64_t l = 0; l < shape.length; ++l) {
        body(o * slice + l * shape.inner, o * shape.inner);
      }
    }
  });
}

// y[i] = formula(i, the row that i belongs to).
template <typename Formula>
void ForElements(const AxisShape& shape, const Formula& formula) {
  if (shape.inner == 1) {
    ForRange(shape.outer, RowGrain(shape.length), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t first = row * shape.length;
        for (int64_t i = first; i < first + shape.length; ++i) formula(i, row);
      }
    });
    return;
  }
  ForSlices(shape, [&](int64_t offset, int64_t row) {
    for (int64_t i = 0; i < shape.inner; ++i) formula(offset + i, row + i);
  });
}

DimSet Only(size_t axis) {
  DimSet set{};
  set[axis] = true;
  return set;
}

using Rows = std::vector<float>;

Rows RowsOf(const Dims& shape, size_t axis) {
  return Rows(static_cast<size_t>(RowCount(shape, axis)));
}

}  // namespace

int64_t RowCount(const Dims& shape, size_t axis) {
  const AxisShape around(shape, axis);
  return around.outer * around.inner;
}

void MaxOver(const Input& x, size_t axis, float* max) {
  const AxisShape shape(x.shape, axis);
  if (shape.inner == 1) {
    ForRange(shape.outer, RowGrain(shape.length), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        max[row] = MaxRow(x.data + row * shape.length, shape.length);
      }
    });
    return;
  }
  std::fill(max, max + shape.outer * shape.inner, -std::numeric_limits<float>::infinity());
  ForSlices(shape, [&](int64_t offset, int64_t row) {
    for (int64_t i = 0; i < shape.inner; ++i) {
      max[row + i] = max[row + i] < x.data[offset + i] ? x.data[offset + i] : max[row + i];
    }
  });
}

void ExpOver(const Input& x, size_t axis, const float* max, const Output& y, float* sum) {
  RELAYOUT_CHECK(x.shape == y.shape);
  ForElements(AxisShape(x.shape, axis),
              [&](int64_t i, int64_t row) { y.data[i] = x.data[i] - max[row]; });
  Apply(Function::kExp, y.size(), y.data, y.data);
  TotalOver(y, axis, sum);
}

void DivideOver(const Output& y, size_t axis, const float* sum) {
  ForElements(AxisShape(y.shape, axis), [&](int64_t i, int64_t row) { y.data[i] /= sum[row]; });
}

void LogOver(const Input& x, size_t axis, const float* max, const float* sum, const Output& y) {
  RELAYOUT_CHECK(x.shape == y.shape);
  Rows logarithm = RowsOf(x.shape, axis);
  for (size_t row = 0; row < logarithm.size(); ++row) logarithm[row] = std::log(sum[row]);
  ForElements(AxisShape(x.shape, axis), [&](int64_t i, int64_t row) {
    // max first: the difference of near numbers is exact.
    y.data[i] = x.data[i] - max[row] - logarithm[static_cast<size_t>(row)];
  });
}

void DotOver(const Input& y, const Input& dy, size_t axis, float* dot) {
  RELAYOUT_CHECK(y.shape == dy.shape);
  const AxisShape shape(y.shape, axis);
  if (shape.inner == 1) {
    ForRange(shape.outer, RowGrain(shape.length), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t first = row * shape.length;
        dot[row] = static_cast<float>(DotRows(y.data + first, dy.data + first, shape.length));
      }
    });
    return;
  }
  std::fill(dot, dot + shape.outer * shape.inner, 0.0F);
  ForSlices(shape, [&](int64_t offset, int64_t row) {
    for (int64_t i = 0; i < shape.inner; ++i) {
      dot[row + i] += y.data[offset + i] * dy.data[offset + i];
    }
  });
}

void SoftmaxGradientOver(const Input& y, const Input& dy, size_t axis, const float* dot,
                         const Output& dx) {
  RELAYOUT_CHECK(y.shape == dy.shape && y.shape == dx.shape);
  ForElements(AxisShape(y.shape, axis),
              [&](int64_t i, int64_t row) { dx.data[i] = y.data[i] * (dy.data[i] - dot[row]); });
}

void TotalOver(const Input& dy, size_t axis, float* total) { SumOver(dy, Only(axis), 1, total); }

void LogSoftmaxGradientOver(const Input& y, const Input& dy, size_t axis, const float* total,
                            const Output& dx) {
  RELAYOUT_CHECK(y.shape == dy.shape && y.shape == dx.shape);
  Tensor probability(DType::kFloat32, y.shape);
  const float* const p = probability.f32().data;
  Apply(Function::kExp, y.size(), y.data, probability.f32().data);
  ForElements(AxisShape(y.shape, axis),
              [&](int64_t i, int64_t row) { dx.data[i] = dy.data[i] - p[i] * total[row]; });
}

void Softmax(const Input& x, size_t axis, const Output& y) {
  Rows max = RowsOf(x.shape, axis);
  Rows sum = RowsOf(x.shape, axis);
  MaxOver(x, axis, max.data());
  ExpOver(x, axis, max.data(), y, sum.data());
  DivideOver(y, axis, sum.data());
}

void SoftmaxGradient(const Input& y, const Input& dy, size_t axis, const Output& dx) {
  Rows dot = RowsOf(y.shape, axis);
  DotOver(y, dy, axis, dot.data());
  SoftmaxGradientOver(y, dy, axis, dot.data(), dx);
}

void LogSoftmax(const Input& x, size_t axis, const Output& y) {
  Rows max = RowsOf(x.shape, axis);
  Rows sum = RowsOf(x.shape, axis);
  MaxOver(x, axis, max.data());
  Tensor exponentials(DType::kFloat32, x.shape);
  ExpOver(x, axis, max.data(), exponentials.f32(), sum.data());
  LogOver(x, axis, max.data(), sum.data(), y);
}

void LogSoftmaxGradient(const Input& y, const Input& dy, size_t axis, const Output& dx) {
  Rows total = RowsOf(y.shape, axis);
  TotalOver(dy, axis, total.data());
  LogSoftmaxGradientOver(y, dy, axis, total.data(), dx);
}

}  // namespace relayout::kernels
