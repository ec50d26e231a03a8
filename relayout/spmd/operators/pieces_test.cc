// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include "tests/spmd/operators.h"

namespace relayout {
namespace {

using testing::ExpectSameOnPieces;
using Ints = std::vector<int64_t>;

TEST(PieceOperators, PartsOfPiecesAreAsOfWholes) {
  const Attributes thirds = {{"axis", int64_t{1}}, {"output_num", int64_t{3}}};
  for (const uint32_t gradients : {0b111U, 0b101U, 0b010U}) {
    ExpectSameOnPieces({"Split", "f32[8,6]", thirds, gradients});
  }
  ExpectSameOnPieces({"Split", "i32[8,6]", thirds, 0});
  ExpectSameOnPieces(
      {"Split", "f32[6,2,4]", {{"axis", int64_t{-3}}, {"output_num", int64_t{2}}}, 0b11});
  ExpectSameOnPieces(
      {"SplitTensor", "f32[8,6]", {{"split_size", int64_t{4}}, {"dim", int64_t{1}}}, 0b11});
  ExpectSameOnPieces(
      {"SplitWithSize", "f32[6,4]", {{"split_size", Ints{1, 5}}, {"dim", int64_t{0}}}, 0b11});
  ExpectSameOnPieces({"Concat", "f32[8,2] f32[8,4] f32[8,1]", {{"axis", int64_t{1}}}});
  ExpectSameOnPieces({"Concat", "i32[2,6] i32[2,6]", {{"axis", int64_t{0}}}, 0});
  ExpectSameOnPieces({"Stack", "f32[4,2] f32[4,2]", {{"axis", int64_t{1}}}});
  ExpectSameOnPieces({"StackExt", "f32[4,2] f32[4,2] f32[4,2]", {{"dim", int64_t{-1}}}});
}

Attributes Strided(Ints begin, Ints end, Ints strides, Attributes masks = {}) {
  masks.Set("begin", std::move(begin));
  masks.Set("end", std::move(end));
  masks.Set("strides", std::move(strides));
  return masks;
}

TEST(PieceOperators, SlicesOfPiecesAreAsOfWholes) {
  ExpectSameOnPieces({"Slice", "f32[8,6]", {{"begin", Ints{0, 2}}, {"size", Ints{-1, 3}}}});
  ExpectSameOnPieces({"Slice", "i32[8,6]", {{"begin", Ints{3, 0}}, {"size", Ints{4, 6}}}, 0});
  ExpectSameOnPieces(
      {"SliceExt",
       "f32[4,6]",
       {{"dim", int64_t{1}}, {"start", int64_t{-5}}, {"end", int64_t{6}}, {"step", int64_t{2}}}});
  ExpectSameOnPieces(
      {"Narrow", "f32[8,6]", {{"dim", int64_t{0}}, {"start", int64_t{2}}, {"length", int64_t{4}}}});
  ExpectSameOnPieces({"StridedSlice", "f32[4,6,2]", Strided({0, 1}, {4, 6}, {1, 2})});
  ExpectSameOnPieces({"StridedSlice", "f32[4,6]", Strided({0, -1}, {4, -7}, {1, -2})});
  // x[:, 4:, 1, newaxis], as masks say it.
  ExpectSameOnPieces({"StridedSlice", "f32[4,6,3]",
                      Strided({7, 4, 1, 0}, {9, 9, 2, 1}, {1, 1, 1, 1},
                              {{"begin_mask", int64_t{0b0001}},
                               {"end_mask", int64_t{0b0011}},
                               {"shrink_axis_mask", int64_t{0b0100}},
                               {"new_axis_mask", int64_t{0b1000}}})});
  ExpectSameOnPieces({"StridedSlice", "i32[8,5]", Strided({0, 1}, {8, 5}, {1, 1}), 0});
}

}  // namespace
}  // namespace relayout
