// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/mesh_group.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "relayout/base/check.h"

namespace relayout {

std::vector<int> MeshGroup(const std::vector<int64_t>& mesh, const std::vector<int>& axes,
                           int64_t local_rank, int64_t first_rank) {
  // The member with coordinate 0 along the axes, then the others, axis by axis from the outermost.
  std::vector<int64_t> members = {first_rank + local_rank};
  int64_t stride = 1;
  for (int axis = static_cast<int>(mesh.size()); axis-- > 0;) {
    const int64_t length = mesh[static_cast<size_t>(axis)];
    if (std::ranges::find(axes, axis) != axes.end()) {
      const size_t count = members.size();
      for (size_t i = 0; i < count; ++i) {
        members[i] -= local_rank / stride % length * stride;
      }
      for (int64_t step = 1; step < length; ++step) {
        for (size_t i = 0; i < count; ++i) members.push_back(members[i] + step * stride);
      }
    }
    stride *= length;
  }
  RELAYOUT_CHECK(local_rank >= 0 && local_rank < stride);
  std::vector<int> group(members.begin(), members.end());
  std::ranges::sort(group);
  return group;
}

}  // namespace relayout
