// SPDX-License-Identifier: Apache-2.0
#include "relayout/layout/layout.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "relayout/base/text.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

// The definition of layout.h, read literally: lists of ranks instead of arithmetic.
struct NaiveLayout {
  explicit NaiveLayout(const Layout& layout) : layout(layout) {}

  Dims MeshPieces(int64_t rank) const {
    std::map<int, int64_t> coordinates;
    for (int axis = static_cast<int>(layout.spec().mesh.size()) - 1; axis >= 0; --axis) {
      const int64_t size = layout.spec().mesh[static_cast<size_t>(axis)];
      coordinates[axis] = rank % size;
      rank /= size;
    }
    Dims pieces;
    for (const auto& axes : layout.spec().dim_axes) {
      int64_t piece = 0;
      for (const int axis : axes) {
        piece = piece * layout.spec().mesh[static_cast<size_t>(axis)] + coordinates[axis];
      }
      pieces.push_back(piece);
    }
    return pieces;
  }

  // The cell of a rank, by listing the ranks that share its mesh pieces.
  Dims CellOf(int64_t rank) const {
    const Dims mine = MeshPieces(rank);
    int64_t before = 0;
    for (int64_t other = 0; other < rank; ++other) before += MeshPieces(other) == mine ? 1 : 0;
    Dims cell = mine;
    if (const int64_t k = layout.optimizer_count(); k > 1) cell[0] = cell[0] * k + before % k;
    return cell;
  }

  const Layout& layout;
};

// Every layout of up to three dims on meshes of up to eight devices and three axes.
std::vector<Layout> AllSmallLayouts() {
  std::vector<Layout> layouts;
  for (const std::vector<int64_t>& mesh : std::vector<std::vector<int64_t>>{{},
                                                                            {1},
                                                                            {2},
                                                                            {3},
                                                                            {4},
                                                                            {6},
                                                                            {8},
                                                                            {2, 2},
                                                                            {2, 3},
                                                                            {3, 2},
                                                                            {2, 4},
                                                                            {4, 2},
                                                                            {2, 1, 3},
                                                                            {2, 2, 2}}) {
    const int axis_count = static_cast<int>(mesh.size());
    for (size_t dims = 0; dims <= 3; ++dims) {
      // Each axis goes to a dim or stays unused; when a dim gets several, both orders are tried.
      const auto choices = static_cast<int>(dims) + 1;
      int total = 1;
      for (int i = 0; i < axis_count; ++i) total *= choices;
      for (int code = 0; code < total; ++code) {
        for (const bool reverse : {false, true}) {
          LayoutSpec spec;
          spec.mesh = mesh;
          spec.dim_axes.resize(dims);
          int rest = code;
          for (int i = 0; i < axis_count; ++i) {
            const int axis = reverse ? axis_count - 1 - i : i;
            if (rest % choices > 0) {
              spec.dim_axes[static_cast<size_t>(rest % choices - 1)].push_back(axis);
            }
            rest /= choices;
          }
          for (const int64_t group : {1, 2, 3, 4, 8}) {
            spec.optimizer_group = group;
            if (auto layout = Layout::Create(spec); layout.ok()) layouts.push_back(*layout);
          }
        }
      }
    }
  }
  return layouts;
}

TEST(Layout, AgreesWithItsDefinitionInAllSmallWorlds) {
  const std::vector<Layout> layouts = AllSmallLayouts();
  ASSERT_GT(layouts.size(), 500U);
  for (const Layout& layout : layouts) {
    SCOPED_TRACE(ToText(layout));
    const NaiveLayout naive(layout);
    std::map<int64_t, int64_t> holders;
    for (int64_t rank = 0; rank < layout.device_count(); ++rank) {
      const Dims cell = layout.CellOf(rank);
      ASSERT_EQ(cell, naive.CellOf(rank)) << "rank " << rank;
      const int64_t shard = layout.ShardIndexOf(cell);
      ASSERT_EQ(layout.CellOfShard(shard), cell);
      ASSERT_EQ(layout.ReplicaOf(rank), holders[shard]) << "rank " << rank;
      ASSERT_EQ(layout.RankOf(cell, holders[shard]), rank);
      ++holders[shard];
    }
    ASSERT_EQ(std::ssize(holders), layout.shard_count());
    for (const auto& [shard, count] : holders) ASSERT_EQ(count, layout.replica_count());
  }
}

TEST(Layout, NotationRoundTripsInAllSmallWorlds) {
  for (const Layout& layout : AllSmallLayouts()) {
    const std::string text = ToText(layout);
    const auto parsed = ParseLayout(text);
    ASSERT_TRUE(parsed.ok()) << text << ": " << parsed.status().message();
    ASSERT_EQ(*parsed, layout) << text;
  }
}

