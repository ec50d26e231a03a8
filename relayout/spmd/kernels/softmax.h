// SPDX-License-Identifier: Apache-2.0
//
// Softmax and LogSoftmax over one dim, and their backward; also in pieces, for a dim that is cut.
//
//   Softmax(x f32[256,10], 1, y)
//
// A rank that holds some of the classes does the same with a reduction over the ranks after each
// piece:
//
//   MaxOver(x, axis, max)                      all-reduce max, the largest
//   ExpOver(x, axis, max, y, sum)              all-reduce sum, the sum        y = exp(x - max)
//   DivideOver(y, axis, sum)                   y is the softmax
//   LogOver(x, axis, max, sum, y)              ... or, instead, its logarithm
//
// and backward:
//
//   DotOver(y, dy, axis, dot)                  all-reduce sum, the sum
//   SoftmaxGradientOver(y, dy, axis, dot, dx)
//
//   TotalOver(dy, axis, total)                 all-reduce sum, the sum
//   LogSoftmaxGradientOver(y, dy, axis, total, dx)
//
// What is made per row (max, sum, dot) has a value for each place in the other dims, in C order. A
// rank without classes has -infinity and 0. Any dim can be the axis; the last one is fastest. An
// axis is not negative here. Results may lie where the input does.
#pragma once

#include "relayout/spmd/tensor.h"

namespace relayout::kernels {

void Softmax(const View<const float>& x, size_t axis, const View<float>& y);
void SoftmaxGradient(const View<const float>& y, const View<const float>& dy, size_t axis,
                     const View<float>& dx);
void LogSoftmax(const View<const float>& x, size_t axis, const View<float>& y);
void LogSoftmaxGradient(const View<const float>& y, const View<const float>& dy, size_t axis,
                        const View<float>& dx);

// How many rows there are: the product of the other dims.
int64_t RowCount(const Dims& shape, size_t axis);

// The pieces. @pre every row array holds RowCount values
void MaxOver(const View<const float>& x, size_t axis, float* max);
void ExpOver(const View<const float>& x, size_t axis, const float* max, const View<float>& y,
             float* sum);
void DivideOver(const View<float>& y, size_t axis, const float* sum);
// y = x - max - log(sum).
void LogOver(const View<const float>& x, size_t axis, const float* max, const float* sum,
             const View<float>& y);
// The sum of y * dy.
void DotOver(const View<const float>& y, const View<const float>& dy, size_t axis, float* dot);
// dx = y (dy - dot).
void SoftmaxGradientOver(const View<const float>& y, const View<const float>& dy, size_t axis,
                         const float* dot, const View<float>& dx);
// The sum of dy.
void TotalOver(const View<const float>& dy, size_t axis, float* total);
// dx = dy - exp(y) total.
void LogSoftmaxGradientOver(const View<const float>& y, const View<const float>& dy, size_t axis,
                            const float* total, const View<float>& dx);

}  // namespace relayout::kernels
