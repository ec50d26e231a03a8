// SPDX-License-Identifier: Apache-2.0
#include "relayout/draw/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "relayout/draw/markup.h"
#include "relayout/draw/stand_in.h"
#include "relayout/layout/notation.h"
#include "relayout/plan/explain.h"

namespace relayout {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

Layout Parse(const char* text) { return ParseLayout(text).value(); }

using Stage = std::vector<std::pair<std::string, const char*>>;

Strategy MakeStrategy(const std::vector<Stage>& stages) {
  std::vector<StageStrategy> parts;
  for (const Stage& stage : stages) {
    StageStrategy& part = parts.emplace_back();
    for (const auto& [name, layout] : stage) {
      part.parameters.push_back({.name = name, .layout = Parse(layout), .whole_shape = {}});
    }
  }
  return Strategy::Create(std::move(parts)).value();
}

PageInput Of(const char* file, const Strategy& strategy) {
  PageInput input;
  input.source.file = file;
  input.source.strategy = &strategy;
  return input;
}

PageInput OfTwo(const Strategy& source, const Strategy& target) {
  PageInput input = Of("s", source);
  input.target.emplace();
  input.target->file = "t";
  input.target->strategy = &target;
  return input;
}

TEST(PageData, OfOneStrategy) {
  const Strategy strategy =
      MakeStrategy({{{"w", "{a:2} (a,-)"}, {"v", "{a:2} (a,-)"}, {"b", "{a:2} (-)"}}});
  PageInput input = Of("s.ckpt", strategy);
  input.facts_of = [](std::string_view name) -> std::optional<TensorFacts> {
    if (name == "b") return std::nullopt;
    return TensorFacts{.shape = {4, 6}, .dtype = DType::kFloat32};
  };
  EXPECT_EQ(PageData(input).value(),
            R"_({"sides":[{"role":"Strategy","file":"s.ckpt","ranks":2,"stages":[[0,0,2]]}],)_"
            R"_("layouts":[{"text":"{a:2} (a,-)","words":["2 devices in a row (axis a).",)_"
            R"_("Rows (dim 0) are cut in 2 along axis a. Columns (dim 1) are not cut.",)_"
            R"_("No piece is on two devices.",)_"
            R"_("So there are 2 different shards; each device holds 1/2 of the tensor."],)_"
            R"_("grid":[2,1],"parts":1,"copies":1,"dims":["rows","columns"],"view":[0,1,[]],)_"
            R"_("columns":2,"down":[],"across":[[1,["a=0","a=1"]]],"shards":[0,1],)_"
            R"_("colors":["#70adea","#f5bc69"]},)_"
            R"_({"text":"{a:2} (-)","words":["2 devices in a row (axis a).",)_"
            R"_("No dimension is cut by the mesh.",)_"
            R"_("Each piece is on 2 devices (all of them): 2 copies of the same.",)_"
            R"_("Every device holds the whole tensor."],)_"
            R"_("grid":[1],"parts":1,"copies":2,"dims":["dim 0"],"view":[null,0,[]],)_"
            R"_("columns":2,"down":[],"across":[[1,["a=0","a=1"]]],"shards":[0,0],)_"
            R"_("colors":["#cbd6e1"]}],)_"
            R"_("forms":[{"sides":[[[0,0]]]},{"sides":[[[0,1]]]}],)_"
            R"_("tensors":[{"shape":[4,6],"type":"f32","item_bytes":4}],)_"
            R"_("names":["w","v","b"],"form":[0,0,1],"tensor":[0,0,-1]})_");
}

TEST(PageData, OfTwoStrategiesHasTheCopies) {
  const Strategy source = MakeStrategy({{{"w", "{a:2} (-,a)"}, {"gone", "{a:2} (a)"}}});
  const Strategy target = MakeStrategy({{{"w", "{a:4} (a,-)"}, {"new", "{a:4} (a)"}}});
  const std::string data = PageData(OfTwo(source, target)).value();
  EXPECT_THAT(data, HasSubstr(R"("names":["w","gone","new"])"));
  // Each of the four targets reads its rows (in the one row piece) of both column pieces.
  EXPECT_THAT(data, HasSubstr(R"("chosen":[0,1],"reads":[[[[0,1],[0,1],[0,1],[0,1]],[[0,2]]]])"));
  EXPECT_THAT(data, HasSubstr(R"("note":"The target strategy does not know this parameter.")"));
  EXPECT_THAT(data, HasSubstr(R"("note":"The source strategy does not know this parameter.")"));
}

TEST(PageData, SaysWhyThereAreNoCopies) {
  const Strategy source = MakeStrategy({{{"w", "{a:2} (-,a)"}}});
  const Strategy target = MakeStrategy({{{"w", "{a:4} (a)"}}});
  const std::string data = PageData(OfTwo(source, target)).value();
  EXPECT_THAT(data, HasSubstr("The two layouts do not fit: {a:2} (-,a) has 2 dimensions"));
}

TEST(PageData, EqualLayoutsAreStoredOnce) {
  std::vector<Stage> stages(1);
  for (int i = 0; i < 2000; ++i) {
    stages[0].emplace_back("layer" + std::to_string(i) + ".weight",
                           i % 2 == 0 ? "{a:8,b:8} (b,-) opt:8" : "{a:8,b:8} (-,b) opt:8");
  }
  const Strategy strategy = MakeStrategy(stages);
  const std::string data = PageData(Of("s", strategy)).value();
  EXPECT_LT(data.size(), 2000 * 40U);
}

TEST(PageData, RefusesMoreThanAPageHolds) {
  const Strategy strategy = MakeStrategy({{{"w", "{a:65536} (a)"}}});
  const auto data = PageData(Of("s.ckpt", strategy));
  ASSERT_FALSE(data.ok());
  EXPECT_EQ(data.status().message(), "s.ckpt: stage 0 has 65536 devices; up to 16384 are drawn");
}

TEST(LayoutPage, IsOneFileThatNeedsNoOther) {
  const Strategy strategy = MakeStrategy({{{"w", "{a:2} (a,-)"}}});
  const std::string page = LayoutPage(Of("s.ckpt", strategy)).value();
  EXPECT_THAT(page, StartsWith("<!doctype html>"));
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  EXPECT_THAT(page, HasSubstr("<title>s.ckpt</title>"));
  for (const char* word : {"src=", "href=", "@import", "url(", "{{", "innerHTML", "fetch("}) {
    EXPECT_THAT(page, Not(HasSubstr(word)));
  }
  EXPECT_EQ(page, LayoutPage(Of("s.ckpt", strategy)).value());
}

TEST(LayoutPage, HostileNamesStayNames) {
  const std::string name = "</script><script>alert(1)</script><!--{{js}}";
  const Strategy strategy = MakeStrategy({{{name, "{a:2} (a,-)"}}});
  const std::string page = LayoutPage(Of("<img src=x onerror=alert(2)>", strategy)).value();
  EXPECT_THAT(page, Not(HasSubstr("alert(1)</script>")));
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page,
              HasSubstr(R"(\u003c/script>\u003cscript>alert(1)\u003c/script>\u003c!--{{js}})"));
  EXPECT_THAT(page, HasSubstr("<title>&lt;img src=x onerror=alert(2)&gt;</title>"));
}

}  // namespace
}  // namespace relayout
