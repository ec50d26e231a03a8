// SPDX-License-Identifier: Apache-2.0
//
// Gather: rows of a table by their numbers, as an embedding looks up words. OneHot, the table of
// which would be the unit matrix.
//
//   table f32[1000,64], ids i32[8,16], axis 0  ->  y f32[8,16,64]
//   table f32[4,1000],  ids i32[8],    axis 1  ->  y f32[4,8]
//
// On shards: a rank that holds the table's rows [row_begin, row_begin + rows) gives zeros for all
// others, so that the sum over the ranks is whole. The same for ids that are in no table, as
// MindSpore on a CPU. Backward adds the rows of dy up where they came from.
#pragma once

#include "relayout/spmd/tensor.h"

namespace relayout::kernels {

void Gather(const View<const float>& table, const View<const int32_t>& ids, size_t axis,
            int64_t row_begin, const View<float>& y);
// dtable is overwritten. Adds in the order of the ids.
void GatherGradient(const View<const float>& dy, const View<const int32_t>& ids, size_t axis,
                    int64_t row_begin, const View<float>& dtable);

// ids i32[8,16], y f32[8,16,1000], axis 2: `on` where the index along the axis is the id, else
// `off`. On shards: y's first class is class_begin.
void OneHot(const View<const int32_t>& ids, size_t axis, int64_t class_begin, float on, float off,
            const View<float>& y);

}  // namespace relayout::kernels
