// SPDX-License-Identifier: Apache-2.0
#include "relayout/layout/box.h"

#include <algorithm>

namespace relayout {

Dims Box::shape() const {
  Dims shape;
  for (size_t d = 0; d < begin.size(); ++d) shape.push_back(end[d] - begin[d]);
  return shape;
}

int64_t Box::volume() const {
  int64_t volume = 1;
  for (size_t d = 0; d < begin.size(); ++d) volume *= end[d] - begin[d];
  return volume;
}

Box Intersect(const Box& a, const Box& b) {
  RELAYOUT_CHECK(a.begin.size() == b.begin.size());
  Box common;
  for (size_t d = 0; d < a.begin.size(); ++d) {
    const int64_t begin = std::max(a.begin[d], b.begin[d]);
    common.begin.push_back(begin);
    common.end.push_back(std::max(begin, std::min(a.end[d], b.end[d])));
  }
  return common;
}

std::string ToText(const Box& box) {
  std::string text = "[";
  for (size_t d = 0; d < box.begin.size(); ++d) {
    if (d != 0) text += ',';
    text += std::to_string(box.begin[d]) + ":" + std::to_string(box.end[d]);
  }
  return text + "]";
}

int64_t OffsetIn(const Box& box, const Dims& index) {
  int64_t offset = 0;
  for (size_t d = 0; d < index.size(); ++d) {
    offset = offset * (box.end[d] - box.begin[d]) + (index[d] - box.begin[d]);
  }
  return offset;
}

}  // namespace relayout
