// SPDX-License-Identifier: Apache-2.0
//
// Strategies for the right number of ranks that are not the checkpoint's: what the contents tell.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "relayout/layout/notation.h"
#include "tests/oracle/world.h"

namespace relayout::oracle {
namespace {

LayoutSpec Spec(const char* text) { return ParseLayout(text)->spec(); }

WorldSide OneStage(int64_t device_count, const char* layout) {
  return {{.device_count = device_count, .layouts = {{"w", Spec(layout)}, {"m", Spec(layout)}}}};
}

// Two matrices, written under `saved` and converted as if they had been saved under `said`.
Status Convert(const WorldSide& saved, const WorldSide& said, uint64_t content,
               bool trust_strategy = false) {
  World world;
  world.tensors = {{.name = "w", .shape = {16, 8}, .content = content},
                   {.name = "m", .shape = {32, 8}, .content = content + 1}};
  world.source = saved;
  world.target = OneStage(1, "{a:1} (-,-)");
  MemoryFileSystem fs;
  WriteSource(world, fs);
  World other = world;
  other.source = said;
  MemoryFileSystem wrong;
  WriteSource(other, wrong);
  fs.SetFile("src_strategy.ckpt", *wrong.FileBytes("src_strategy.ckpt"));
  TransformRequest request = RequestOf(world);
  request.trust_strategy = trust_strategy;
  return TransformCheckpoints(fs, request).status();
}

TEST(Plausibility, WholeTensorsUnderAStrategyThatCutsThem) {
  const WorldSide saved = OneStage(4, "{a:4} (-,-)");
  const WorldSide said = OneStage(4, "{a:4} (a,-)");
  EXPECT_THAT(
      Convert(saved, said, 1).message(),
      testing::AllOf(testing::HasSubstr("w: rank 0 and rank 3 should hold different slices"),
                     testing::HasSubstr("as of 1 more tensor"),
                     testing::HasSubstr("integrated_save=True?")));
  EXPECT_TRUE(Convert(saved, said, 1, /*trust_strategy=*/true).ok());
  EXPECT_TRUE(Convert(said, said, 1).ok());
  EXPECT_TRUE(Convert(saved, saved, 1).ok());
}

TEST(Plausibility, APipelinesStrategyForACheckpointWithoutStages) {
  const WorldSide saved = OneStage(4, "{a:4} (-,-)");
  const WorldSide said = {{.device_count = 2, .layouts = {{"w", Spec("{a:2} (-,-)")}}},
                          {.device_count = 2, .layouts = {{"m", Spec("{a:2} (-,-)")}}}};
  EXPECT_THAT(Convert(saved, said, 1).message(),
              testing::HasSubstr("every rank holds the parameters of all 2 stages of "
                                 "src_strategy.ckpt, so no pipeline saved it"));
  EXPECT_TRUE(Convert(saved, said, 1, /*trust_strategy=*/true).ok());
  EXPECT_TRUE(Convert(said, said, 1).ok());
}

}  // namespace
}  // namespace relayout::oracle
