// SPDX-License-Identifier: Apache-2.0
#include "relayout/checkpoint/rank_files.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/io/fault_file_system.h"
#include "relayout/io/memory_file_system.h"

namespace relayout {
namespace {

struct FindCase {
  const char* name;
  std::vector<std::string> files;  // Below "ckpt/".
  std::optional<TrainingStep> step;
  std::string found;    // "rank:file", in order, or
  std::string refusal;  // a part of the message.
};

class FindRankFilesTest : public testing::TestWithParam<FindCase> {};

TEST_P(FindRankFilesTest, FindsOrRefuses) {
  const FindCase& c = GetParam();
  MemoryFileSystem fs;
  fs.SetFile("ckpt/README.md", "");
  for (const std::string& file : c.files) fs.SetFile("ckpt/" + file, "x");
  fs.ClearAccesses();
  const auto found = FindRankFiles(fs, "ckpt", {.step = c.step});
  if (!c.refusal.empty()) {
    ASSERT_FALSE(found.ok());
    EXPECT_NE(found.status().message().find(c.refusal), std::string::npos)
        << found.status().message();
    return;
  }
  ASSERT_TRUE(found.ok()) << found.status().message();
  std::vector<std::string> texts;
  for (const auto& [rank, path] : found->path_of_rank) texts.push_back(Format("{}:{}", rank, path));
  EXPECT_EQ(JoinLimited(texts), c.found);
  EXPECT_TRUE(fs.accesses().empty()) << "headers are not read";
}

INSTANTIATE_TEST_SUITE_P(
    Table, FindRankFilesTest,
    testing::Values(
        FindCase{"AnyName",
                 {"rank_0/x.ckpt", "rank_1/y-3_7.ckpt"},
                 {},
                 "0:ckpt/rank_0/x.ckpt, 1:ckpt/rank_1/y-3_7.ckpt",
                 ""},
        FindCase{"NumericOrder",
                 {"rank_10/a.ckpt", "rank_2/a.ckpt"},
                 {},
                 "2:ckpt/rank_2/a.ckpt, 10:ckpt/rank_10/a.ckpt",
                 ""},
        FindCase{"LeadingZeros", {"rank_007/a.ckpt"}, {}, "7:ckpt/rank_007/a.ckpt", ""},
        // MindSpore takes the greatest name: epoch 9 before 10.
        FindCase{
            "NewestByNumber",
            {"rank_0/n-9_5.ckpt", "rank_0/n-10_5.ckpt", "rank_1/n-10_5.ckpt", "rank_1/n-9_5.ckpt"},
            {},
            "0:ckpt/rank_0/n-10_5.ckpt, 1:ckpt/rank_1/n-10_5.ckpt",
            ""},
        // One rank died before it saved step 6.
        FindCase{"NewestOfAll",
                 {"rank_0/n-1_5.ckpt", "rank_0/n-1_6.ckpt", "rank_1/n-1_5.ckpt"},
                 {},
                 "0:ckpt/rank_0/n-1_5.ckpt, 1:ckpt/rank_1/n-1_5.ckpt",
                 ""},
        FindCase{"ChosenStep",
                 {"rank_0/n-1_5.ckpt", "rank_0/n-1_6.ckpt"},
                 TrainingStep{1, 5},
                 "0:ckpt/rank_0/n-1_5.ckpt",
                 ""},
        FindCase{"Others",
                 {"rank_0/a.ckpt", "rank_0/a-graph.meta", "rank_x/a.ckpt", "b.ckpt"},
                 {},
                 "0:ckpt/rank_0/a.ckpt",
                 ""},
        FindCase{"Safetensors", {"rank_0/a.safetensors"}, {}, "0:ckpt/rank_0/a.safetensors", ""},
        FindCase{"NoRank", {"a/b.ckpt"}, {}, "", "holds no rank_<number> folders"},
        FindCase{"EmptyFolder",
                 {"rank_0/a.ckpt", "rank_1/notes"},
                 {},
                 "",
                 "ckpt/rank_1: holds no .ckpt or .safetensors file"},
        FindCase{"RankTwice", {"rank_1/a.ckpt", "rank_01/a.ckpt"}, {}, "", "are both rank 1"},
        FindCase{"TwoFormats",
                 {"rank_0/a.ckpt", "rank_1/a.safetensors"},
                 {},
                 "",
                 "both formats are there"},
        FindCase{"NotComparable",
                 {"rank_0/a.ckpt", "rank_0/b.ckpt"},
                 {},
                 "",
                 "which of a.ckpt, b.ckpt is meant?"},
        FindCase{"NoStepBesideSteps",
                 {"rank_0/n-1_5.ckpt", "rank_0/n.ckpt"},
                 {},
                 "",
                 "n.ckpt carries no -<epoch>_<step>"},
        FindCase{"OneStepTwice",
                 {"rank_0/n-1_5.ckpt", "rank_0/m-1_5.ckpt"},
                 {},
                 "",
                 "are both epoch 1, step 5"},
        FindCase{"NothingCommon",
                 {"rank_0/n-1_5.ckpt", "rank_0/n-1_6.ckpt", "rank_1/n-1_7.ckpt"},
                 {},
                 "",
                 "no epoch and step is common to all rank folders; between them they hold 1_5, "
                 "1_6, 1_7"},
        FindCase{"DifferentSteps",
                 {"rank_0/n-1_5.ckpt", "rank_1/n-1_6.ckpt"},
                 {},
                 "",
                 "the ranks are of different steps"},
        FindCase{"StepNotThere",
                 {"rank_0/n-1_5.ckpt"},
                 TrainingStep{9, 9},
                 "",
                 "--step 9_9: not in every rank folder of ckpt; common to all are 1_5"}),
    [](const auto& info) { return std::string(info.param.name); });

struct SuffixCase {
  const char* suffix;
  const char* found;    // In rank_0, or
  const char* refusal;  // a part of the message.
};

// The names of MindSpore and MindFormers: the rank is no task.
TEST(FindRankFilesTest, ChoosesBySuffix) {
  MemoryFileSystem fs;
  for (const char* name : {"net_rank_0-1_5", "net_rank_0_2-1_5", "net_rank_0-11_5", "net_rank_0_20",
                           "net_rank_0_120", "best", "my_best"}) {
    fs.SetFile(Format("ckpt/rank_0/{}.safetensors", name), "x");
  }
  for (const SuffixCase& c : {SuffixCase{"1_5", "net_rank_0-1_5", ""},
                              {"-1_5", "net_rank_0-1_5", ""},
                              {"11_5", "net_rank_0-11_5", ""},
                              {"2-1_5", "net_rank_0_2-1_5", ""},
                              {"_2-1_5", "net_rank_0_2-1_5", ""},
                              {"20", "net_rank_0_20", ""},
                              {"_120", "net_rank_0_120", ""},
                              {"best", "best", ""},
                              {"my_best", "my_best", ""},
                              {"0-1_5", "", "no file ends in _0-1_5 (before its extension)"},
                              {"5", "net_rank_0-1_5", ""},
                              {"st", "best", ""}}) {
    const auto found = FindRankFiles(fs, "ckpt", {.suffix = c.suffix});
    if (*c.refusal == '\0') {
      ASSERT_TRUE(found.ok()) << found.status().message();
      EXPECT_EQ(found->path_of_rank.at(0), Format("ckpt/rank_0/{}.safetensors", c.found));
    } else {
      EXPECT_NE(found.status().message().find(c.refusal), std::string::npos)
          << found.status().message();
    }
  }
  // Another step or name was perhaps meant; a task of the same step was not.
  EXPECT_EQ(
      FindRankFiles(fs, "ckpt", {.suffix = "5"})->notes,
      (std::vector<std::string>{
          "took ckpt/rank_0/net_rank_0-1_5.safetensors, the shortest of "
          "net_rank_0-11_5.safetensors, net_rank_0-1_5.safetensors, "
          "net_rank_0_2-1_5.safetensors, which all end in _5; a longer suffix takes another"}));
  EXPECT_EQ(FindRankFiles(fs, "ckpt", {.suffix = "st"})->notes.size(), 1U);
  EXPECT_TRUE(FindRankFiles(fs, "ckpt", {.suffix = "1_5"})->notes.empty());
  fs.SetFile("ckpt/rank_0/nut_rank_0-1_5.safetensors", "x");
  EXPECT_NE(FindRankFiles(fs, "ckpt", {.suffix = "1_5"}).status().message().find("a longer suffix"),
            std::string::npos);
}

// MindFormers was killed while rank 1 wrote step 20: its meta.json still names step 10.
TEST(FindRankFilesTest, BelievesTheLastCompleteSave) {
  MemoryFileSystem fs;
  const auto save = [&](int rank, int step) {
    fs.SetFile(Format("ckpt/rank_{}/net_rank_{}-1_{}.ckpt", rank, rank, step), "x");
  };
  const auto note = [&](int rank, int step) {
    fs.SetFile(
        Format("ckpt/rank_{}/meta.json", rank),
        Format(R"({{"last_epoch":1,"last_step":{},"last_ckpt_file":"net_rank_{}-1_{}.ckpt"}})",
               step, rank, step));
  };
  for (const int rank : {0, 1}) {
    for (const int step : {10, 20}) save(rank, step);
  }
  note(0, 20);
  note(1, 10);
  auto found = FindRankFiles(fs, "ckpt");
  ASSERT_TRUE(found.ok()) << found.status().message();
  EXPECT_EQ(found->step, (TrainingStep{1, 10}));
  EXPECT_EQ(JoinLimited(found->notes),
            "took epoch 1, step 10 (1_10): by ckpt/rank_1/meta.json epoch 1, step 10 was the last "
            "complete save, so 1_20 is passed over");
  // Who asks for a step gets it.
  found = FindRankFiles(fs, "ckpt", {.step = TrainingStep{1, 20}});
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->step, (TrainingStep{1, 20}));

