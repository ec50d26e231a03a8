// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include "tests/spmd/operators.h"

namespace relayout {
namespace {

using testing::ExpectSameOnPieces;
using Ints = std::vector<int64_t>;

TEST(ReductionOperators, OnPiecesAreAsOnWholes) {
  for (const std::string type : {"ReduceMean", "ReduceSum"}) {
    ExpectSameOnPieces({type, "f32[8,6]"});
    ExpectSameOnPieces({type, "f32[4,2,6]", {{"axis", Ints{0, -1}}, {"keep_dims", true}}});
    ExpectSameOnPieces({type, "f32[4,2,6]", {{"axis", int64_t{1}}}});
  }
  for (const std::string type : {"MeanExt", "SumExt"}) {
    ExpectSameOnPieces({type, "f32[8,6]", {{"keepdim", false}}});
    ExpectSameOnPieces({type, "f32[4,2,6]", {{"dim", Ints{-1}}, {"keepdim", true}}});
  }
}

}  // namespace
}  // namespace relayout
