// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/kernels/strides.h"

#include "relayout/base/check.h"

namespace relayout::kernels {

Dims DenseStrides(const Dims& shape) {
  Dims strides = Dims::Filled(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;) strides[d - 1] = strides[d] * shape[d];
  return strides;
}

Dims BroadcastStrides(const Dims& shape, const Dims& wanted) {
  RELAYOUT_CHECK(shape.size() <= wanted.size());
  const Dims dense = DenseStrides(shape);
  const size_t missing = wanted.size() - shape.size();
  Dims strides = Dims::Filled(wanted.size(), 0);
  for (size_t d = 0; d < shape.size(); ++d) {
    RELAYOUT_CHECK(shape[d] == wanted[missing + d] || shape[d] == 1);
    if (shape[d] != 1) strides[missing + d] = dense[d];
  }
  return strides;
}

}  // namespace relayout::kernels
