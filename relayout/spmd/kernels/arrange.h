// SPDX-License-Identifier: Apache-2.0
//
// Operators that only move elements: Transpose, Split, Concat, StridedSlice; and those that leave
// some out, Tril and Triu. Reshape, Flatten, ExpandDims and Squeeze need none: they are
// View::Reshaped.
//
//   Transpose(x f32[16,128,8,64], (0,2,1,3), y f32[16,8,128,64])
//   Slice(x f32[4,12], begin (0,4), step (1,1), y f32[4,4])           the second of a Split in
//   three Paste(y f32[4,4], begin (0,4), step (1,1), x f32[4,12])           a part of a Concat
//
// Split is a Slice a result, Concat a Paste an input; each is the other one's backward. Integers
// (ids, labels) have no gradient.
#pragma once

#include "relayout/spmd/tensor.h"

namespace relayout::kernels {

// y's dim d is x's dim order[d]. @pre order is a permutation, y has that shape
void Transpose(const View<const float>& x, const Dims& order, const View<float>& y);
void Transpose(const View<const int32_t>& x, const Dims& order, const View<int32_t>& y);
// The order that undoes `order`: Transpose's backward is a Transpose by it.
Dims InverseOrder(const Dims& order);

// y[i] = x[begin + i * step]. Steps may be negative. @pre all of these are in x
void Slice(const View<const float>& x, const Dims& begin, const Dims& step, const View<float>& y);
void Slice(const View<const int32_t>& x, const Dims& begin, const Dims& step,
           const View<int32_t>& y);
// x[begin + i * step] = y[i]; the rest of x stays.
void Paste(const View<const float>& y, const Dims& begin, const Dims& step, const View<float>& x);
void Paste(const View<const int32_t>& y, const Dims& begin, const Dims& step,
           const View<int32_t>& x);
// Slice's backward: zeros, and dy where it came from.
void SliceGradient(const View<const float>& dy, const Dims& begin, const Dims& step,
                   const View<float>& dx);

// Of the matrices that the last two dims are, what is on and below a diagonal (or on and above it);
// zeros elsewhere. The diagonal number d goes through row 0 at column d. On shards: x's first row
// is number row_begin of the whole; its columns are whole. y may be x. Backward is the same of dy.
enum class Triangle : uint8_t { kLower, kUpper };
void TakeTriangle(const View<const float>& x, Triangle triangle, int64_t diagonal,
                  int64_t row_begin, const View<float>& y);

}  // namespace relayout::kernels
