// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/mesh_group.h"

#include <gtest/gtest.h>

namespace relayout {
namespace {

TEST(MeshGroup, RanksAlongAxes) {
  struct Case {
    std::vector<int64_t> mesh;
    std::vector<int> axes;
    int64_t local_rank;
    int64_t first_rank;
    std::vector<int> group;
  };
  const Case cases[] = {
      {{}, {}, 0, 3, {3}},
      {{2, 2, 2}, {1}, 5, 8, {13, 15}},
      {{2, 2, 2}, {0, 2}, 5, 8, {8, 9, 12, 13}},
      {{2, 2, 2}, {2, 0}, 5, 8, {8, 9, 12, 13}},
      {{2, 2, 2}, {}, 5, 8, {13}},
      {{2, 2, 2}, {0, 1, 2}, 3, 0, {0, 1, 2, 3, 4, 5, 6, 7}},
      {{3, 1, 2}, {1}, 4, 0, {4}},
      {{3, 1, 2}, {0, 1}, 3, 0, {1, 3, 5}},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(MeshGroup(c.mesh, c.axes, c.local_rank, c.first_rank), c.group);
  }
}

}  // namespace
}  // namespace relayout