  note(1, 20);
  found = FindRankFiles(fs, "ckpt");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->step, (TrainingStep{1, 20}));

  note(0, 5);
  EXPECT_NE(
      FindRankFiles(fs, "ckpt")
          .status()
          .message()
          .find("epoch 1, step 5 was the last complete save, but the files that all ranks have are "
                "of 1_10, 1_20"),
      std::string::npos);
  fs.SetFile("ckpt/rank_0/meta.json", "{}");
  EXPECT_NE(FindRankFiles(fs, "ckpt")
                .status()
                .message()
                .find("ckpt/rank_0/meta.json: the key last_epoch is missing; it should say which "
                      "step was saved last: --step takes one of 1_10, 1_20 without it"),
            std::string::npos);
  EXPECT_TRUE(FindRankFiles(fs, "ckpt", {.step = TrainingStep{1, 20}}).ok());
  EXPECT_TRUE(FindRankFiles(fs, "ckpt", {.suffix = "1_20"}).ok());
  // Where there is nothing to choose, anybody's file of this name is nobody's business.
  fs.SetFile("one/rank_0/net-1_10.ckpt", "x");
  fs.SetFile("one/rank_0/meta.json", "torn");
  EXPECT_TRUE(FindRankFiles(fs, "one").ok());
}

TEST(FindRankFilesTest, ReportsWhatItPassedOverAndChose) {
  MemoryFileSystem fs;
  for (const char* file : {"ckpt/rank_0/n-1_5.ckpt", "ckpt/rank_0/n-1_6.ckpt", "ckpt/rank1/a.ckpt",
                           "ckpt/b.safetensors"}) {
    fs.SetFile(file, "");
  }
  const auto found = FindRankFiles(fs, "ckpt", {});
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->step, (TrainingStep{1, 6}));
  ASSERT_EQ(found->notes.size(), 2U);
  EXPECT_EQ(found->notes[0], "passed over in ckpt: b.safetensors, rank1");
  EXPECT_EQ(found->notes[1],
            "took epoch 1, step 6 (1_6), the highest of 1_5, 1_6 that every rank has");
}

