// SPDX-License-Identifier: Apache-2.0
//
// LayerNorm and RmsNorm. The dims that are normalized come last and are one dim here:
//
//   x f32[16,128,512] normalized from dim 2 on is x f32[2048,512], gamma f32[512]
//
//   LayerNorm  y = gamma (x - mean) / sqrt(variance + epsilon) + beta
//   RmsNorm    y = gamma x / sqrt(mean of x² + epsilon)
//
// What the backward pass needs of a row besides x is kept: its mean and its inverse deviation
// 1 / sqrt(... + epsilon). On shards: rows may be cut, the normalized dim may not; dgamma and dbeta
// are then one rank's part of a sum.
#pragma once

#include "relayout/spmd/tensor.h"

namespace relayout::kernels {

// x and y f32[rows,columns]; gamma and beta f32[columns]; mean and inverse f32[rows].
void LayerNorm(const View<const float>& x, const View<const float>& gamma,
               const View<const float>& beta, float epsilon, const View<float>& y,
               const View<float>& mean, const View<float>& inverse);
void LayerNormGradient(const View<const float>& x, const View<const float>& gamma,
                       const View<const float>& mean, const View<const float>& inverse,
                       const View<const float>& dy, const View<float>& dx,
                       const View<float>& dgamma, const View<float>& dbeta);

void RmsNorm(const View<const float>& x, const View<const float>& gamma, float epsilon,
             const View<float>& y, const View<float>& inverse);
void RmsNormGradient(const View<const float>& x, const View<const float>& gamma,
                     const View<const float>& inverse, const View<const float>& dy,
                     const View<float>& dx, const View<float>& dgamma);

}  // namespace relayout::kernels
