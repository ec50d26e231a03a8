// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/kernels/normalize.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "relayout/spmd/kernels/row_math.h"
#include "relayout/spmd/kernels/threads.h"

namespace relayout::kernels {
namespace {

using Input = View<const float>;
using Output = View<float>;

// Columns whose sums over all rows are made at a time.
constexpr int64_t kColumns = 64;

void CheckShapes(const Input& x, const Input& gamma, const Dims& y, const Dims& inverse) {
  RELAYOUT_CHECK(x.shape.size() == 2 && gamma.size() == x.shape[1] && y == x.shape);
  RELAYOUT_CHECK(SizeOf(inverse) == x.shape[0]);
}

float Inverse(double variance, float epsilon) {
  return static_cast<float>(1.0 / std::sqrt(variance + static_cast<double>(epsilon)));
}

template <typename Body>
void ForRows(const Dims& shape, const Body& body) {
  ForRange(shape[0], RowGrain(shape[1]), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(row, row * shape[1]);
  });
}

// The sum over all rows of term(row, element), for each column; in double and in the order of rows.
template <typename Term>
void SumColumns(const Dims& shape, const Output& sums, const Term& term) {
  RELAYOUT_CHECK(sums.size() == shape[1]);
  const int64_t columns = shape[1];
  ForRange(columns, RowGrain(shape[0]), [&](int64_t begin, int64_t end) {
    for (int64_t first = begin; first < end; first += kColumns) {
      const int64_t width = std::min(kColumns, end - first);
      std::array<double, kColumns> totals{};
      for (int64_t row = 0; row < shape[0]; ++row) {
        for (int64_t c = 0; c < width; ++c) {
          totals[static_cast<size_t>(c)] +=
              static_cast<double>(term(row, row * columns + first + c));
        }
      }
      for (int64_t c = 0; c < width; ++c) {
        sums.data[first + c] = static_cast<float>(totals[static_cast<size_t>(c)]);
      }
    }
  });
}

}  // namespace

void LayerNorm(const Input& x, const Input& gamma, const Input& beta, float epsilon,
               const Output& y, const Output& mean, const Output& inverse) {
  CheckShapes(x, gamma, y.shape, inverse.shape);
  RELAYOUT_CHECK(beta.size() == gamma.size() && mean.size() == x.shape[0]);
  const int64_t columns = x.shape[1];
  ForRows(x.shape, [&](int64_t row, int64_t offset) {
    const float* const in = x.data + offset;
    float* const out = y.data + offset;
    const auto center = static_cast<float>(SumRow(in, columns) / static_cast<double>(columns));
    const double squares =
        SumTerms(columns, [in, center](int64_t i) { return (in[i] - center) * (in[i] - center); });
    const float factor = Inverse(squares / static_cast<double>(columns), epsilon);
    for (int64_t i = 0; i < columns; ++i) {
      out[i] = (in[i] - center) * factor * gamma.data[i] + beta.data[i];
    }
    mean.data[row] = center;
    inverse.data[row] = factor;
  });
}

// With n = (x - mean) inverse and g = dy gamma: dx = inverse (g - mean(g) - n mean(g n)).
void LayerNormGradient(const Input& x, const Input& gamma, const Input& mean, const Input& inverse,
                       const Input& dy, const Output& dx, const Output& dgamma,
                       const Output& dbeta) {
  CheckShapes(x, gamma, dx.shape, inverse.shape);
  RELAYOUT_CHECK(dy.shape == x.shape && mean.size() == x.shape[0]);
  const int64_t columns = x.shape[1];
  // Before dx, which may lie where dy does.
  SumColumns(x.shape, dbeta, [&](int64_t, int64_t i) { return dy.data[i]; });
  SumColumns(x.shape, dgamma, [&](int64_t row, int64_t i) {
    return dy.data[i] * ((x.data[i] - mean.data[row]) * inverse.data[row]);
  });
  const auto count = static_cast<double>(columns);
  ForRows(x.shape, [&](int64_t row, int64_t offset) {
    const float* const in = x.data + offset;
    const float* const gradient = dy.data + offset;
    const float* const weight = gamma.data;
    float* const out = dx.data + offset;
    const float center = mean.data[row];
    const float factor = inverse.data[row];
    const auto of_mean = static_cast<float>(DotRows(gradient, weight, columns) / count);
    const double dot =
        SumTerms(columns, [=](int64_t i) { return gradient[i] * weight[i] * (in[i] - center); });
    const auto of_variance =
        static_cast<float>(dot * static_cast<double>(factor) * static_cast<double>(factor) / count);
    for (int64_t i = 0; i < columns; ++i) {
      out[i] = factor * (gradient[i] * weight[i] - of_mean - (in[i] - center) * of_variance);
    }
  });
}

void RmsNorm(const Input& x, const Input& gamma, float epsilon, const Output& y,
             const Output& inverse) {
  CheckShapes(x, gamma, y.shape, inverse.shape);
  const int64_t columns = x.shape[1];
  ForRows(x.shape, [&](int64_t row, int64_t offset) {
    const float* const in = x.data + offset;
    const double squares = DotRows(in, in, columns);
    const float factor = Inverse(squares / static_cast<double>(columns), epsilon);
    for (int64_t i = 0; i < columns; ++i) y.data[offset + i] = in[i] * factor * gamma.data[i];
    inverse.data[row] = factor;
  });
}

// As LayerNorm's, without what comes of the mean.
void RmsNormGradient(const Input& x, const Input& gamma, const Input& inverse, const Input& dy,
                     const Output& dx, const Output& dgamma) {
  CheckShapes(x, gamma, dx.shape, inverse.shape);
  RELAYOUT_CHECK(dy.shape == x.shape);
  const int64_t columns = x.shape[1];
  SumColumns(x.shape, dgamma,
             [&](int64_t row, int64_t i) { return dy.data[i] * (x.data[i] * inverse.data[row]); });
  ForRows(x.shape, [&](int64_t row, int64_t offset) {
    const float* const in = x.data + offset;
    const float* const gradient = dy.data + offset;
    const float* const weight = gamma.data;
    const float factor = inverse.data[row];
    const double dot =
        SumTerms(columns, [=](int64_t i) { return gradient[i] * weight[i] * in[i]; });
    const auto of_square =
        static_cast<float>(dot * static_cast<double>(factor) * static_cast<double>(factor) /
                           static_cast<double>(columns));
    for (int64_t i = 0; i < columns; ++i) {
      dx.data[offset + i] = factor * (gradient[i] * weight[i] - in[i] * of_square);
    }
  });
}

}  // namespace relayout::kernels
