// SPDX-License-Identifier: Apache-2.0
//
// Eigen's matrix product, apart from kernel_bench.cc because it is compiled for AVX2 and OpenMP.
#pragma once

#include "benchmarks/matrix_product.h"

namespace relayout {

// Whether Eigen's headers were found.
bool HasEigen();
// @pre HasEigen()
void MultiplyByEigen(const MatrixProduct& product, const float* a, const float* b, float* c);

}  // namespace relayout
