// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include "tests/spmd/operators.h"

namespace relayout {
namespace {

using testing::ExpectSameOnPieces;
using Ints = std::vector<int64_t>;

TEST(NormalizationOperators, OnPiecesAreAsOnWholes) {
  for (const std::string type : {"LogSoftmax", "Softmax"}) {
    ExpectSameOnPieces({type, "f32[8,6]"});
    ExpectSameOnPieces({type, "f32[4,2,3]", {{"axis", Ints{-2}}}});
    ExpectSameOnPieces({type, "f32[4,6]", {{"axis", int64_t{0}}}});
  }
  ExpectSameOnPieces({"LogSoftmaxExt", "f32[8,6]", {{"dim", int64_t{1}}}});
  ExpectSameOnPieces({"LogSoftmaxExt", "f32[8,6]", {{"dim", int64_t{0}}}});
  for (const std::string type : {"LayerNorm", "LayerNormV3"}) {
    ExpectSameOnPieces({type,
                        "f32[4,2,6] f32[6] f32[6]",
                        {{"begin_norm_axis", int64_t{-1}}, {"begin_params_axis", int64_t{-1}}}});
    ExpectSameOnPieces({type, "f32[8,2,3] f32[2,3] f32[2,3]", {{"epsilon", 1e-3}}});
  }
  ExpectSameOnPieces({"LayerNormExt",
                      "f32[8,2,3] f32[2,3] f32[2,3]",
                      {{"normalized_shape", Ints{2, 3}}, {"eps", 1e-5}}});
  ExpectSameOnPieces(
      {"LayerNormExt", "f32[8] f32[8] f32[8]", {{"normalized_shape", Ints{8}}, {"eps", 1e-5}}});
  ExpectSameOnPieces({"RmsNorm", "f32[4,2,6] f32[6]"});
  ExpectSameOnPieces({"RmsNorm", "f32[8,4] f32[4]", {{"epsilon", 1e-3}}});
}

}  // namespace
}  // namespace relayout
