// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include "tests/spmd/operators.h"

namespace relayout {
namespace {

using testing::ExpectSameOnPieces;

TEST(LookupOperators, OnPiecesAreAsOnWholes) {
  // Numbers up to 9: two of them are in no row of the first table.
  ExpectSameOnPieces({.type = "Gather", .inputs = "f32[8,6] i32[4]", .id_count = 10});
  ExpectSameOnPieces({.type = "Gather", .inputs = "f32[8,4] i32[4,3]", .id_count = 8});
  ExpectSameOnPieces({.type = "Gather",
                      .inputs = "f32[4,6,2] i32[8]",
                      .attributes = {{"axis", int64_t{1}}},
                      .id_count = 6});
  ExpectSameOnPieces({"IndexSelect", "f32[3,8] i32[4]", {{"dim", int64_t{-1}}}, 1, -2, 2, 8});
  ExpectSameOnPieces(
      {"EmbeddingLookup", "f32[6,4] i32[4,2]", {{"offset", int64_t{2}}}, 1, -2, 2, 10});
  ExpectSameOnPieces({.type = "Embedding", .inputs = "i32[4,2] f32[8,6]", .id_count = 8});
}

TEST(LookupOperators, OneHotOnPiecesIsAsOnWholes) {
  const AttributeValue depth = int64_t{6};
  ExpectSameOnPieces({"OneHot", "i32[8] f32[] f32[]", {{"depth", depth}}, 0, -2, 2, 8});
  ExpectSameOnPieces(
      {"OneHot", "i32[4,3] f32[] f32[]", {{"depth", depth}, {"axis", int64_t{1}}}, 0, -2, 2, 6});
  ExpectSameOnPieces(
      {"OneHot",
       "i32[8]",
       {{"depth", depth}, {"axis", int64_t{0}}, {"on_value", 1.0}, {"off_value", 0.0}},
       0,
       -2,
       2,
       6});
  ExpectSameOnPieces({"OneHotExt", "i32[8] f32[] f32[]", {{"num_classes", depth}}, 0, -2, 2, 6});
}

}  // namespace
}  // namespace relayout
