// SPDX-License-Identifier: Apache-2.0
#include "relayout/exec/copy_box.h"

#include <algorithm>
#include <cstring>

#include "relayout/plan/runs.h"

namespace relayout {
namespace {

// A length known at compile time turns memcpy into a load and a store.
template <size_t kRunBytes>
void CopyFixedRows(const std::byte* source, int64_t source_stride_bytes, std::byte* target,
                   int64_t target_stride_bytes, int64_t row_count) {
  for (int64_t row = 0; row < row_count; ++row) {
    std::memcpy(target, source, kRunBytes);
    source += source_stride_bytes;
    target += target_stride_bytes;
  }
}

// Bytes between neighbours along each dimension of a dense box.
Dims Strides(const Box& box, int64_t element_size_bytes) {
  Dims strides = Dims::Filled(box.begin.size(), element_size_bytes);
  for (size_t d = strides.size(); d-- > 1;) {
    strides[d - 1] = strides[d] * (box.end[d] - box.begin[d]);
  }
  return strides;
}

}  // namespace

void CopyRows(const std::byte* source, int64_t source_stride_bytes, std::byte* target,
              int64_t target_stride_bytes, int64_t row_count, int64_t run_bytes) {
  switch (run_bytes) {
    case 1:
      return CopyFixedRows<1>(source, source_stride_bytes, target, target_stride_bytes, row_count);
    case 2:
      return CopyFixedRows<2>(source, source_stride_bytes, target, target_stride_bytes, row_count);
    case 4:
      return CopyFixedRows<4>(source, source_stride_bytes, target, target_stride_bytes, row_count);
    case 8:
      return CopyFixedRows<8>(source, source_stride_bytes, target, target_stride_bytes, row_count);
    case 16:
      return CopyFixedRows<16>(source, source_stride_bytes, target, target_stride_bytes, row_count);
    default:
      for (int64_t row = 0; row < row_count; ++row) {
        std::memcpy(target + row * target_stride_bytes, source + row * source_stride_bytes,
                    static_cast<size_t>(run_bytes));
      }
  }
}

void CopyBox(const std::byte* source, const Box& source_box, std::byte* target,
             const Box& target_box, const Box& box, int64_t element_size_bytes) {
  if (box.volume() == 0) return;
  source += OffsetIn(source_box, box.begin) * element_size_bytes;
  target += OffsetIn(target_box, box.begin) * element_size_bytes;
  // A run ends where either side does: everything from dimension `whole` on is complete on both.
  const size_t whole = std::max(FirstWholeDim(source_box, box), FirstWholeDim(target_box, box));
  const size_t run_dim = whole == 0 ? 0 : whole - 1;
  int64_t run_bytes = element_size_bytes;
  for (size_t d = run_dim; d < box.begin.size(); ++d) run_bytes *= box.end[d] - box.begin[d];
  if (run_dim == 0) {
    std::memcpy(target, source, static_cast<size_t>(run_bytes));
    return;
  }

  const Dims source_strides = Strides(source_box, element_size_bytes);
  const Dims target_strides = Strides(target_box, element_size_bytes);
  const size_t row_dim = run_dim - 1;
  const int64_t row_count = box.end[row_dim] - box.begin[row_dim];
  // Dims before the row dimension are stepped one by one.
  Dims end = box.end;
  for (size_t d = row_dim; d < end.size(); ++d) end[d] = box.begin[d] + 1;
  Dims index = box.begin;
  do {
    int64_t source_offset = 0;
    int64_t target_offset = 0;
    for (size_t d = 0; d < row_dim; ++d) {
      source_offset += (index[d] - box.begin[d]) * source_strides[d];
      target_offset += (index[d] - box.begin[d]) * target_strides[d];
    }
    CopyRows(source + source_offset, source_strides[row_dim], target + target_offset,
             target_strides[row_dim], row_count, run_bytes);
  } while (NextIndex(box.begin, end, index));
}

}  // namespace relayout
