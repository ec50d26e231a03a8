// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/kernels/gather.h"

#include <algorithm>

#include "relayout/spmd/kernels/threads.h"

namespace relayout::kernels {
namespace {

// The table as [outer, rows, width].
struct TableShape {
  TableShape(const Dims& shape, size_t axis) {
    RELAYOUT_CHECK(axis < shape.size());
    for (size_t d = 0; d < axis; ++d) outer *= shape[d];
    rows = shape[axis];
    for (size_t d = axis + 1; d < shape.size(); ++d) width *= shape[d];
  }
  int64_t outer = 1;
  int64_t rows = 1;
  int64_t width = 1;
};

}  // namespace

void Gather(const View<const float>& table, const View<const int32_t>& ids, size_t axis,
            int64_t row_begin, const View<float>& y) {
  const TableShape shape(table.shape, axis);
  const int64_t count = ids.size();
  RELAYOUT_CHECK(y.size() == shape.outer * count * shape.width);
  ForRange(shape.outer * count, RowGrain(shape.width), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = ids.data[i % count] - row_begin;
      float* const target = y.data + i * shape.width;
      if (row < 0 || row >= shape.rows) {
        std::fill(target, target + shape.width, 0.0F);
      } else {
        const float* const source = table.data + (i / count * shape.rows + row) * shape.width;
        std::copy(source, source + shape.width, target);
      }
    }
  });
}

void GatherGradient(const View<const float>& dy, const View<const int32_t>& ids, size_t axis,
                    int64_t row_begin, const View<float>& dtable) {
  const TableShape shape(dtable.shape, axis);
  const int64_t count = ids.size();
  RELAYOUT_CHECK(dy.size() == shape.outer * count * shape.width);
  std::fill(dtable.data, dtable.data + dtable.size(), 0.0F);
  // Two ids may be one row, so that threads share out the columns.
  ForRange(shape.width, RowGrain(shape.outer * count), [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < shape.outer * count; ++i) {
      const int64_t row = ids.data[i % count] - row_begin;
      if (row < 0 || row >= shape.rows) continue;
      const float* const source = dy.data + i * shape.width;
      float* const target = dtable.data + (i / count * shape.rows + row) * shape.width;
      for (int64_t c = begin; c < end; ++c) target[c] += source[c];
    }
  });
}

void OneHot(const View<const int32_t>& ids, size_t axis, int64_t class_begin, float on, float off,
            const View<float>& y) {
  const TableShape shape(y.shape, axis);
  RELAYOUT_CHECK(ids.size() == shape.outer * shape.width);
  ForRange(shape.outer, RowGrain(shape.rows * shape.width), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* const target = y.data + i * shape.rows * shape.width;
      std::fill(target, target + shape.rows * shape.width, off);
      for (int64_t c = 0; c < shape.width; ++c) {
        const int64_t row = ids.data[i * shape.width + c] - class_begin;
        if (row >= 0 && row < shape.rows) target[row * shape.width + c] = on;
      }
    }
  });
}

}  // namespace relayout::kernels
