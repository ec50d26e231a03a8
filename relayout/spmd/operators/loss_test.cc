// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include "tests/spmd/operators.h"

namespace relayout {
namespace {

using testing::ExpectSameOnPieces;

TEST(LossOperators, OnPiecesAreAsOnWholes) {
  for (const std::string type : {"NLLLoss", "CrossEntropyLoss"}) {
    for (const std::string reduction : {"mean", "sum", "none"}) {
      for (const int64_t ignored : {-100, 1}) {
        const Attributes attributes = {{"reduction", reduction}, {"ignore_index", ignored}};
        ExpectSameOnPieces({type, "f32[8,4] i32[8]", attributes});
        ExpectSameOnPieces({type, "f32[12,4] i32[12] f32[4]", attributes, 1, 0.5});
      }
    }
  }
  ExpectSameOnPieces({"SparseSoftmaxCrossEntropyWithLogits", "f32[8,4] i32[8]"});
  ExpectSameOnPieces({"SoftmaxCrossEntropyWithLogits", "f32[8,4] f32[8,4]"});
}

}  // namespace
}  // namespace relayout
