// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/operators/cuts.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/spmd/operators.h"

namespace relayout {
namespace {

using DimAxes = std::vector<std::vector<int>>;

Layout Cut(const std::vector<int64_t>& mesh, DimAxes dim_axes) {
  LayoutSpec spec;
  spec.mesh = mesh;
  spec.dim_axes = std::move(dim_axes);
  return Layout::Create(std::move(spec)).value();
}

OperatorLayout Reshaping(const std::vector<int64_t>& mesh, const DimAxes& x, const DimAxes& y) {
  OperatorLayout layout;
  layout.inputs = {Cut(mesh, x)};
  layout.outputs = {Cut(mesh, y)};
  return layout;
}

testing::OneOperator Reshape(const Dims& x, const Dims& y) {
  return testing::OneOperator({"Reshape",
                               Format("f32{}", ToText(x)),
                               {{"shape", std::vector<int64_t>(y.begin(), y.end())}}});
}

// Mesh {2,2}; axes that cut dims of x, of y, and what is left of each.
TEST(AdaptToOrder, TakesOutWhatWouldChangeTheOrder) {
  struct Row {
    Dims x, y;
    DimAxes x_cuts, y_cuts;
    DimAxes x_left, y_left;
  };
  const Row rows[] = {
      // The same rows.
      {{8, 6}, {2, 4, 6}, {{0}, {}}, {{0}, {}, {}}, {{0}, {}}, {{0}, {}, {}}},
      {{8, 6}, {4, 2, 6}, {{0, 1}, {}}, {{0, 1}, {}, {}}, {{0, 1}, {}}, {{0, 1}, {}, {}}},
      {{2, 4, 6}, {8, 6}, {{0}, {1}, {}}, {{0, 1}, {}}, {{0}, {1}, {}}, {{0, 1}, {}}},
      // Rows by one axis, columns by another.
      {{8, 6}, {2, 4, 6}, {{0}, {1}}, {{0}, {}, {1}}, {{0}, {1}}, {{0}, {}, {1}}},
      {{8, 6}, {8, 2, 3}, {{0}, {1}}, {{0}, {1}, {}}, {{0}, {1}}, {{0}, {1}, {}}},
      // Of y other rows than of x, in other columns, or in the other order of axes.
      {{8, 6}, {2, 4, 6}, {{0}, {}}, {{}, {0}, {}}, {{}, {}}, {{}, {}, {}}},
      {{8, 6}, {8, 3, 2}, {{0}, {1}}, {{0}, {}, {1}}, {{0}, {}}, {{0}, {}, {}}},
      {{8, 6}, {2, 4, 6}, {{0}, {}}, {{1}, {}, {}}, {{}, {}}, {{}, {}, {}}},
      // {4,12} by columns has elements of each row; {8,6} by rows has not.
      {{4, 12}, {8, 6}, {{}, {0}}, {{0}, {}}, {{}, {}}, {{}, {}}},
      // A cut of x alone would make y a term.
      {{2, 4, 6}, {8, 6}, {{0}, {1}, {}}, {{0}, {}}, {{0}, {}, {}}, {{0}, {}}},
      {{2, 4}, {8}, {{}, {1}}, {{}}, {{}, {}}, {{}}},
  };
  for (const Row& row : rows) {
    OperatorLayout layout = Reshaping({2, 2}, row.x_cuts, row.y_cuts);
    SCOPED_TRACE(testing::ToText(layout));
    const testing::OneOperator one = Reshape(row.x, row.y);
    AdaptToOrder(one.graph(), one.op(), layout);
    EXPECT_EQ(layout.inputs[0].spec().dim_axes, row.x_left);
    EXPECT_EQ(layout.outputs[0].spec().dim_axes, row.y_left);
  }
}

// Each axis cuts a dim of either, none, or both.
DimAxes RandomCuts(oracle::Random& random, const std::vector<int64_t>& mesh, const Dims& shape) {
  DimAxes cuts(shape.size());
  Dims left = shape;
  for (int axis = 0; axis < std::ssize(mesh); ++axis) {
    const auto d = static_cast<size_t>(random.Below(std::ssize(cuts)));
    const int64_t pieces = mesh[static_cast<size_t>(axis)];
    if (random.OneIn(3) || left[d] % pieces != 0) continue;
    left[d] /= pieces;
    cuts[d].push_back(axis);
  }
  return cuts;
}

TEST(AdaptToOrder, LeavesWhatIsRightUnderRandomLayouts) {
  const std::vector<Dims> shapes = {{24, 4}, {4, 24}, {2, 12, 4}, {96}, {8, 3, 4}, {2, 2, 6, 4}};
  const std::vector<std::vector<int64_t>> meshes = {{2, 2, 2}, {4, 2}, {2, 3}, {8}};
  oracle::Random random(5);
  int64_t cut = 0;
  for (int i = 0; i < 300; ++i) {
    const Dims& x = random.Pick(shapes);
    const Dims& y = random.Pick(shapes);
    const std::vector<int64_t>& mesh = random.Pick(meshes);
    const testing::OneOperator one = Reshape(x, y);
    const OperatorKernel& kernel = *KernelOf(one.graph(), one.op()).value();
    const testing::OperatorCase c;
    const testing::WholeTensors whole = testing::RandomTensors(random, c, one);
    OperatorLayout layout =
        Reshaping(mesh, RandomCuts(random, mesh, x), RandomCuts(random, mesh, y));
    testing::Made want;
    want.outputs.push_back(whole.inputs[0].Clone());
    want.outputs[0].Reshape(y);
    want.input_gradients.push_back(whole.output_gradients[0].Clone());
    want.input_gradients[0].Reshape(x);
    testing::ExpectSameUnder(c, one, kernel, layout, whole, want, {});
    kernel.adapt(one.graph(), one.op(), layout);
    cut += CuttingAxes(layout.inputs[0]).empty() ? 0 : 1;
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(cut, 50);
}

TEST(MakeWhole, TakesTheAxisOutOfAllTensors) {
  OperatorLayout layout;
  layout.inputs = {Cut({2, 2}, {{0}, {1}}), Cut({2, 2}, {{1}})};
  layout.outputs = {Cut({2, 2}, {{0}, {1}})};
  MakeWhole(layout, layout.inputs[1], 0, 1);
  EXPECT_EQ(layout.inputs[0].spec().dim_axes, (DimAxes{{0}, {}}));
  EXPECT_EQ(layout.inputs[1].spec().dim_axes, (DimAxes{{}}));
  EXPECT_EQ(layout.outputs[0].spec().dim_axes, (DimAxes{{0}, {}}));
}

}  // namespace
}  // namespace relayout
