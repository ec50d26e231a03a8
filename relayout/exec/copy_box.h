// SPDX-License-Identifier: Apache-2.0
//
// The data plane: copies a box from one dense n-d buffer into another. No allocation, no virtual
// call, one memcpy (or one load and store for runs of 1, 2, 4, 8, 16 bytes) per run.
//
// Target: runs of 4 KiB and more at memcpy's speed; runs of 2 bytes at 500 MB/s or more.
#pragma once

#include <cstddef>
#include <cstdint>

#include "relayout/layout/box.h"

namespace relayout {

// Copies the elements of `box` from `source`, which holds source_box densely in C order, to
// `target`, which holds target_box. @pre box lies in both; the buffers do not overlap
void CopyBox(const std::byte* source, const Box& source_box, std::byte* target,
             const Box& target_box, const Box& box, int64_t element_size_bytes);

// Copies `row_count` runs of `run_bytes` bytes; the k-th starts k strides after the first.
void CopyRows(const std::byte* source, int64_t source_stride_bytes, std::byte* target,
              int64_t target_stride_bytes, int64_t row_count, int64_t run_bytes);

}  // namespace relayout
