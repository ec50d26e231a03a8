// SPDX-License-Identifier: Apache-2.0
//
// The rule table of relayout/convert/contents.h, one test a row: what the target holds, where it
// comes from, and what is reported.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/layout/notation.h"
#include "tests/oracle/world.h"

namespace relayout::oracle {
namespace {

LayoutSpec Spec(const char* text) { return ParseLayout(text)->spec(); }

// Every test has this parameter, which both strategies know.
WorldTensor Anchor() { return {.name = "anchor", .shape = {4}, .content = 1}; }

World TwoToTwo() {
  World world;
  world.tensors = {Anchor()};
  world.source = WorldSide(1, {.device_count = 2, .layouts = {{"anchor", Spec("{a:2} (a)")}}});
  world.target = WorldSide(1, {.device_count = 2, .layouts = {{"anchor", Spec("{a:2} (-)")}}});
  return world;
}

struct Outcome {
  std::string failure;
  // "0: anchor f32[4], w f32[2]" for each target rank.
  std::vector<std::string> ranks;
  // "kind: message".
  std::vector<std::string> notes;
};

Outcome Convert(const World& world, const ContentsOptions& options = {}) {
  MemoryFileSystem fs;
  WriteSource(world, fs);
  TransformRequest request = RequestOf(world);
  request.contents = options;
  request.contents.keep_extra = world.keep_extra;
  const auto report = TransformCheckpoints(fs, request);
  if (!report.ok()) return {.failure = report.status().message(), .ranks = {}, .notes = {}};
  Outcome outcome;
  for (const auto& [rank, path] : report->file_of_rank) {
    std::vector<std::string> values;
    for (const auto& [name, value] : ContentsOf(path, *fs.FileBytes(path))) {
      values.push_back(
          Format("{} {}{}", name, ShortName(value.dtype), ToText(ToDims(value.shape))));
    }
    outcome.ranks.push_back(Format("{}: {}", rank, JoinLimited(values)));
  }
  for (const Note& note : report->notes) {
    outcome.notes.push_back(Format("{}: {}", note.kind, note.message));
  }
  return outcome;
}

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(RulesTest, InBothStrategies) {
  World world = TwoToTwo();
  world.tensors.push_back({.name = "w", .shape = {4, 6}, .content = 2});
  (*world.source)[0].layouts.emplace_back("w", Spec("{a:2} (a,-)"));
  (*world.target)[0].layouts.emplace_back("w", Spec("{a:2} (-,a)"));
  const Outcome outcome = Convert(world);
  EXPECT_THAT(outcome.ranks,
              ElementsAre("0: anchor f32[4], w f32[4,3]", "1: anchor f32[4], w f32[4,3]"));
  EXPECT_THAT(outcome.notes, IsEmpty());
  EXPECT_EQ(RunWorld(world, 1), "");
}

TEST(RulesTest, NullTargetIsWholeOnRank0) {
  World world = TwoToTwo();
  world.target.reset();
  EXPECT_THAT(Convert(world).ranks, ElementsAre("0: anchor f32[4]"));
  EXPECT_EQ(RunWorld(world, 1), "");
}

TEST(RulesTest, NullSourceIsWholeOnOneRank) {
  World world = TwoToTwo();
  world.source.reset();
  (*world.target)[0].layouts[0].second = Spec("{a:2} (a)");
  EXPECT_THAT(Convert(world).ranks, ElementsAre("0: anchor f32[2]", "1: anchor f32[2]"));
  EXPECT_EQ(RunWorld(world, 1), "");
}

// MindSpore copies the raw slice of some rank here.
TEST(RulesTest, InTheSourceOnlyIsLeftOut) {
  World world = TwoToTwo();
  world.tensors.push_back({.name = "w", .shape = {4, 6}, .content = 2});
  (*world.source)[0].layouts.emplace_back("w", Spec("{a:2} (a,-)"));
  const Outcome outcome = Convert(world);
  EXPECT_THAT(outcome.ranks, ElementsAre("0: anchor f32[4]", "1: anchor f32[4]"));
  EXPECT_THAT(outcome.notes, ElementsAre("left_out: not in the target strategy: left out "
                                         "(--keep-extra keeps them whole): w (1 value)"));
  EXPECT_EQ(RunWorld(world, 1), "");
  EXPECT_THAT(Convert(world, {.strict = true}).failure, HasSubstr("(--strict)"));

  world.keep_extra = true;
  EXPECT_THAT(Convert(world).ranks,
              ElementsAre("0: anchor f32[4], w f32[4,6]", "1: anchor f32[4], w f32[4,6]"));
  EXPECT_EQ(RunWorld(world, 1), "");
}

// MindSpore copies the whole tensor although the target wants a slice.
TEST(RulesTest, InTheTargetOnlyIsCutFromWholes) {
  World world = TwoToTwo();
  world.tensors.push_back({.name = "w", .shape = {4, 6}, .content = 2});
  (*world.target)[0].layouts.emplace_back("w", Spec("{a:2} (a,-)"));
  EXPECT_THAT(Convert(world).ranks,
              ElementsAre("0: anchor f32[4], w f32[2,6]", "1: anchor f32[4], w f32[2,6]"));
  EXPECT_EQ(RunWorld(world, 1), "");
  world.tensors[1].held_by = {1};
  EXPECT_EQ(RunWorld(world, 1), "");
}

TEST(RulesTest, InNeitherIsCarriedToEveryRank) {
  World world = TwoToTwo();
  world.tensors.push_back({.name = "step", .dtype = DType::kInt64, .shape = {}, .content = 2});
  const Outcome outcome = Convert(world);
  EXPECT_THAT(outcome.ranks,
              ElementsAre("0: anchor f32[4], step i64[]", "1: anchor f32[4], step i64[]"));
  EXPECT_THAT(outcome.notes, ElementsAre(HasSubstr("carried: in no strategy")));
  EXPECT_EQ(RunWorld(world, 1), "");

  world.tensors[1].differs_by_rank = true;
  EXPECT_THAT(Convert(world).notes,
              ElementsAre("disagreement: step: rank 1 disagrees with rank 0, whose value is taken",
                          HasSubstr("carried")));
  EXPECT_EQ(RunWorld(world, 1), "");
  world.tensors[1].held_by = {1};
  EXPECT_EQ(RunWorld(world, 1), "");
}

TEST(RulesTest, InBothButInNoFile) {
  World world = TwoToTwo();
  (*world.source)[0].layouts.emplace_back("w", Spec("{a:2} (a,-)"));
  (*world.target)[0].layouts.emplace_back("w", Spec("{a:2} (-,a)"));
  // The world has no such tensor, so no file has it.
  EXPECT_THAT(Convert(world).failure, HasSubstr("w: in the strategies, but in no file of src"));
  const Outcome outcome = Convert(world, {.allow_missing = true});
  EXPECT_THAT(outcome.ranks, ElementsAre("0: anchor f32[4]", "1: anchor f32[4]"));
  EXPECT_THAT(outcome.notes, ElementsAre(HasSubstr("missing: wanted by the target")));
}

TEST(RulesTest, InTheTargetButInNoFile) {
  World world = TwoToTwo();
  (*world.target)[0].layouts.emplace_back("w", Spec("{a:2} (-,a)"));
  EXPECT_THAT(Convert(world).notes,
              ElementsAre("missing: wanted by the target, but in no source file: not written: w "
                          "(1 value)"));
  EXPECT_THAT(Convert(world, {.strict = true}).failure, HasSubstr("w: in dst_strategy.ckpt"));
}

// Training saves them unsplit although the strategy splits them; whoever reads them is misled.
TEST(RulesTest, GradientAccumulatorsAreLeftOut) {
  World world = TwoToTwo();
  world.tensors.push_back({.name = "accu_grads.w", .shape = {3}, .content = 2});
  (*world.source)[0].layouts.emplace_back("accu_grads.v", Spec("{a:2} (-) opt:2"));
  (*world.target)[0].layouts.emplace_back("accu_grads.v", Spec("{a:2} (-) opt:2"));
  const Outcome outcome = Convert(world);
  EXPECT_THAT(outcome.ranks, ElementsAre("0: anchor f32[4]", "1: anchor f32[4]"));
  EXPECT_THAT(outcome.notes, ElementsAre(HasSubstr("scratch: gradient accumulators")));
}

// A tied parameter: in the stages that name it, each with its own layout.
// Source names in the source strategy, new names in the target's.
TEST(RulesTest, RenamedAndLeftOutOnRequest) {
  World world = TwoToTwo();
  world.tensors.push_back({.name = "w", .shape = {4, 6}, .content = 2});
  world.tensors.push_back({.name = "v", .shape = {2}, .content = 3});
  world.tensors.push_back({.name = "u", .shape = {2}, .content = 4});
  (*world.source)[0].layouts.emplace_back("w", Spec("{a:2} (a,-)"));
  (*world.target)[0].layouts.emplace_back("model.w", Spec("{a:2} (-,a)"));
  const Outcome outcome = Convert(
      world, {.renames = {{"w", "model.w"}, {"v", "u"}, {"u", "v"}, {"none", std::nullopt}}});
  EXPECT_THAT(outcome.ranks, ElementsAre("0: anchor f32[4], model.w f32[4,3], u f32[2], v f32[2]",
                                         "1: anchor f32[4], model.w f32[4,3], u f32[2], v f32[2]"));
  EXPECT_THAT(outcome.notes,
              ElementsAre("rename_unused: to be renamed or left out, but in no source file: none "
                          "(1 value)",
                          "carried: in no strategy: carried as they are: u, v "
                          "(2 values)"));
  const Outcome without = Convert(world, {.renames = {{"w", std::nullopt}, {"u", std::nullopt}}});
  EXPECT_THAT(without.ranks,
              ElementsAre("0: anchor f32[4], v f32[2]", "1: anchor f32[4], v f32[2]"));
  EXPECT_THAT(without.notes, Contains("dropped: left out, as asked for: w, u (2 values)"));
}

TEST(RulesTest, NewNamesMustDiffer) {
  World world = TwoToTwo();
  world.tensors.push_back({.name = "w", .shape = {2}, .content = 2});
  EXPECT_THAT(Convert(world, {.renames = {{"w", "anchor"}}}).failure,
              HasSubstr("anchor and w would both be called anchor"));
  EXPECT_THAT(Convert(world, {.renames = {{"w", ""}}}).failure, HasSubstr("a new name"));
  // Moved out of the way of another.
  EXPECT_THAT(Convert(world, {.renames = {{"w", "anchor"}, {"anchor", "w"}}}).notes,
              Contains(HasSubstr("anchor")));
}

TEST(RulesTest, TiedInSeveralStages) {
  World world;
  world.tensors = {{.name = "embedding", .shape = {12, 4}, .content = 1},
                   {.name = "head", .shape = {6}, .content = 2}};
  world.source = {{.device_count = 2, .layouts = {{"embedding", Spec("{a:2} (a,-)")}}},
                  {.device_count = 2,
                   .layouts = {{"embedding", Spec("{a:2} (-,-)")}, {"head", Spec("{a:2} (a)")}}}};
  world.target = {
      {.device_count = 3, .layouts = {{"embedding", Spec("{a:3} (a,-)")}}},
      {.device_count = 1, .layouts = {{"head", Spec("{} (-)")}}},
      {.device_count = 2, .layouts = {{"embedding", Spec("{a:2} (-,a)")}}},
  };
  EXPECT_THAT(Convert(world).ranks,
              ElementsAre("0: embedding f32[4,4]", "1: embedding f32[4,4]", "2: embedding f32[4,4]",
                          "3: head f32[6]", "4: embedding f32[12,2]", "5: embedding f32[12,2]"));
  EXPECT_EQ(RunWorld(world, 2), "");
}

// Found by random conversions: a slice may be whole rightly.
TEST(RulesTest, WholeSlicesOfStatedShapes) {
  World world = TwoToTwo();
  world.states_shapes = true;
  world.source_form = StrategyForm::kJson;
  world.tensors.push_back({.name = "empty", .shape = {0, 4}, .content = 2});
  (*world.source)[0].layouts.emplace_back("empty", Spec("{a:2} (a,-)"));
  (*world.target)[0].layouts.emplace_back("empty", Spec("{a:2} (-,a)"));
  world.tensors.push_back({.name = "uneven", .shape = {4, 4}, .content = 3});
  (*world.source)[0].layouts.emplace_back("uneven", Spec("{a:2} (a,-) rows:0+4"));
  (*world.target)[0].layouts.emplace_back("uneven", Spec("{a:2} (-,a)"));
  EXPECT_EQ(RunWorld(world, 1), "");
}

// Found by random conversions: rank 0 does not know the shape of what rank 2 has.
TEST(RulesTest, RankListForAnEmptyPiece) {
  World world;
  world.tensors = {{.name = "a", .shape = {4}, .content = 1},
                   {.name = "w", .shape = {4, 4}, .content = 2}};
  world.source = {{.device_count = 2, .layouts = {{"a", Spec("{a:2} (a)")}}},
                  {.device_count = 2, .layouts = {{"w", Spec("{a:2} (a,-)")}}}};
  world.target =
      WorldSide(1, {.device_count = 2, .layouts = {{"w", Spec("{a:2} (a,-) rows:0+4")}}});
  EXPECT_EQ(RunFromRankList(world, 0), "");
  EXPECT_EQ(RunFromRankList(world, 1), "");
}

}  // namespace
}  // namespace relayout::oracle
