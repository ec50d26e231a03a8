// SPDX-License-Identifier: Apache-2.0
//
// The families of kernels; operator_kernel.cc puts them into one table.
#pragma once

#include <vector>

#include "relayout/spmd/operator_kernel.h"

namespace relayout {

std::vector<OperatorKernel> ArithmeticKernels();     // Add, Mul, Muls, BiasAdd; with broadcasting.
std::vector<OperatorKernel> DropoutKernels();        // Dropout.
std::vector<OperatorKernel> ElementKernels();        // ReLU, GeLU, Neg, Cast.
std::vector<OperatorKernel> LookupKernels();         // Gather, Embedding, OneHot.
std::vector<OperatorKernel> LossKernels();           // NLLLoss, SoftmaxCrossEntropyWithLogits.
std::vector<OperatorKernel> MatrixKernels();         // MatMul, BatchMatMul, Dense.
std::vector<OperatorKernel> NormalizationKernels();  // Softmax, LayerNorm, RmsNorm.
std::vector<OperatorKernel> PieceKernels();          // Split, Concat, Stack, StridedSlice.
std::vector<OperatorKernel> ReductionKernels();      // ReduceSum, ReduceMean.
std::vector<OperatorKernel> ShapeKernels();          // Reshape, Transpose, BroadcastTo, Tile.
std::vector<OperatorKernel> TriangleKernels();       // Tril, Triu.

}  // namespace relayout
