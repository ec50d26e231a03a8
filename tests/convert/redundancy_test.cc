// SPDX-License-Identifier: Apache-2.0
//
// Sets without redundancy: each value with one of its replicas, and nothing lost.
#include "relayout/convert/redundancy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "relayout/base/text.h"
#include "relayout/convert/compare.h"
#include "relayout/format/checkpoint_file.h"
#include "tests/convert/whole_runs.h"
#include "tests/oracle/world.h"

namespace relayout::oracle {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr uint64_t kWorlds = 300;

TransformRequest WithoutRedundancy(const World& world) {
  TransformRequest request = RequestOf(world);
  request.remove_redundancy = true;
  request.trust_strategy = true;
  return request;
}

// "bias,w" for each rank.
std::vector<std::string> NamesByRank(MemoryFileSystem& fs, const TransformReport& report) {
  std::vector<std::string> ranks;
  for (const auto& [rank, path] : report.file_of_rank) {
    std::vector<std::string> names;
    const std::string bytes = *fs.FileBytes(path);
    if (!bytes.empty()) {
      for (const auto& [name, value] : ContentsOf(path, bytes)) names.push_back(name);
    }
    ranks.push_back(JoinLimited(names));
  }
  return ranks;
}

// Mesh [2,2]: w on 0 and 2 (and 1 and 3), the rest on all four.
World FourRanks() {
  World world;
  const std::vector<std::pair<const char*, const char*>> layouts = {
      {"w1", "{a:2,b:2} (b)"}, {"w2", "{a:2,b:2} (b)"},      {"w3", "{a:2,b:2} (b)"},
      {"v", "{a:4} (-)"},      {"u", "{a:2,b:2} (-)"},       {"t", "{a:2,b:2} (-)"},
      {"s", "{a:4} (a)"},      {"o", "{a:2,b:2} (-) opt:2"},
  };
  world.source = WorldSide(1);
  world.target = WorldSide{{.device_count = 4}};
  for (const auto& [name, layout] : layouts) {
    world.tensors.push_back({.name = name, .shape = {8}, .content = 3});
    (*world.source)[0].layouts.emplace_back(name, ParseSpec("{} (-)"));
    (*world.target)[0].layouts.emplace_back(name, ParseSpec(layout));
  }
  world.tensors.push_back({.name = "step", .shape = {}, .content = 4});
  return world;
}

// In the order of names: t, u, v go to ranks 0, 1, 2. o (whose replicas of a piece are 0 and 2, 1
// and 3, as those of the w), w1, w2, w3 go to 0 and 1, 2 and 3, 0 and 1, 2 and 3.
TEST(RedundancyTest, DealsAsMindSporeDoes) {
  MemoryFileSystem fs;
  WriteSource(FourRanks(), fs);
  const auto report = TransformCheckpoints(fs, WithoutRedundancy(FourRanks()));
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_THAT(NamesByRank(fs, *report), ElementsAre("o, s, step, t, w2", "o, s, step, u, w2",
                                                    "s, step, v, w1, w3", "s, step, w1, w3"));
}

TEST(RedundancyTest, SaysSoInSafetensors) {
  World world = FourRanks();
  world.target_format = FileFormat::kSafetensors;
  MemoryFileSystem fs;
  WriteSource(world, fs);
  const auto report = TransformCheckpoints(fs, WithoutRedundancy(world));
  ASSERT_TRUE(report.ok()) << report.status().message();
  const auto file = fs.OpenForRead(report->file_of_rank.at(0));
  EXPECT_EQ(ReadFileIndex(**file)->metadata,
            (FileMetadata{{"format", "ms"}, {"remove_redundancy", "True"}}));
}

// One rank at a time decides as all at once.
TEST(RedundancyTest, ByRankIsTheSame) {
  MemoryFileSystem fs;
  WriteSource(FourRanks(), fs);
  TransformRequest request = WithoutRedundancy(FourRanks());
  ASSERT_TRUE(TransformCheckpoints(fs, request).ok());
  const Files at_once = FilesUnder(fs, "dst");
  request.target_directory = "by_rank";
  for (const int64_t rank : {2, 0, 3, 1}) {
    request.ranks = {rank};
    ASSERT_TRUE(TransformCheckpoints(fs, request).ok());
  }
  for (const auto& [path, bytes] : at_once) {
    if (!path.ends_with(".ckpt")) continue;
    EXPECT_EQ(fs.FileBytes("by_rank" + path.substr(3)), bytes) << path;
  }
}

TEST(RedundancyTest, NeedsATargetStrategy) {
  World world = FourRanks();
  world.target.reset();
  MemoryFileSystem fs;
  WriteSource(world, fs);
  EXPECT_THAT(TransformCheckpoints(fs, WithoutRedundancy(world)).status().message(),
              HasSubstr("without a target strategy there are no replicas"));
}

// More replicas than values: who gets none is named, as nobody can read an empty .ckpt file.
TEST(RedundancyTest, NamesRanksWithoutValues) {
  World world;
  world.tensors = {{.name = "w", .shape = {8}, .content = 3}};
  world.source = WorldSide{{.device_count = 1, .layouts = {{"w", ParseSpec("{} (-)")}}}};
  world.target = WorldSide{{.device_count = 4, .layouts = {{"w", ParseSpec("{a:4} (-)")}}}};
  MemoryFileSystem fs;
  WriteSource(world, fs);
  TransformRequest request = WithoutRedundancy(world);
  const auto report = TransformCheckpoints(fs, request);
  ASSERT_TRUE(report.ok()) << report.status().message();
  ASSERT_EQ(report->notes.size(), 1U);
  EXPECT_EQ(report->notes[0].kind, "empty");
  EXPECT_THAT(report->notes[0].message, HasSubstr("no value for rank 1-3: a .ckpt file"));
  // What the note advises.
  request.format = FileFormat::kSafetensors;
  request.overwrite = true;
  const auto in_safetensors = TransformCheckpoints(fs, request);
  ASSERT_TRUE(in_safetensors.ok()) << in_safetensors.status().message();
  EXPECT_THAT(in_safetensors->notes, IsEmpty());
  TransformRequest back;
  back.source.path = "dst";
  back.source.strategy_path = request.target_strategy_path;
  back.target_directory = "back";
  EXPECT_TRUE(TransformCheckpoints(fs, back).ok());
}

// A lost file is a lost value, and said to be one.
TEST(RedundancyTest, VerifyFindsWhatIsLost) {
  const World world = FourRanks();
  MemoryFileSystem fs;
  WriteSource(world, fs);
  const auto report = TransformCheckpoints(fs, WithoutRedundancy(world));
  ASSERT_TRUE(report.ok());
  VerifyRequest verify;
  verify.source = RequestOf(world).source;
  verify.target.path = "dst";
  verify.target.strategy_path = RequestOf(world).target_strategy_path;
  verify.remove_redundancy = true;
  EXPECT_THAT(VerifyTransform(fs, verify)->problems, IsEmpty());
  fs.SetFile(report->file_of_rank.at(2), *fs.FileBytes(report->file_of_rank.at(3)));
  EXPECT_THAT(VerifyTransform(fs, verify)->problems,
              testing::Contains(HasSubstr("v is in no file of dst")));
}

// Any world: what is left is enough to make everything again.
TEST(RedundancyTest, LosesNothing) {
  const uint64_t seed = PrintedSeed();
  int64_t saved_bytes = 0;
  int64_t world_count = 0;
  for (uint64_t i = 0; i < kWorlds; ++i) {
    World world = RandomWorld(seed + i);
    if (!world.source || !world.target) continue;
    world.ranks.clear();
    MemoryFileSystem fs;
    WriteSource(world, fs);
    TransformRequest request = RequestOf(world);
    request.trust_strategy = true;
    const auto full = TransformCheckpoints(fs, request);
    ASSERT_TRUE(full.ok()) << full.status().message() << Describe(world);
    request.remove_redundancy = true;
    request.target_directory = "less";
    const auto less = TransformCheckpoints(fs, request);
    ASSERT_TRUE(less.ok()) << less.status().message() << Describe(world);
    saved_bytes += full->written_bytes - less->written_bytes;

    VerifyRequest verify;
    verify.source = request.source;
    verify.target.path = "less";
    verify.target.strategy_path = request.target_strategy_path;
    verify.keep_extra = world.keep_extra;
    verify.remove_redundancy = true;
    // A reader refuses the .ckpt file of a rank without values, empty but for a trailer.
    const bool is_readable =
        std::all_of(less->file_of_rank.begin(), less->file_of_rank.end(),
                    [&](const auto& entry) { return fs.FileBytes(entry.second)->size() > 17; });
    if (!is_readable) continue;
    const auto verified = VerifyTransform(fs, verify);
    ASSERT_TRUE(verified.ok()) << verified.status().message() << Describe(world);
    ASSERT_THAT(verified->problems, IsEmpty()) << Describe(world);

    DiffRequest diff;
    diff.a.path = "dst";
    diff.b.path = "less";
    diff.a.strategy_path = diff.b.strategy_path = request.target_strategy_path;
    const auto differences = DiffCheckpoints(fs, diff);
    ASSERT_TRUE(differences.ok()) << differences.status().message() << Describe(world);
    for (const ValueDifference& difference : differences->differences) {
      ADD_FAILURE() << difference.name << ": " << difference.text << Describe(world);
    }
    ++world_count;
  }
  EXPECT_GT(world_count, 30);
  EXPECT_GT(saved_bytes, 0);
}

}  // namespace
}  // namespace relayout::oracle
