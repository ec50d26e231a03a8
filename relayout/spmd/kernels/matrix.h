// SPDX-License-Identifier: Apache-2.0
//
// MatMul and BatchMatMul, and their backward.
//
//   MatMul      a f32[32,784] b f32[784,512]          -> c f32[32,512]
//   transpose_b a f32[32,784] b f32[512,784]          -> c f32[32,512]
//   BatchMatMul a f32[8,1,128,64] b f32[4,64,128]     -> c f32[8,4,128,128]   batch dims broadcast
//
// On shards: with the dim that is summed over cut, c is one rank's part of a sum over ranks.
#pragma once

#include "relayout/spmd/tensor.h"

namespace relayout::kernels {

struct Transposes {
  bool a = false;  // a is stored as [k,m].
  bool b = false;  // b is stored as [n,k].
};

// c[m,n] = a[m,k] b[k,n].
void MatMul(const View<const float>& a, const View<const float>& b, Transposes transposes,
            const View<float>& c);
// da and db have the shapes of a and b.
void MatMulGradientA(const View<const float>& dc, const View<const float>& b, Transposes transposes,
                     const View<float>& da);
void MatMulGradientB(const View<const float>& dc, const View<const float>& a, Transposes transposes,
                     const View<float>& db);

// The same of each pair of matrices; the dims before the last two broadcast.
void BatchMatMul(const View<const float>& a, const View<const float>& b, Transposes transposes,
                 const View<float>& c);
void BatchMatMulGradientA(const View<const float>& dc, const View<const float>& b,
                          Transposes transposes, const View<float>& da);
void BatchMatMulGradientB(const View<const float>& dc, const View<const float>& a,
                          Transposes transposes, const View<float>& db);

}  // namespace relayout::kernels
