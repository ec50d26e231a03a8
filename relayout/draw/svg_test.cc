// SPDX-License-Identifier: Apache-2.0
#include "relayout/draw/svg.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "relayout/draw/palette.h"
#include "relayout/draw/stand_in.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

Layout Parse(const char* text) { return ParseLayout(text).value(); }

size_t CountOf(const std::string& text, const std::string& word) {
  size_t count = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

// Every tag is closed in the order of opening; enough to tell markup from broken markup.
bool IsBalanced(const std::string& svg) {
  std::vector<std::string> open;
  for (size_t at = svg.find('<'); at != std::string::npos; at = svg.find('<', at + 1)) {
    const size_t end = svg.find('>', at);
    if (end == std::string::npos) return false;
    if (svg[end - 1] == '/') continue;
    const bool closes = svg[at + 1] == '/';
    const size_t begin = at + (closes ? 2 : 1);
    const std::string name = svg.substr(begin, svg.find_first_of(" >", begin) - begin);
    if (!closes) {
      open.push_back(name);
    } else if (open.empty() || open.back() != name) {
      return false;
    } else {
      open.pop_back();
    }
  }
  return open.empty();
}

TEST(LayoutSvg, ShowsEachDeviceWithItsShardAndEachShardOnce) {
  const Layout layout = Parse("{a:2,b:4} (b,-)");
  const std::string svg = LayoutSvg(layout, {.title = "w", .first_rank = 8});
  EXPECT_TRUE(IsBalanced(svg)) << svg;
  EXPECT_THAT(svg, HasSubstr("Devices: ranks 8-15"));
  // Ranks 9 and 13 hold shard 1.
  EXPECT_THAT(svg, HasSubstr("<title>rank 9: shard #1</title>"));
  EXPECT_THAT(svg, HasSubstr("<title>rank 13: shard #1</title>"));
  EXPECT_EQ(CountOf(svg, "<title>rank "), 8U);
  EXPECT_EQ(CountOf(svg, "<title>shard #"), 4U);
  // Two devices and a piece of the tensor have its colour.
  EXPECT_EQ(CountOf(svg, ShardColor(layout, 1)), 3U);
  EXPECT_THAT(svg, HasSubstr("Each piece is on 2 devices"));
}

TEST(LayoutSvg, NamesLengthsThatAreKnown) {
  const std::string svg = LayoutSvg(Parse("{a:2} (a,-)"), {.shape = Dims{784, 512}});
  EXPECT_THAT(svg, HasSubstr(">rows: 784<"));
  EXPECT_THAT(svg, HasSubstr("[784,512] @ {a:2} (a,-)"));
  // 784 is not 3 times something: drawn by fractions.
  EXPECT_THAT(LayoutSvg(Parse("{a:3} (a,-)"), {.shape = Dims{784, 512}}), HasSubstr(">rows<"));
}

TEST(LayoutSvg, AnyLayoutIsWellFormed) {
  for (const char* text :
       {"{} ()", "{a:1} (-)", "{a:8} ()", "{a:64} (a,-)", "{a:17} (a)", "{a:3} (a,-) rows:0+0+0",
        "{a:3} (a,-) rows:5+0+2", "{a:2,b:2,c:2,d:2} (a,b,c,d)", "{a:8,b:8} (-,b) opt:all",
        "{a:1000} (a,-)", "{a:2,b:2} (-,-,-,b,a)"}) {
    const std::string svg = LayoutSvg(Parse(text));
    EXPECT_TRUE(IsBalanced(svg)) << svg;
    EXPECT_THAT(svg, Not(HasSubstr("nan"))) << text;
    EXPECT_THAT(svg, Not(HasSubstr("inf"))) << text;
  }
}

TEST(LayoutSvg, HostileTitlesStayText) {
  const std::string svg =
      LayoutSvg(Parse("{a:2} (a)"), {.title = "</text><script>alert('&')</script>\x1b[2J\xff"});
  EXPECT_TRUE(IsBalanced(svg)) << svg;
  EXPECT_THAT(svg, Not(HasSubstr("<script")));
  EXPECT_THAT(svg, Not(HasSubstr("\x1b")));
  EXPECT_THAT(svg, HasSubstr("&lt;script&gt;alert(&#39;&amp;&#39;)"));
}

TEST(LayoutSvg, TooManyDevicesAreDescribed) {
  const std::string svg = LayoutSvg(Parse("{a:100000} (a,-)"));
  EXPECT_LT(svg.size(), 3000U);
  EXPECT_THAT(svg, HasSubstr("100000 devices in a row"));
}

TEST(LayoutSvg, GoesIntoAnyPage) {
  const std::string svg = LayoutSvg(Parse("{a:4} (a,-)"));
  EXPECT_THAT(svg, StartsWith("<svg xmlns=\"http://www.w3.org/2000/svg\" "));
  // Ids and style sheets would leak into the page around it, links would fetch.
  for (const char* word : {" id=", "<style", "href", "<script", "url("}) {
    EXPECT_THAT(svg, Not(HasSubstr(word)));
  }
}

TEST(TransferSvg, SaysWhoReadsFromWhom) {
  const ParameterForm from{.layout = Parse("{a:2} (-,a)"), .whole_shape = {}};
  const ParameterForm to{.layout = Parse("{a:2,b:2} (a,-)"), .whole_shape = {}};
  const Transfer transfer =
      PlanOnStandIn({{.first_rank = 4, .parameter = &from}}, {{.parameter = &to}}).value();
  const std::string svg = TransferSvg(transfer, {.title = "w", .is_stand_in = true});
  EXPECT_TRUE(IsBalanced(svg)) << svg;
  // Rows for ranks 0 and 1, then for 2 and 3; columns of 4, then of 5.
  for (const char* label :
       {"4 &gt; 0,1</text>", "5 &gt; 0,1</text>", "4 &gt; 2,3</text>", "5 &gt; 2,3</text>"}) {
    EXPECT_EQ(CountOf(svg, label), 1U) << label;
  }
  EXPECT_THAT(svg, HasSubstr("Source: ranks 4-5"));
  EXPECT_THAT(svg, HasSubstr("Target: ranks 0-3"));
  EXPECT_THAT(svg, HasSubstr(">columns<"));
}

}  // namespace
}  // namespace relayout
