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

}  // namespace
}  // namespace relayout
