// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/kernels/arrange.h"

#include <algorithm>
#include <cstring>

#include "relayout/spmd/kernels/strides.h"
#include "relayout/spmd/kernels/threads.h"

namespace relayout::kernels {
namespace {

// A transposition goes by squares of so many rows and columns: a cache line of each.
constexpr int64_t kTile = 16;

constexpr size_t kSource = 0;
constexpr size_t kTarget = 1;

// target[by the second strides] = source[by the first ones].
template <typename T>
void CopyRow(const T* source, int64_t source_stride, T* target, int64_t target_stride,
             int64_t count) {
  if (source_stride == 1 && target_stride == 1) {
    std::memcpy(target, source, static_cast<size_t>(count) * sizeof(T));
    return;
  }
  for (int64_t i = 0; i < count; ++i) target[i * target_stride] = source[i * source_stride];
}

template <typename T>
void CopyRows(const Walk<2>& walk, const T* source, T* target) {
  const size_t last = walk.shape.size() - 1;
  const Walk<2> rows = WithoutLast(walk);
  const int64_t length = walk.shape[last];
  ForRange(SizeOf(rows.shape), RowGrain(length), [&](int64_t begin, int64_t end) {
    Place<2> place(rows, begin);
    for (int64_t row = begin; row < end; ++row, place.Next()) {
      CopyRow(source + place.offset(kSource), walk.strides[kSource][last],
              target + place.offset(kTarget), walk.strides[kTarget][last], length);
    }
  });
}

// The dim along which the source lies dense, when it is not the last one; else the last one.
size_t DenseDim(const Walk<2>& walk) {
  size_t dense = walk.shape.size() - 1;
  if (walk.strides[kSource][dense] == 1) return dense;
  for (size_t d = 0; d < walk.shape.size(); ++d) {
    if (walk.strides[kSource][d] == 1) dense = d;
  }
  return dense;
}

// As CopyRows with dim `dense` and the last one in squares, so that both sides use whole cache
// lines.
template <typename T>
void CopySquares(const Walk<2>& walk, size_t dense, const T* source, T* target) {
  const size_t last = walk.shape.size() - 1;
  const int64_t height = walk.shape[dense];
  const int64_t width = walk.shape[last];
  Walk<2> bands = WithoutLast(walk);
  bands.shape[dense] = (height + kTile - 1) / kTile;
  for (Dims& strides : bands.strides) strides[dense] *= kTile;
  const int64_t source_down = walk.strides[kSource][dense];
  const int64_t target_down = walk.strides[kTarget][dense];
  const int64_t source_right = walk.strides[kSource][last];
  const int64_t target_right = walk.strides[kTarget][last];
  int64_t behind = 1;  // Bands that follow one of dim `dense` before the next one of it.
  for (size_t d = dense + 1; d < bands.shape.size(); ++d) behind *= bands.shape[d];
  ForRange(SizeOf(bands.shape), RowGrain(kTile * width), [&](int64_t begin, int64_t end) {
    Place<2> place(bands, begin);
    for (int64_t band = begin; band < end; ++band, place.Next()) {
      const int64_t top = band / behind % bands.shape[dense] * kTile;
      const int64_t rows = std::min(kTile, height - top);
      for (int64_t left = 0; left < width; left += kTile) {
        const int64_t columns = std::min(kTile, width - left);
        const T* const from = source + place.offset(kSource) + left * source_right;
        T* const to = target + place.offset(kTarget) + left * target_right;
        for (int64_t r = 0; r < rows; ++r) {
          CopyRow(from + r * source_down, source_right, to + r * target_down, target_right,
                  columns);
        }
      }
    }
  });
}

template <typename T>
void Copy(const Walk<2>& given, const T* source, T* target) {
  if (SizeOf(given.shape) == 0) return;
  const Walk<2> walk = Join(given);
  const size_t dense = DenseDim(walk);
  if (dense == walk.shape.size() - 1) {
    CopyRows(walk, source, target);
  } else {
    CopySquares(walk, dense, source, target);
  }
}

// Where x[begin] lies, and x's strides by `step`.
int64_t Enter(const Dims& shape, const Dims& begin, const Dims& step, const Dims& count,
              Dims& strides) {
  RELAYOUT_CHECK(begin.size() == shape.size() && step.size() == shape.size() &&
                 count.size() == shape.size());
  strides = DenseStrides(shape);
  int64_t offset = 0;
  for (size_t d = 0; d < shape.size(); ++d) {
    const int64_t end = begin[d] + (count[d] - 1) * step[d];
    RELAYOUT_CHECK(count[d] == 0 ||
                   (begin[d] >= 0 && begin[d] < shape[d] && end >= 0 && end < shape[d]));
    offset += begin[d] * strides[d];
    strides[d] *= step[d];
  }
  return offset;
}

template <typename T>
void TransposeOf(const View<const T>& x, const Dims& order, const View<T>& y) {
  RELAYOUT_CHECK(order.size() == x.shape.size() && y.shape.size() == x.shape.size());
  const Dims strides = DenseStrides(x.shape);
  Dims source;
  for (size_t d = 0; d < order.size(); ++d) {
    const auto from = static_cast<size_t>(order[d]);
    RELAYOUT_CHECK(from < order.size() && y.shape[d] == x.shape[from]);
    source.push_back(strides[from]);
  }
  Copy({y.shape, {source, DenseStrides(y.shape)}}, x.data, y.data);
}

template <typename T>
void SliceOf(const View<const T>& x, const Dims& begin, const Dims& step, const View<T>& y) {
  Dims strides;
  const int64_t offset = Enter(x.shape, begin, step, y.shape, strides);
  Copy({y.shape, {strides, DenseStrides(y.shape)}}, x.data + offset, y.data);
}

template <typename T>
void PasteInto(const View<const T>& y, const Dims& begin, const Dims& step, const View<T>& x) {
  Dims strides;
  const int64_t offset = Enter(x.shape, begin, step, y.shape, strides);
  Copy({y.shape, {DenseStrides(y.shape), strides}}, y.data, x.data + offset);
}

}  // namespace

void Transpose(const View<const float>& x, const Dims& order, const View<float>& y) {
  TransposeOf(x, order, y);
}
void Transpose(const View<const int32_t>& x, const Dims& order, const View<int32_t>& y) {
  TransposeOf(x, order, y);
}

Dims InverseOrder(const Dims& order) {
  Dims inverse = order;
  for (size_t d = 0; d < order.size(); ++d) {
    inverse[static_cast<size_t>(order[d])] = static_cast<int64_t>(d);
  }
  return inverse;
}

void Slice(const View<const float>& x, const Dims& begin, const Dims& step, const View<float>& y) {
  SliceOf(x, begin, step, y);
}
void Slice(const View<const int32_t>& x, const Dims& begin, const Dims& step,
           const View<int32_t>& y) {
  SliceOf(x, begin, step, y);
}

void Paste(const View<const float>& y, const Dims& begin, const Dims& step, const View<float>& x) {
  PasteInto(y, begin, step, x);
}
void Paste(const View<const int32_t>& y, const Dims& begin, const Dims& step,
           const View<int32_t>& x) {
  PasteInto(y, begin, step, x);
}

void SliceGradient(const View<const float>& dy, const Dims& begin, const Dims& step,
                   const View<float>& dx) {
  std::fill(dx.data, dx.data + dx.size(), 0.0F);
  Paste(dy, begin, step, dx);
}

void TakeTriangle(const View<const float>& x, Triangle triangle, int64_t diagonal,
                  int64_t row_begin, const View<float>& y) {
  RELAYOUT_CHECK(x.shape.size() >= 2 && x.shape == y.shape);
  const int64_t rows = x.shape[x.shape.size() - 2];
  const int64_t columns = x.shape[x.shape.size() - 1];
  if (x.size() == 0) return;
  ForRange(x.size() / columns, RowGrain(columns), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      // The first column that is not on or below the diagonal, or the first on or above it.
      const bool is_lower = triangle == Triangle::kLower;
      const int64_t on = row_begin + i % rows + diagonal;
      const int64_t split = std::clamp<int64_t>(is_lower ? on + 1 : on, 0, columns);
      const float* const source = x.data + i * columns;
      float* const target = y.data + i * columns;
      if (source != target) std::copy(source, source + columns, target);
      std::fill(target + (is_lower ? split : 0), target + (is_lower ? columns : split), 0.0F);
    }
  });
}

}  // namespace relayout::kernels
