// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/auto/movement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

Layout Make(std::vector<int64_t> mesh, std::vector<std::vector<int>> dim_axes) {
  LayoutSpec spec;
  spec.mesh = std::move(mesh);
  spec.dim_axes = std::move(dim_axes);
  Result<Layout> layout = Layout::Create(std::move(spec));
  EXPECT_TRUE(layout.ok());
  return std::move(layout).value();
}

// The definition, on a tensor of so many elements: what the busiest rank lacks.
int64_t LackingByListing(const Layout& from, const Layout& to, const Dims& shape) {
  const Partition has = *Partition::Create(from, shape);
  const Partition needs = *Partition::Create(to, shape);
  int64_t most = 0;
  for (int64_t rank = 0; rank < from.device_count(); ++rank) {
    const Box a = has.BoxOf(from.CellOf(rank));
    const Box b = needs.BoxOf(to.CellOf(rank));
    int64_t needed = 1;
    int64_t shared = 1;
    for (size_t d = 0; d < shape.size(); ++d) {
      needed *= b.end[d] - b.begin[d];
      shared *=
          std::max<int64_t>(0, std::min(a.end[d], b.end[d]) - std::max(a.begin[d], b.begin[d]));
    }
    most = std::max(most, needed - shared);
  }
  return most;
}

struct Case {
  Layout from;
  Layout to;
  double fraction;
  int64_t group_size;
  bool crosses_nodes;
};

TEST(Movement, Table) {
  const std::vector<Case> cases = {
      // Nothing to do.
      {Make({8}, {{0}, {}}), Make({8}, {{0}, {}}), 0, 1, false},
      {Make({8}, {{0}, {}}), Make({2, 4}, {{0, 1}, {}}), 0, 1, false},
      // Slices.
      {Make({8}, {{}, {}}), Make({8}, {{0}, {}}), 0, 1, false},
      {Make({2, 4}, {{0}, {}}), Make({2, 4}, {{0}, {1}}), 0, 1, false},
      // All-gathers; nodes of four devices.
      {Make({8}, {{0}, {}}), Make({8}, {{}, {}}), 7.0 / 8, 8, true},
      {Make({2, 4}, {{0}, {1}}), Make({2, 4}, {{0}, {}}), 1.0 / 2 - 1.0 / 8, 4, false},
      {Make({2, 4}, {{0}, {1}}), Make({2, 4}, {{}, {1}}), 1.0 / 4 - 1.0 / 8, 2, true},
      // All-to-all.
      {Make({4}, {{0}, {}}), Make({4}, {{}, {0}}), 1.0 / 4 - 1.0 / 16, 4, false},
      // Exchanges: some device lacks everything.
      {Make({2, 2}, {{0}, {}}), Make({2, 2}, {{1}, {}}), 1.0 / 2, 4, false},
      {Make({2, 2}, {{0}, {1}}), Make({2, 2}, {{1}, {0}}), 1.0 / 4, 4, false},
      // No common atoms.
      {Make({2, 3}, {{0}, {}}), Make({3, 2}, {{}, {0}}), 1.0 / 3 - 1.0 / 6, 6, true},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(ToText(c.from) + " -> " + ToText(c.to));
    const Movement movement = MovementBetween(c.from, c.to, 4);
    EXPECT_NEAR(movement.fraction, c.fraction, 1e-12);
    EXPECT_EQ(movement.group_size, c.group_size);
    EXPECT_EQ(movement.crosses_nodes, c.crosses_nodes);
  }
}

// Every layout of two dims on these meshes, each axis used by one dim or none, in either order.
std::vector<Layout> AllLayouts(const std::vector<int64_t>& mesh) {
  std::vector<Layout> layouts;
  std::vector<int> order(mesh.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
  do {
    size_t choices = 1;
    for (size_t i = 0; i < mesh.size(); ++i) choices *= 3;
    for (size_t choice = 0; choice < choices; ++choice) {
      std::vector<std::vector<int>> dims(2);
      size_t rest = choice;
      for (const int axis : order) {
        if (rest % 3 < 2) dims[rest % 3].push_back(axis);
        rest /= 3;
      }
      layouts.push_back(Make(mesh, std::move(dims)));
    }
  } while (std::next_permutation(order.begin(), order.end()));
  return layouts;
}

TEST(Movement, IsWhatTheBusiestRankLacks) {
  const Dims shape = {36, 24};
  for (const std::vector<std::vector<int64_t>>& meshes :
       {std::vector<std::vector<int64_t>>{{2, 2, 2}, {4, 2}, {2, 4}, {8}},
        std::vector<std::vector<int64_t>>{{2, 3}, {3, 2}, {6}}}) {
    std::vector<Layout> layouts;
    for (const std::vector<int64_t>& mesh : meshes) {
      for (Layout& layout : AllLayouts(mesh)) {
        if (Partition::Create(layout, shape).ok()) layouts.push_back(std::move(layout));
      }
    }
    for (const Layout& from : layouts) {
      for (const Layout& to : layouts) {
        const int64_t lacking = LackingByListing(from, to, shape);
        ASSERT_NEAR(MovementBetween(from, to, 8).fraction * 36 * 24, static_cast<double>(lacking),
                    1e-6)
            << ToText(from) << " -> " << ToText(to);
      }
    }
  }
}

TEST(Movement, CrossesNodes) {
  EXPECT_FALSE(CrossesNodes({2, 4, 2}, {2}, 8));
  EXPECT_FALSE(CrossesNodes({2, 4, 2}, {1}, 8));
  EXPECT_TRUE(CrossesNodes({2, 4, 2}, {0}, 8));
  EXPECT_TRUE(CrossesNodes({2, 4, 2}, {1}, 4));
  EXPECT_FALSE(CrossesNodes({2, 4, 2}, {}, 1));
  EXPECT_FALSE(CrossesNodes({1, 2}, {0}, 1));
}

}  // namespace
}  // namespace relayout
