// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include "tests/spmd/operators.h"

namespace relayout {
namespace {

using testing::ExpectSameOnPieces;
using testing::OneOperator;
using testing::OperatorCase;

TEST(DropoutOperator, DropsTheSameElementsHoweverTheTensorIsCut) {
  ExpectSameOnPieces({"Dropout", "f32[8,6]", {{"keep_prob", 0.5}}});
  ExpectSameOnPieces({"Dropout", "f32[4,1,6]", {{"keep_prob", 0.75}}});
  ExpectSameOnPieces({"Dropout", "f32[4,6,2]", {{"keep_prob", 1.0}}});
}

Tensor MaskOf(const RankContext& context) {
  const OperatorCase c = {"Dropout", "f32[8,6]", {{"keep_prob", 0.5}}};
  const OneOperator one(c);
  oracle::Random random(1);
  auto made =
      testing::RunOnRanks(c, one, *KernelOf(one.graph(), one.op()).value(), testing::OnOneRank(one),
                          testing::RandomTensors(random, c, one), context);
  return std::move(made[0].outputs[1]);
}

TEST(DropoutOperator, DropsOthersInAnotherStepAndWithAnotherSeed) {
  const Tensor mask = MaskOf({.seed = 7, .step = 3});
  EXPECT_TRUE(testing::HaveSameBytes(mask, MaskOf({.seed = 7, .step = 3})));
  EXPECT_FALSE(testing::HaveSameBytes(mask, MaskOf({.seed = 7, .step = 4})));
  EXPECT_FALSE(testing::HaveSameBytes(mask, MaskOf({.seed = 8, .step = 3})));
}

TEST(DropoutOperator, DropsNothingWithoutTraining) {
  const Tensor mask = MaskOf({.training = false, .seed = 7, .step = 3});
  for (const float value : mask.f32().elements()) EXPECT_EQ(value, 1);
}

}  // namespace
}  // namespace relayout
