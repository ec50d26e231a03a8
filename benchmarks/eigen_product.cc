// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/eigen_product.h"

#include "relayout/base/check.h"

#if __has_include(<eigen3/Eigen/Core>)
#include <eigen3/Eigen/Core>

namespace relayout {
namespace {

using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Reading = Eigen::Map<const RowMajor>;

void MultiplyOne(const MatrixProduct& p, const float* a, const float* b, float* c) {
  const Reading left(a, p.transpose_a ? p.k : p.m, p.transpose_a ? p.m : p.k);
  const Reading right(b, p.transpose_b ? p.n : p.k, p.transpose_b ? p.k : p.n);
  Eigen::Map<RowMajor> result(c, p.m, p.n);
  if (p.transpose_a) {
    result.noalias() = left.transpose() * right;
  } else if (p.transpose_b) {
    result.noalias() = left * right.transpose();
  } else {
    result.noalias() = left * right;
  }
}

}  // namespace

bool HasEigen() { return true; }

void MultiplyByEigen(const MatrixProduct& p, const float* a, const float* b, float* c) {
  for (int64_t i = 0; i < p.batch; ++i) {
    MultiplyOne(p, a + i * p.m * p.k, b + i * p.k * p.n, c + i * p.m * p.n);
  }
}

}  // namespace relayout

#else

namespace relayout {

bool HasEigen() { return false; }

void MultiplyByEigen(const MatrixProduct&, const float*, const float*, float*) {
  RELAYOUT_CHECK(false);
}

}  // namespace relayout
#endif
