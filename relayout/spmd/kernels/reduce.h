// SPDX-License-Identifier: Apache-2.0
//
// Sums and means over dims.
//
//   x f32[8,16,64], summed {no, yes, no} -> y f32[8,64] (or [8,1,64]: the elements are the same)
//
// Long sums are made in double, in an order that does not depend on the number of threads. Over a
// dim that is cut, SumOver of the shard is one rank's part of the sum; a mean is scale = 1 / the
// whole count. Backward: Broadcast of dy with the same scale.
#pragma once

#include <array>

#include "relayout/spmd/tensor.h"

namespace relayout::kernels {

// One for each dim; those beyond the shape are not looked at.
using DimSet = std::array<bool, kMaxDims>;

// y[kept dims] = scale * the sum of x over the dims in `summed`, accumulated in double. An empty
// sum is 0. y holds as many elements as the kept dims give.
void SumOver(const View<const float>& x, const DimSet& summed, float scale, float* y);

// y = scale * x, repeated over the dims that x lacks or has of length 1. @pre x broadcasts to y
void Broadcast(const View<const float>& x, float scale, const View<float>& y);

// Axes as an operator has them: negative ones count from the end, none at all are all of them.
// @pre each is a dim
DimSet ToDimSet(std::span<const int64_t> axes, size_t dim_count);
// The shape with the dims of `reduced` as 1.
Dims KeptAsOnes(const Dims& shape, const DimSet& reduced);

// The mean of a dim in `summed` over this many elements.
int64_t ReducedCount(const Dims& shape, const DimSet& reduced);

}  // namespace relayout::kernels
