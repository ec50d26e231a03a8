// SPDX-License-Identifier: Apache-2.0
#include "relayout/plan/runs.h"

namespace relayout {

size_t FirstWholeDim(const Box& container, const Box& box) {
  size_t first = box.begin.size();
  while (first > 0 && box.begin[first - 1] == container.begin[first - 1] &&
         box.end[first - 1] == container.end[first - 1]) {
    --first;
  }
  return first;
}

int64_t RunElements(const Box& container, const Box& box) {
  const size_t first_whole = FirstWholeDim(container, box);
  int64_t elements = 1;
  for (size_t d = first_whole == 0 ? 0 : first_whole - 1; d < box.begin.size(); ++d) {
    elements *= box.end[d] - box.begin[d];
  }
  return elements;
}

}  // namespace relayout