TEST(Layout, HoldSameShardsAsTheirRanksDoInAllSmallWorlds) {
  // What all ranks hold, as text, and the layouts that say so.
  std::map<std::string, std::vector<Layout>> worlds;
  for (const Layout& layout : AllSmallLayouts()) {
    std::string cells = ToText(layout.grid());
    for (int64_t rank = 0; rank < layout.device_count(); ++rank) {
      cells += ToText(layout.CellOf(rank));
    }
    worlds[cells].push_back(layout);
  }
  const Layout* before = nullptr;
  for (const auto& [cells, layouts] : worlds) {
    for (const Layout& layout : layouts) {
      EXPECT_TRUE(HoldSameShards(layouts[0], layout))
          << ToText(layouts[0]) << " and " << ToText(layout);
    }
    if (before != nullptr) {
      EXPECT_FALSE(HoldSameShards(*before, layouts[0]))
          << ToText(*before) << " and " << ToText(layouts[0]);
    }
    before = &layouts[0];
  }
  EXPECT_GT(worlds.size(), 100U);
}

TEST(Layout, TheExampleOfTheHeader) {
  const auto tensor = ParseTensor("{a:2,b:2,c:2} f32[784,512] @ (-,b) opt:4");
  ASSERT_TRUE(tensor.ok()) << tensor.status().message();
  const auto partition = Partition::Create(tensor->layout, tensor->shape);
  ASSERT_TRUE(partition.ok());
  EXPECT_EQ(ToText(tensor->layout.grid()), "[4,2]");
  EXPECT_EQ(tensor->layout.replica_count(), 1);
  EXPECT_EQ(ToText(partition->BoxOf(tensor->layout.CellOf(5))), "[588:784,0:256]");
}

TEST(Layout, UnevenRows) {
  const auto layout = ParseLayout("{a:2,b:2} (a,-) rows:5+3");
  ASSERT_TRUE(layout.ok()) << layout.status().message();
  const auto partition = Partition::Create(*layout, {8, 4});
  ASSERT_TRUE(partition.ok());
  EXPECT_EQ(ToText(partition->BoxOf(layout->CellOf(0))), "[0:5,0:4]");
  EXPECT_EQ(ToText(partition->BoxOf(layout->CellOf(3))), "[5:8,0:4]");
  EXPECT_EQ(partition->PieceAt(0, 4), 0);
  EXPECT_EQ(partition->PieceAt(0, 5), 1);
  EXPECT_EQ(*WholeShape(*layout, 2, {3, 4}), (Dims{8, 4}));
  EXPECT_FALSE(WholeShape(*layout, 2, {5, 4}).ok());
}

TEST(Layout, RefusesWhatCannotBe) {
  struct Case {
    const char* notation;
    const char* message;
  };
  for (const Case& c : {
           Case{"{a:2} (a,a)", "mesh axis 0 cuts the tensor twice"},
           Case{"{a:0} (-)", "axis of size 0"},
           Case{"{a:4} (-) opt:3", "groups of 3 does not fit 4 replicas"},
           Case{"{a:4} (a) opt:2", "groups of 2 does not fit 1 replica"},
           Case{"{a:4} () opt:2", "0-d tensor"},
           Case{"{a:2} (a) rows:1+2+3", "lists 3 pieces, but dim 0 is cut into 2"},
           Case{"{a:2,b:2} (a) opt:2 rows:1+2", "not defined"},
           Case{"{a:4294967296} (-)", "more than 2^31 devices"},
           Case{"{a:2} (b)", "expected the name of a mesh axis at character 8"},
           Case{"{a:2} (a", "expected ','"},
           Case{"{a:2} (a) and", "expected the end"},
           Case{"a", "expected '{' at character 1"},
       }) {
    const auto layout = ParseLayout(c.notation);
    ASSERT_FALSE(layout.ok()) << c.notation;
    EXPECT_NE(layout.status().message().find(c.message), std::string::npos)
        << c.notation << ": " << layout.status().message();
  }
}

TEST(Partition, SaysWhichDimDoesNotDivide) {
  const auto partition = Partition::Create(*ParseLayout("{a:6} (-,a)"), {8, 784});
  ASSERT_FALSE(partition.ok());
  EXPECT_EQ(partition.status().message(), "dim 1 = 784 is not divisible by 6");
  EXPECT_EQ(Partition::Create(*ParseLayout("{a:6} (a)"), {8, 784}).status().message(),
            "the tensor [8,784] has 2 dims, but its layout is for 1");
}

TEST(Partition, PiecesAndCoordinatesAgree) {
  const auto partition = Partition::Create(*ParseLayout("{a:3,b:2} (b*a)"), {12});
  ASSERT_TRUE(partition.ok());
  for (int64_t x = 0; x < 12; ++x) {
    const int64_t piece = partition->PieceAt(0, x);
    EXPECT_LE(partition->PieceBegin(0, piece), x);
    EXPECT_GT(partition->PieceBegin(0, piece + 1), x);
  }
}

TEST(Partition, EmptyTensorsHaveEmptyShards) {
  const auto partition = Partition::Create(*ParseLayout("{a:2} (a,-)"), {0, 4});
  ASSERT_TRUE(partition.ok());
  EXPECT_EQ(partition->BoxOf({1, 0}).volume(), 0);
}

}  // namespace
}  // namespace relayout
