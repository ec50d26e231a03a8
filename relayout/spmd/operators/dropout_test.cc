// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include "tests/spmd/operators.h"

namespace relayout {
namespace {

using testing::ExpectSameOnPieces;

TEST(DropoutOperator, DropsTheSameElementsHoweverTheTensorIsCut) {
  ExpectSameOnPieces({"Dropout", "f32[8,6]", {{"keep_prob", 0.5}}});
  ExpectSameOnPieces({"Dropout", "f32[4,1,6]", {{"keep_prob", 0.75}}});
  ExpectSameOnPieces({"Dropout", "f32[4,6,2]", {{"keep_prob", 1.0}}});
}

}  // namespace
}  // namespace relayout
