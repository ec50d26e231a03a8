// SPDX-License-Identifier: Apache-2.0
//
// The families of kernels; operator_kernel.cc puts them into one table.
#pragma once

#include <vector>

#include "relayout/spmd/operator_kernel.h"

namespace relayout {

std::vector<OperatorKernel> ElementKernels();  // Add, ReLU, Cast, Dropout; with broadcasting.
std::vector<OperatorKernel> LossKernels();     // NLLLoss, SoftmaxCrossEntropyWithLogits.
std::vector<OperatorKernel> MatrixKernels();   // MatMul, BatchMatMul, Dense.
std::vector<OperatorKernel> ShapeKernels();    // Reshape, Transpose, Split, Concat.

}  // namespace relayout
