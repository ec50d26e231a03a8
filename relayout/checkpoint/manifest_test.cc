// SPDX-License-Identifier: Apache-2.0
#include "relayout/checkpoint/manifest.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "relayout/checkpoint/staged_plan.h"
#include "relayout/io/memory_file.h"

namespace relayout {
namespace {

std::string Other() { return "x"; }

Generation MakeGeneration() {
  return {.source_strategy = "7d2f",
          .target_strategy = "09c1",
          .options = "55aa",
          .source_of_rank = {{0, "93ab"}, {12, "11"}}};
}

ManifestRecord MakeRecord() {
  return {.generation = MakeGeneration(),
          .rank_count = 4,
          .file_name = "rank_3/a b.ckpt",
          .size_bytes = 356509,
          .content_hash = {.high = 1, .low = 2}};
}

TEST(ManifestTest, IsReadAsItWasWritten) {
  const std::string text = SerializeRecord(MakeRecord());
  EXPECT_EQ(text,
            "relayout manifest 1\nsource_strategy 7d2f\ntarget_strategy 09c1\noptions 55aa\n"
            "source 0 93ab\nsource 12 11\nranks 4\n"
            "file rank_3/a b.ckpt 356509 00000000000000010000000000000002\n");
  const auto parsed = ParseRecord(text);
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(SerializeRecord(*parsed), text);
}

TEST(ManifestTest, RefusesOtherTexts) {
  for (const char* text :
       {"", "\n", "relayout manifest 2\noptions a\nranks 1\nfile a 1 2\n", "relayout manifest 1\n",
        "relayout manifest 1\noptions a\nranks 1\nsource x y\n", "options a\n",
        "relayout manifest 1\noptions a\nranks 1\nfile a 1 12\n",
        "relayout manifest 1\noptions a\nranks 1\nfile 1\n"}) {
    EXPECT_FALSE(ParseRecord(text).ok()) << text;
  }
  // Cut anywhere, it is no record.
  const std::string whole = SerializeRecord(MakeRecord());
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(ParseRecord(std::string_view(whole).substr(0, size)).ok()) << size;
  }
}

TEST(ManifestTest, SaysWhatDiffersBetweenGenerations) {
  const Generation generation = MakeGeneration();
  Generation other = generation;
  other.source_of_rank.erase(0);
  other.source_of_rank[5] = "55";
  EXPECT_TRUE(IsSameGeneration(generation, other));
  EXPECT_TRUE(IsSameGeneration(other, generation));
  struct Case {
    const char* difference;
    std::function<void(Generation&)> change;
  };
  const std::vector<Case> cases = {
      {"the source strategy", [](Generation& g) { g.source_strategy = Other(); }},
      {"the target strategy", [](Generation& g) { g.target_strategy = Other(); }},
      {"the options that shape the output", [](Generation& g) { g.options = Other(); }},
      {"the source file of rank 12", [](Generation& g) { g.source_of_rank[12] = Other(); }}};
  for (const Case& c : cases) {
    other = generation;
    c.change(other);
    EXPECT_FALSE(IsSameGeneration(generation, other));
    EXPECT_EQ(DescribeDifference(generation, other), c.difference);
  }
}

StagedPlan MakeStagedPlan() {
  return {.generation = MakeGeneration(),
          .change_of_source = {{0, "356509 17000"}, {12, "1 2"}},
          .ranks = {0, 1, 2, 3},
          .replicas = "copy",
          .chunk_bytes = 4096,
          .thread_memory_bytes = 8192};
}

TEST(StagedPlanTest, IsReadAsItWasWritten) {
  const std::string text = SerializePlan(MakeStagedPlan());
  const auto parsed = ParsePlan(text);
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(SerializePlan(*parsed), text);
  EXPECT_EQ(DescribeDifference(*parsed, MakeStagedPlan()), "");
  // But for the last newline, a plan that is cut short is none.
  for (size_t size = 0; size + 1 < text.size(); ++size) {
    EXPECT_FALSE(ParsePlan(std::string_view(text).substr(0, size)).ok()) << size;
  }
}

TEST(StagedPlanTest, SaysWhatDiffers) {
  struct Case {
    const char* difference;
    std::function<void(StagedPlan&)> change;
  };
  const std::vector<Case> cases = {
      {"the source strategy", [](StagedPlan& p) { p.generation.source_strategy = Other(); }},
      {"the source file of rank 12", [](StagedPlan& p) { p.change_of_source[12] = "1 3"; }},
      {"the source file of rank 0", [](StagedPlan& p) { p.change_of_source.erase(0); }},
      {"the number of source files", [](StagedPlan& p) { p.change_of_source[13] = "1 3"; }},
      {"--replicas", [](StagedPlan& p) { p.replicas = "hardlink"; }},
      {"the target ranks", [](StagedPlan& p) { p.ranks = {0}; }},
      {"", [](StagedPlan& p) { p.chunk_bytes = 1; }}};
  for (const Case& c : cases) {
    StagedPlan now = MakeStagedPlan();
    c.change(now);
    EXPECT_EQ(DescribeDifference(MakeStagedPlan(), now), c.difference);
  }
}

TEST(FingerprintTest, TellsContentsAndSizesApart) {
  const auto of = [](const std::string& bytes) {
    return FingerprintFile(MemoryFile("f", bytes)).value();
  };
  EXPECT_EQ(of("abc"), of("abc"));
  EXPECT_NE(of("abc"), of("abd"));
  EXPECT_NE(of(""), of(std::string(1, '\0')));
  EXPECT_NE(of(std::string(100'000, 'x')), of(std::string(100'001, 'x')));
  // The first and the last bytes of a large file count.
  std::string large(1'000'000, 'x');
  const std::string before = of(large);
  large.back() = 'y';
  EXPECT_NE(of(large), before);
  large.back() = 'x';
  large.front() = 'y';
  EXPECT_NE(of(large), before);
}

}  // namespace
}  // namespace relayout
