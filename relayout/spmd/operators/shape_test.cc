// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include "tests/spmd/operators.h"

namespace relayout {
namespace {

using testing::ExpectSameOnPieces;
using Ints = std::vector<int64_t>;

TEST(ShapeOperators, OnPiecesAreAsOnWholes) {
  ExpectSameOnPieces({"Reshape", "f32[8,16]", {{"shape", Ints{2, 4, 16}}}});
  ExpectSameOnPieces({"Reshape", "f32[2,4,16]", {{"shape", Ints{-1, 16}}}});
  ExpectSameOnPieces({"Reshape", "f32[8,6]", {{"shape", Ints{4, 12}}}});
  ExpectSameOnPieces({"Reshape", "f32[4,6]", {{"shape", Ints{8, 3}}}});
  ExpectSameOnPieces({"Reshape", "f32[4,1,6]", {{"shape", Ints{1, 4, 2, 3}}}});
  ExpectSameOnPieces({"Reshape", "i32[2,4]", {{"shape", Ints{-1}}}, 0});
  ExpectSameOnPieces({"Flatten", "f32[8,4,2]"});
  ExpectSameOnPieces({"FlattenExt", "f32[4,4,2]", {{"start_dim", int64_t{0}}}});
  ExpectSameOnPieces({"FlattenExt", "f32[8,4,2]", {{"start_dim", int64_t{1}}}});
  ExpectSameOnPieces({"ExpandDims", "f32[4,6]", {{"axis", int64_t{-1}}}});
  ExpectSameOnPieces({"ExpandDims", "i32[8]", {{"axis", int64_t{0}}}, 0});
  ExpectSameOnPieces({"Squeeze", "f32[4,1,6,1]", {{"axis", Ints{1}}}});
  ExpectSameOnPieces({"Transpose", "f32[4,6]", {{"dims", Ints{1, 0}}}});
  ExpectSameOnPieces({"Transpose", "i32[4,6]", {{"dims", Ints{1, 0}}}, 0});
  ExpectSameOnPieces({"Transpose", "f32[4,2,4,3]", {{"dims", Ints{0, 2, -1, 1}}}});
  ExpectSameOnPieces({"BroadcastTo", "f32[4,1]", {{"shape", Ints{3, -1, 6}}}});
  ExpectSameOnPieces({"Tile", "f32[4,2]", {{"dims", Ints{1, 4}}}});
  ExpectSameOnPieces({"Tile", "f32[4,2]", {{"dims", Ints{6, 2, 1}}}});
}

TEST(TriangleOperators, OnPiecesAreAsOnWholes) {
  ExpectSameOnPieces({"Tril", "f32[2,6,4]"});
  ExpectSameOnPieces({"Tril", "f32[8,6]", {{"diagonal", int64_t{-2}}}});
  ExpectSameOnPieces({"Triu", "f32[4,8]", {{"diagonal", int64_t{1}}}});
}

}  // namespace
}  // namespace relayout
