// SPDX-License-Identifier: Apache-2.0
//
// Functions of single elements: ReLU, GeLU, SiLU, Tanh, Sigmoid, and the Square, Sqrt, Rsqrt, Exp,
// Log, Erf and Pow that norms, losses and GeLU are written out in; y may be x. Each gradient says
// whether it wants the input x or the result y of the forward pass: what of them has to be kept. dx
// may be dy.
#pragma once

#include "relayout/spmd/tensor.h"

namespace relayout::kernels {

void ReLU(const View<const float>& x, const View<float>& y);
// y or x, there is no difference; 0 has the gradient 0.
void ReLUGradient(const View<const float>& y, const View<const float>& dy, const View<float>& dx);

// As MindSpore's GeLU, by tanh: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x³))).
void GeLU(const View<const float>& x, const View<float>& y);
void GeLUGradient(const View<const float>& x, const View<const float>& dy, const View<float>& dx);

// By the error function: x/2 (1 + erf(x / sqrt(2))).
void GeLUByErf(const View<const float>& x, const View<float>& y);
void GeLUByErfGradient(const View<const float>& x, const View<const float>& dy,
                       const View<float>& dx);

// x sigmoid(x).
void SiLU(const View<const float>& x, const View<float>& y);
void SiLUGradient(const View<const float>& x, const View<const float>& dy, const View<float>& dx);

void Tanh(const View<const float>& x, const View<float>& y);
void TanhGradient(const View<const float>& y, const View<const float>& dy, const View<float>& dx);

void Sigmoid(const View<const float>& x, const View<float>& y);
void SigmoidGradient(const View<const float>& y, const View<const float>& dy,
                     const View<float>& dx);

void Square(const View<const float>& x, const View<float>& y);
void SquareGradient(const View<const float>& x, const View<const float>& dy, const View<float>& dx);

void Sqrt(const View<const float>& x, const View<float>& y);
void SqrtGradient(const View<const float>& y, const View<const float>& dy, const View<float>& dx);

// 1 / sqrt(x).
void Rsqrt(const View<const float>& x, const View<float>& y);
void RsqrtGradient(const View<const float>& y, const View<const float>& dy, const View<float>& dx);

void Exp(const View<const float>& x, const View<float>& y);
void ExpGradient(const View<const float>& y, const View<const float>& dy, const View<float>& dx);

// The natural one.
void Log(const View<const float>& x, const View<float>& y);
void LogGradient(const View<const float>& x, const View<const float>& dy, const View<float>& dx);

void Erf(const View<const float>& x, const View<float>& y);
void ErfGradient(const View<const float>& x, const View<const float>& dy, const View<float>& dx);

// x to the power of a number. Its gradient is 0 everywhere where the number is 0.
void Pow(const View<const float>& x, float exponent, const View<float>& y);
void PowGradient(const View<const float>& x, float exponent, const View<const float>& dy,
                 const View<float>& dx);

}  // namespace relayout::kernels
