// SPDX-License-Identifier: Apache-2.0
//
// Sums, products and what else is done element by element to two arrays, with broadcasting.
//
//   Add(x f32[32,512], b f32[512], y f32[32,512])
//   SumTo(dy f32[32,512], db f32[512])               its backward: db is the sum over the rows
//
// Dims are matched from the last one on; an input's dim of 1, or none, is repeated. Results have
// their memory already, in the shape that graph/operator_shapes gives; y may be one of the inputs
// when it has its shape. Shapes that do not fit are our own mistake and a failed CHECK.
//
// On shards: each of these works on shards as it does on wholes, only that a sum over a dim that is
// cut (SumTo over the rows of a batch) has still to be summed over the ranks.
#pragma once

#include "relayout/spmd/tensor.h"

namespace relayout::kernels {

void Add(const View<const float>& a, const View<const float>& b, const View<float>& y);
void Sub(const View<const float>& a, const View<const float>& b, const View<float>& y);
void Mul(const View<const float>& a, const View<const float>& b, const View<float>& y);
void RealDiv(const View<const float>& a, const View<const float>& b, const View<float>& y);

// x f32[n,c,...] + bias f32[c], along dim 1 or, channels_last, the last one.
void BiasAdd(const View<const float>& x, const View<const float>& bias, bool channels_last,
             const View<float>& y);
void BiasAddGradient(const View<const float>& dy, bool channels_last, const View<float>& dbias);

// Backward. Add: da = SumTo(dy), db = SumTo(dy). Sub: the same, and db negated.
//
// dx = scale * the sums of dy over the dims along which x was repeated. @pre dx broadcasts to dy
void SumTo(const View<const float>& dy, const View<float>& dx, float scale = 1);
// Mul: of the one factor, from the other one.
void MulGradient(const View<const float>& dy, const View<const float>& other,
                 const View<float>& dx);
// RealDiv: da = dy / b, db = -dy a / b².
void DividendGradient(const View<const float>& dy, const View<const float>& b,
                      const View<float>& da);
void DivisorGradient(const View<const float>& dy, const View<const float>& a,
                     const View<const float>& b, const View<float>& db);

// y = scale * x + offset; y may be x. Neg is (-1, 0).
void Affine(const View<const float>& x, float scale, float offset, const View<float>& y);

// Cast. To integers toward zero; what does not fit into them is the nearest that does, NaN is 0.
void Cast(const View<const float>& x, const View<int32_t>& y);
void Cast(const View<const int32_t>& x, const View<float>& y);

}  // namespace relayout::kernels
