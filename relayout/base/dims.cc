// SPDX-License-Identifier: Apache-2.0
#include "relayout/base/dims.h"

#include "relayout/base/checked_math.h"

namespace relayout {

std::optional<int64_t> ElementCount(const Dims& dims) {
  // A zero anywhere makes the product zero, whatever the others are: look for it first, so that
  // [2^62, 2^62, 0] is an empty tensor and not an overflow.
  for (const int64_t dim : dims) {
    if (dim < 0) return std::nullopt;
  }
  if (std::find(dims.begin(), dims.end(), 0) != dims.end()) return 0;
  int64_t count = 1;
  for (const int64_t dim : dims) {
    const auto product = CheckedMul(count, dim);
    if (!product) return std::nullopt;
    count = *product;
  }
  return count;
}

std::string ToText(const Dims& dims) {
  std::string text = "[";
  for (size_t i = 0; i < dims.size(); ++i) {
    if (i != 0) text += ',';
    text += std::to_string(dims[i]);
  }
  return text + "]";
}

bool NextIndex(const Dims& begin, const Dims& end, Dims& index) {
  for (size_t d = index.size(); d-- > 0;) {
    if (++index[d] < end[d]) return true;
    index[d] = begin[d];
  }
  return false;
}

}  // namespace relayout
