// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/kernels/reduce.h"

#include <algorithm>

#include "relayout/spmd/kernels/row_math.h"
#include "relayout/spmd/kernels/strides.h"
#include "relayout/spmd/kernels/threads.h"

namespace relayout::kernels {
namespace {

// How many columns are summed at a time: their sums stay in the nearest cache, and each visit of a
// row reads whole cache lines.
constexpr int64_t kColumns = 64;

// x by its kept and by its summed dims.
struct Sum {
  Walk<1> kept;         // Without `columns`.
  Walk<1> summed;       // Without `row`.
  int64_t columns = 1;  // A last dim that is kept ...
  int64_t row = 1;      // ... or one that is summed. The other one is 1.
};

Sum ToSum(const View<const float>& x, const DimSet& summed) {
  // The second array stands for y: neighbours that are both kept, or both summed, are joined.
  Dims marks = Dims::Filled(x.shape.size(), 0);
  int64_t stride = 1;
  for (size_t d = x.shape.size(); d-- > 0;) {
    if (summed[d]) continue;
    marks[d] = stride;
    stride *= x.shape[d];
  }
  const Walk<2> walk = Join(Walk<2>{x.shape, {DenseStrides(x.shape), marks}});
  Sum sum;
  const size_t last = walk.shape.size() - 1;
  for (size_t d = 0; d <= last; ++d) {
    const bool is_kept = walk.strides[1][d] != 0;
    if (d == last) {
      (is_kept ? sum.columns : sum.row) = walk.shape[d];
      break;
    }
    Walk<1>& side = is_kept ? sum.kept : sum.summed;
    side.shape.push_back(walk.shape[d]);
    side.strides[0].push_back(walk.strides[0][d]);
  }
  return sum;
}

// Sums of up to kColumns columns that begin at `x`.
void SumColumns(const float* x, const Walk<1>& rows, int64_t columns, float scale, float* y) {
  std::array<double, kColumns> totals{};
  Place<1> place(rows, 0);
  const int64_t count = SizeOf(rows.shape);
  for (int64_t i = 0; i < count; ++i, place.Next()) {
    const float* row = x + place.offset(0);
    for (int64_t c = 0; c < columns; ++c) {
      totals[static_cast<size_t>(c)] += static_cast<double>(row[c]);
    }
  }
  for (int64_t c = 0; c < columns; ++c) {
    y[c] = static_cast<float>(totals[static_cast<size_t>(c)] * static_cast<double>(scale));
  }
}

float SumRows(const float* x, const Walk<1>& rows, int64_t length, float scale) {
  double total = 0;
  Place<1> place(rows, 0);
  const int64_t count = SizeOf(rows.shape);
  for (int64_t i = 0; i < count; ++i, place.Next()) total += SumRow(x + place.offset(0), length);
  return static_cast<float>(total * static_cast<double>(scale));
}

}  // namespace

void SumOver(const View<const float>& x, const DimSet& summed, float scale, float* y) {
  if (x.size() == 0) {
    int64_t kept = 1;
    for (size_t d = 0; d < x.shape.size(); ++d) kept *= summed[d] ? 1 : x.shape[d];
    std::fill(y, y + kept, 0.0F);
    return;
  }
  const Sum sum = ToSum(x, summed);
  const int64_t pieces = (sum.columns + kColumns - 1) / kColumns;
  const int64_t elements = SizeOf(sum.summed.shape) * sum.row * std::min(sum.columns, kColumns);
  ForRange(SizeOf(sum.kept.shape) * pieces, RowGrain(elements), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* source = x.data + Place<1>(sum.kept, i / pieces).offset(0);
      float* target = y + i / pieces * sum.columns;
      if (sum.columns == 1) {
        *target = SumRows(source, sum.summed, sum.row, scale);
        continue;
      }
      const int64_t first = i % pieces * kColumns;
      SumColumns(source + first, sum.summed, std::min(kColumns, sum.columns - first), scale,
                 target + first);
    }
  });
}

void Broadcast(const View<const float>& x, float scale, const View<float>& y) {
  if (y.size() == 0) return;
  const Walk<2> walk =
      Join(Walk<2>{y.shape, {BroadcastStrides(x.shape, y.shape), DenseStrides(y.shape)}});
  const Walk<2> rows = WithoutLast(walk);
  const int64_t length = walk.shape[walk.shape.size() - 1];
  const bool moves = walk.strides[0][walk.shape.size() - 1] != 0;
  ForRange(SizeOf(rows.shape), RowGrain(length), [&](int64_t begin, int64_t end) {
    Place<2> place(rows, begin);
    for (int64_t row = begin; row < end; ++row, place.Next()) {
      const float* source = x.data + place.offset(0);
      float* target = y.data + place.offset(1);
      if (moves) {
        for (int64_t i = 0; i < length; ++i) target[i] = scale * source[i];
      } else {
        std::fill(target, target + length, scale * *source);
      }
    }
  });
}

DimSet ToDimSet(std::span<const int64_t> axes, size_t dim_count) {
  DimSet set{};
  for (size_t d = 0; d < dim_count; ++d) set[d] = axes.empty();
  for (const int64_t axis : axes) {
    const int64_t dim = axis < 0 ? axis + static_cast<int64_t>(dim_count) : axis;
    RELAYOUT_CHECK(dim >= 0 && dim < static_cast<int64_t>(dim_count));
    set[static_cast<size_t>(dim)] = true;
  }
  return set;
}

Dims KeptAsOnes(const Dims& shape, const DimSet& reduced) {
  Dims kept = shape;
  for (size_t d = 0; d < kept.size(); ++d) {
    if (reduced[d]) kept[d] = 1;
  }
  return kept;
}

int64_t ReducedCount(const Dims& shape, const DimSet& reduced) {
  int64_t count = 1;
  for (size_t d = 0; d < shape.size(); ++d) count *= reduced[d] ? shape[d] : 1;
  return count;
}

}  // namespace relayout::kernels
