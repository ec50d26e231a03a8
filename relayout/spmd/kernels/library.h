// SPDX-License-Identifier: Apache-2.0
//
// What the kernels take from oneDNN, the one place that includes it: products of matrices, and
// functions of single elements that want more than a few instructions. docs/performance.md,
// "Kernels", says why oneDNN.
//
// Callable from many threads at once; each call uses KernelThreads() threads (threads.h). The same
// call with as many threads gives the same bits.
#pragma once

#include <cstdint>

namespace relayout::kernels {

// A matrix in C order; transposed, it is read by columns.
struct MatrixOperand {
  const float* data = nullptr;
  bool transposed = false;
};

// c[m,n] = a[m,k] b[k,n]. A transposed a is stored as [k,m], a transposed b as [n,k].
void MultiplyMatrices(int64_t m, int64_t n, int64_t k, MatrixOperand a, MatrixOperand b, float* c);

enum class Function {
  kExp,
  kTanh,
  kSigmoid,
  kSilu,  // x sigmoid(x).
};

// y = function(x); y may be x.
void Apply(Function function, int64_t count, const float* x, float* y) noexcept;
// dx = dy * function'(x); dx may be dy.
void ApplyGradient(Function function, int64_t count, const float* x, const float* dy,
                   float* dx) noexcept;

}  // namespace relayout::kernels