TEST(FindRankFilesTest, UnreadableFolders) {
  MemoryFileSystem disk;
  disk.SetFile("ckpt/rank_0/a.ckpt", "");
  FaultFileSystem fs(disk);
  for (int64_t n = 0; n < 2; ++n) {
    fs.FailOnce(n);
    const auto found = FindRankFiles(fs, "ckpt", {});
    EXPECT_EQ(found.status().code(), StatusCode::kIoError);
  }
  EXPECT_EQ(FindRankFiles(disk, "none", {}).status().code(), StatusCode::kNotFound);
}

TEST(StepOfNameTest, Table) {
  const auto step = [](const char* name) -> std::string {
    const auto found = StepOfName(name);
    return found ? Format("{}_{}", found->epoch, found->step) : "none";
  };
  EXPECT_EQ(step("net-10_5.ckpt"), "10_5");
  EXPECT_EQ(step("net_rank_3-1_2.safetensors"), "1_2");
  EXPECT_EQ(step("net-x-1_2.ckpt"), "1_2");
  EXPECT_EQ(step("net_1-7_3.ckpt"), "7_3");
  EXPECT_EQ(step("net.ckpt"), "none");
  EXPECT_EQ(step("net-1.ckpt"), "none");
  EXPECT_EQ(step("net-_1.ckpt"), "none");
  EXPECT_EQ(step("net-1_2_3.ckpt"), "none");
  EXPECT_EQ(step("net-99999999999999999999_1.ckpt"), "none");
}

TEST(RankOfFolderTest, Table) {
  EXPECT_EQ(RankOfFolder("rank_12"), 12);
  EXPECT_EQ(RankOfFolder("rank_"), std::nullopt);
  EXPECT_EQ(RankOfFolder("rank_-1"), std::nullopt);
  EXPECT_EQ(RankOfFolder("rank_1a"), std::nullopt);
  EXPECT_EQ(RankOfFolder("rank_99999999999999999999"), std::nullopt);
}

}  // namespace
}  // namespace relayout
