// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include "tests/spmd/operators.h"

namespace relayout {
namespace {

using testing::ExpectSameOnPieces;

TEST(MatrixOperators, OnPiecesAreAsOnWholes) {
  const AttributeValue yes = true;
  ExpectSameOnPieces({"MatMul", "f32[8,4] f32[4,6]"});
  ExpectSameOnPieces({"MatMul", "f32[4,8] f32[4,6]", {{"transpose_a", yes}}});
  ExpectSameOnPieces({"MatMul", "f32[8,4] f32[6,4]", {{"transpose_b", yes}}});
  ExpectSameOnPieces({"MatMul", "f32[4,2] f32[6,4]", {{"transpose_a", yes}, {"transpose_b", yes}}});
  ExpectSameOnPieces({"Mm", "f32[8,4] f32[4,6]"});
  ExpectSameOnPieces({"BatchMatMul", "f32[2,4,4] f32[2,4,3]"});
  ExpectSameOnPieces({"BatchMatMul", "f32[4,2,4] f32[1,3,4]", {{"transpose_b", yes}}});
  ExpectSameOnPieces({"BatchMatMul", "f32[2,1,4,2] f32[2,2,4,3]", {{"transpose_a", yes}}});
  ExpectSameOnPieces({"BatchMatMulExt", "f32[2,4,4] f32[2,4,3]"});
  ExpectSameOnPieces({"MatMulExt", "f32[4,2,6] f32[6,4]"});
  ExpectSameOnPieces({"MatMulExt", "f32[2,6] f32[4,6,4]"});
  ExpectSameOnPieces({"Dense", "f32[8,4] f32[6,4] f32[6]"});
  ExpectSameOnPieces({"Dense", "f32[4,2,3] f32[6,3]"});
}

// As an annotation of the output may want it: rows by 0 and by 2, along which the sum is made.
TEST(MatrixOperators, GiveTermsOfASumThatIsScattered) {
  const testing::OperatorCase c = {"MatMul", "f32[8,16] f32[16,8]"};
  const testing::OneOperator one(c);
  const auto cut = [](std::vector<std::vector<int>> dim_axes) {
    LayoutSpec spec;
    spec.mesh = {2, 2, 2};
    spec.dim_axes = std::move(dim_axes);
    return Layout::Create(std::move(spec)).value();
  };
  OperatorLayout layout;
  layout.inputs = {cut({{0}, {2}}), cut({{2}, {1}})};
  layout.outputs = {cut({{0, 2}, {1}})};
  const OperatorKernel& kernel = *KernelOf(one.graph(), one.op()).value();
  oracle::Random random(1);
  const testing::WholeTensors whole = testing::RandomTensors(random, c, one);
  const auto want = testing::RunOnRanks(c, one, kernel, testing::OnOneRank(one), whole);
  testing::ExpectSameUnder(c, one, kernel, layout, whole, want[0], {});
  kernel.adapt(one.graph(), one.op(), layout);
  EXPECT_EQ(PartialAxesOfOutput(layout, 0), std::vector<int>{2});
}

}  // namespace
}  // namespace relayout
