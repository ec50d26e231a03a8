// SPDX-License-Identifier: Apache-2.0
//
// Inputs that must be refused: the message says what, where and both sides, and nothing appears
// under a final name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/convert/compare.h"
#include "relayout/convert/load_strategy.h"
#include "relayout/convert/merge_strategies.h"
#include "relayout/convert/rank_list.h"
#include "relayout/format/strategy_file.h"
#include "relayout/io/fault_file_system.h"
#include "relayout/layout/notation.h"
#include "tests/oracle/world.h"

namespace relayout::oracle {
namespace {

using Files = std::map<std::string, std::string>;

LayoutSpec Spec(const char* text) { return ParseLayout(text)->spec(); }

// Four ranks to two: w cut by rows, m cut by columns with a replica, v whole, step in no strategy.
World BaseWorld() {
  World world;
  world.tensors = {{.name = "w", .shape = {8, 4}, .content = 1},
                   {.name = "m", .dtype = DType::kFloat16, .shape = {4, 6}, .content = 2},
                   {.name = "v", .shape = {6}, .content = 3},
                   {.name = "step", .dtype = DType::kInt64, .shape = {}, .content = 4}};
  world.source = {
      {.device_count = 4,
       .layouts = {
           {"w", Spec("{a:4} (a,-)")}, {"m", Spec("{a:2,b:2} (-,b)")}, {"v", Spec("{a:4} (-)")}}}};
  world.target = {
      {.device_count = 2,
       .layouts = {
           {"w", Spec("{a:2} (a,-)")}, {"m", Spec("{a:2} (-,a)")}, {"v", Spec("{a:2} (a)")}}}};
  return world;
}

ExpectedValue Value(const Ints& shape, DType dtype = DType::kFloat32) {
  return {ValueKind::kTensor, dtype, shape, Content(9, Product(shape), ElementSize(dtype))};
}

std::string File(const std::vector<std::pair<std::string, ExpectedValue>>& values) {
  return FileOf(FileFormat::kMindSporeCheckpoint, values);
}

// A good file of a source rank with one value replaced.
std::string FileWith(MemoryFileSystem& fs, int64_t rank, const std::string& name,
                     const ExpectedValue& value) {
  const std::string path = Format("src/rank_{}/net_{}.ckpt", rank, rank);
  auto values = ContentsOf(path, *fs.FileBytes(path));
  values[name] = value;
  return File({values.begin(), values.end()});
}

void RemoveSource(MemoryFileSystem& fs, int64_t rank) {
  EXPECT_TRUE(RemoveTree(fs, Format("src/rank_{}", rank)).ok());
}

std::string StageFile(int64_t stage, const char* name, const char* layout) {
  StrategyFile file;
  file.operators.push_back({.name = "op", .stage = stage, .strategy = {}});
  file.stages.push_back({.stage = stage, .layouts = {}});
  file.stages[0].layouts.parameters.push_back(
      {.name = name, .layout = *ParseLayout(layout), .whole_shape = {}});
  return SerializeStrategyProtobuf(file);
}

// Whatever lies under `directory` with a name of its own.
Files FinalFiles(MemoryFileSystem& fs, const std::string& directory) {
  Files files;
  const auto folders = fs.List(directory);
  if (!folders.ok()) return files;
  for (const DirectoryEntry& folder : *folders) {
    const std::string path = JoinPath(directory, folder.name);
    if (folder.kind == FileKind::kFile) {
      files[path] = *fs.FileBytes(path);
      continue;
    }
    if (folder.name == ".relayout") continue;
    for (const DirectoryEntry& file : *fs.List(path)) {
      files[JoinPath(path, file.name)] = fs.FileBytes(JoinPath(path, file.name)).value_or("folder");
    }
  }
  return files;
}

using Spoil = std::function<void(MemoryFileSystem&, TransformRequest&)>;

struct Refusal {
  const char* name;
  Spoil spoil;
  std::vector<std::string> fragments;  // Of the message.
};

class RefusalTest : public testing::TestWithParam<Refusal> {};

TEST_P(RefusalTest, SaysWhyAndWritesNothing) {
  const World world = BaseWorld();
  MemoryFileSystem fs;
  WriteSource(world, fs);
  TransformRequest request = RequestOf(world);
  GetParam().spoil(fs, request);
  const Files before = FinalFiles(fs, "dst");
  const Files source = FinalFiles(fs, "src");
  for (const int threads : {1, 3}) {
    request.thread_count = threads;
    const auto report = TransformCheckpoints(fs, request);
    ASSERT_FALSE(report.ok());
    for (const std::string& fragment : GetParam().fragments) {
      EXPECT_THAT(report.status().message(), testing::HasSubstr(fragment));
    }
    EXPECT_EQ(FinalFiles(fs, "dst"), before);
    EXPECT_EQ(FinalFiles(fs, "src"), source);
    EXPECT_FALSE(Exists(fs, "dst/.relayout/staging-0"));
  }
}

std::vector<Refusal> Refusals() {
  return {
      {"MissingRankFolder",
       [](auto& fs, auto&) { RemoveSource(fs, 2); },
       {"src: src_strategy.ckpt has 4 ranks, but no folder of rank 2 is there"}},
      {"MissingNeededRank",
       [](auto& fs, auto& request) {
         RemoveSource(fs, 2);
         request.contents.allow_missing = true;
       },
       {"src: w: the slice [4:6,0:4] of [8,4] should be in the file of rank 2, but is in none"}},
      {"MissingFile",
       [](auto& fs, auto&) { EXPECT_TRUE(fs.RemoveFile("src/rank_3/net_3.ckpt").ok()); },
       {"src/rank_3: holds no .ckpt or .safetensors file"}},
      {"SeveralFiles",
       [](auto& fs, auto&) { fs.SetFile("src/rank_1/older.ckpt", "x"); },
       {"src/rank_1", "net_1.ckpt", "older.ckpt", "is meant?"}},
      {"Truncated",
       [](auto& fs, auto&) {
         std::string bytes = *fs.FileBytes("src/rank_1/net_1.ckpt");
         fs.SetFile("src/rank_1/net_1.ckpt", bytes.substr(0, bytes.size() - 5));
       },
       {"src/rank_1/net_1.ckpt: "}},
      {"BitFlipInAHeader",
       [](auto& fs, auto&) {
         std::string bytes = *fs.FileBytes("src/rank_1/net_1.ckpt");
         bytes[1] ^= 4;  // The length of the first record.
         fs.SetFile("src/rank_1/net_1.ckpt", bytes);
       },
       {"src/rank_1/net_1.ckpt: "}},
      {"EmptyFile",
       [](auto& fs, auto&) { fs.SetFile("src/rank_0/net_0.ckpt", ""); },
       {"src/rank_0/net_0.ckpt: ", "empty"}},
      {"NoCheckpoint",
       [](auto& fs, auto&) { fs.SetFile("src/rank_0/net_0.ckpt", "#!/bin/sh\n"); },
       {"src/rank_0/net_0.ckpt: "}},
      {"DamagedPayload",
       [](auto& fs, auto&) {
         World world = BaseWorld();
         world.source_crc = true;
         WriteSource(world, fs);
         std::string bytes = *fs.FileBytes("src/rank_2/net_2.ckpt");
         bytes[bytes.size() - 18] ^= 1;
         fs.SetFile("src/rank_2/net_2.ckpt", bytes);
       },
       {"src/rank_2/net_2.ckpt: damaged: the crc_num trailer says"}},
      {"SizeAgainstLayout",
       [](auto& fs, auto&) {
         fs.SetFile("src/rank_3/net_3.ckpt", FileWith(fs, 3, "w", Value({3, 4})));
       },
       {"w: ", "rank 0 (src/rank_0/net_0.ckpt) stores [2,4], a slice of [8,4]",
        "rank 3 (src/rank_3/net_3.ckpt) stores [3,4], a slice of [12,4]"}},
      {"DimsAgainstLayout",
       [](auto& fs, auto&) {
         fs.SetFile("src/rank_0/net_0.ckpt", FileWith(fs, 0, "w", Value({8})));
       },
       {"w: ", "rank 0 (src/rank_0/net_0.ckpt)", "src_strategy.ckpt", "[8] has 1 dim"}},
      {"ReplicasOfTwoTypes",
       [](auto& fs, auto&) {
         fs.SetFile("src/rank_2/net_2.ckpt", FileWith(fs, 2, "m", Value({4, 3})));
       },
       {"m: is f16[4,3] on rank 0 (src/rank_0/net_0.ckpt), but f32[4,3] on rank 2"}},
      {"ReplicasOfTwoShapes",
       [](auto& fs, auto&) {
         fs.SetFile("src/rank_2/net_2.ckpt", FileWith(fs, 2, "m", Value({4, 2}, DType::kFloat16)));
       },
       {"m: rank 0", "stores [4,3], a slice of [4,6]", "rank 2", "stores [4,2], a slice of [4,4]"}},
      {"CarriedOfTwoShapes",
       [](auto& fs, auto&) {
         fs.SetFile("src/rank_2/net_2.ckpt", FileWith(fs, 2, "step", Value({2}, DType::kInt64)));
       },
       {"step: is in no source strategy", "[] on rank 0", "[2] on rank 2"}},
      {"StringWithALayout",
       [](auto& fs, auto&) {
         for (int64_t rank = 0; rank < 4; ++rank) {
           const ExpectedValue text{ValueKind::kString, DType::kUInt8, {4}, std::string(4, '\0')};
           fs.SetFile(Format("src/rank_{}/net_{}.ckpt", rank, rank), FileWith(fs, rank, "v", text));
         }
       },
       {"v: is a string on rank 0", "but src_strategy.ckpt gives it a layout"}},
      {"StrategyOfOtherParameters",
       [](auto& fs, auto&) {
         fs.SetFile("src_strategy.ckpt", StageFile(0, "other.w", "{a:4} (a,-)"));
         fs.SetFile("dst_strategy.ckpt", StageFile(0, "other.w", "{a:2} (a,-)"));
       },
       {"other.w: in the strategies, but in no file of src", "--allow-missing"}},
      {"ParameterInNoFile",
       [](auto& fs, auto&) {
         World world = BaseWorld();
         (*world.source)[0].layouts.emplace_back("gone", Spec("{a:4} (-)"));
         (*world.target)[0].layouts.emplace_back("gone", Spec("{a:2} (-)"));
         WriteStrategy(world, *world.source, world.source_form, "src_strategy", fs);
         WriteStrategy(world, *world.target, world.target_form, "dst_strategy", fs);
       },
       {"gone: in the strategies, but in no file of src"}},
      {"StrategyOfFewerRanks",
       [](auto& fs, auto&) { fs.SetFile("src_strategy.ckpt", StageFile(0, "w", "{a:2} (a,-)")); },
       {"src: rank 3 (src/rank_3/net_3.ckpt) has no place in src_strategy.ckpt", "2 ranks (0-1)"}},
      {"StrategyOfMoreRanks",
       [](auto& fs, auto&) { fs.SetFile("src_strategy.ckpt", StageFile(0, "w", "{a:8} (a,-)")); },
       {"src_strategy.ckpt has 8 ranks, but no folder of rank 4-7 is there"}},
      {"StrategyOfOneStageOfSeveral",
       [](auto& fs, auto&) { fs.SetFile("dst_strategy.ckpt", StageFile(1, "w", "{a:2} (a,-)")); },
       {"dst_strategy.ckpt: describes pipeline stage 1 alone"}},
      {"NoStrategyFile",
       [](auto&, auto& request) { request.target_strategy_path = "none.ckpt"; },
       {"none.ckpt"}},
      {"NoStrategies",
       [](auto&, auto& request) {
         request.source.strategy_path.reset();
         request.target_strategy_path.reset();
         request.source.files = {{0, "src/rank_0/net_0.ckpt"}};
       },
       {"there is nothing to convert; give a source strategy, a target strategy, or both"}},
      {"SeveralRanksWithoutStrategy",
       [](auto&, auto& request) { request.source.strategy_path.reset(); },
       {"src: holds 4 ranks; without their strategy file"}},
      {"StrategyFolderOfBothKinds",
       [](auto& fs, auto& request) {
         fs.SetFile("folder/a.ckpt", "x");
         fs.SetFile("folder/b.json", "{}");
         request.target_strategy_path = "folder";
       },
       {"folder: holds both .ckpt and .json strategy files (a.ckpt and b.json)"}},
      {"StageTwice",
       [](auto& fs, auto& request) {
         fs.SetFile("folder/a.ckpt", StageFile(0, "w", "{a:2} (a,-)"));
         fs.SetFile("folder/b.ckpt", StageFile(0, "w", "{a:2} (-,a)"));
         request.target_strategy_path = "folder";
       },
       {"stage 0 is there twice and differs: w is {a:2} (a,-) in folder/a.ckpt, but {a:2} (-,a) in "
        "folder/b.ckpt"}},
      {"StageMissing",
       [](auto& fs, auto& request) {
         fs.SetFile("folder/a.ckpt", StageFile(0, "w", "{a:2} (a,-)"));
         fs.SetFile("folder/b.ckpt", StageFile(2, "w", "{a:2} (a,-)"));
         request.target_strategy_path = "folder";
       },
       {"folder: no file is of stage 1, but folder/b.ckpt is of stage 2"}},
      {"DimDoesNotDivide",
       [](auto& fs, auto&) { fs.SetFile("dst_strategy.ckpt", StageFile(0, "w", "{a:3} (a,-)")); },
       {"w: dim 0 = 8 is not divisible by 3 (dst_strategy.ckpt, {a:3} f32[8,4] @ (a,-))"}},
      {"OptimizerSplitDoesNotDivide",
       [](auto& fs, auto&) {
         fs.SetFile("dst_strategy.ckpt", StageFile(0, "m", "{a:2,b:6} (-,a) opt:6"));
       },
       {"m: dim 0 = 4 is not divisible by 6"}},
      {"TargetDims",
       [](auto& fs, auto&) { fs.SetFile("dst_strategy.ckpt", StageFile(0, "w", "{a:2} (a)")); },
       {"w: the tensor [8,4] has 2 dims, but its layout is for 1", "dst_strategy.ckpt"}},
      {"WholeTensorsInCutFiles",
       [](auto& fs, auto& request) {
         World world = BaseWorld();
         world.states_shapes = true;
         world.source_form = StrategyForm::kJson;
         request.source.strategy_path =
             WriteStrategy(world, *world.source, world.source_form, "src_strategy", fs);
         for (int64_t rank = 0; rank < 4; ++rank) {
           fs.SetFile(Format("src/rank_{}/net_{}.ckpt", rank, rank),
                      FileWith(fs, rank, "w", Value({8, 4})));
         }
       },
       {"w: rank 0 (src/rank_0/net_0.ckpt) stores all of [8,4]", "integrated_save=True?"}},
      {"ShapeThatTheStrategyDenies",
       [](auto& fs, auto& request) {
         World world = BaseWorld();
         world.tensors[0].shape = {16, 4};
         world.states_shapes = true;
         world.source_form = StrategyForm::kJson;
         request.source.strategy_path =
             WriteStrategy(world, *world.source, world.source_form, "src_strategy", fs);
       },
       {"w: rank 0", "stores [2,4], which makes [8,4] whole, but src_strategy.json says [16,4]"}},
      {"Prefix",
       [](auto&, auto& request) { request.prefix = "a/b"; },
       {"--prefix a/b: a prefix begins file names and may not contain '/' or '..'"}},
      {"PrefixAbove", [](auto&, auto& request) { request.prefix = "..x"; }, {"--prefix ..x"}},
      {"TargetIsSource",
       [](auto&, auto& request) { request.target_directory = "./src/"; },
       {"./src/: the target is the source (src)"}},
      {"TargetIsSourceOfFiles",
       [](auto&, auto& request) {
         request.source.path.clear();
         for (int64_t rank = 0; rank < 4; ++rank) {
           request.source.files[rank] = Format("src/rank_{}/net_{}.ckpt", rank, rank);
         }
         request.target_directory = "src";
         request.overwrite = true;
       },
       {"src: the target is the source (src/rank_0/net_0.ckpt)"}},
      {"TargetFileIsSource",
       [](auto&, auto& request) {
         request.target_file = "src/rank_1/net_1.ckpt";
         request.ranks = {0};
         request.overwrite = true;
       },
       {"src/rank_1/net_1.ckpt: the target is the source"}},
      {"TargetExists",
       [](auto& fs, auto&) { fs.SetFile("dst/rank_5/old.ckpt", "old"); },
       {"dst: holds checkpoints already (dst/rank_5/old.ckpt); use --overwrite"}},
      {"TargetFileExists",
       [](auto& fs, auto& request) {
         fs.SetFile("dst/one.ckpt", "old");
         request.target_file = "dst/one.ckpt";
         request.ranks = {1};
       },
       {"dst/one.ckpt: exists; use --overwrite to replace it"}},
      {"TargetIsAFile", [](auto& fs, auto&) { fs.SetFile("dst", "a file"); }, {"dst"}},
      {"ReplicasDiffer",
       [](auto& fs, auto& request) {
         fs.SetFile("src/rank_2/net_2.ckpt", FileWith(fs, 2, "m", Value({4, 3}, DType::kFloat16)));
         request.check_replicas = true;
       },
       {"src: replicas differ (--check-replicas):",
        "m: the ranks that hold [0:4,0:3] differ: rank 0, rank 2"}},
      {"UnknownRank",
       [](auto&, auto& request) {
         request.ranks = {0, 2};
       },
       {"--rank 2: dst_strategy.ckpt has ranks 0-1"}},
      {"NegativeRank", [](auto&, auto& request) { request.ranks = {-1}; }, {"--rank -1"}},
      // Once tripped a CHECK.
      {"NegativeSourceRank",
       [](auto&, auto& request) {
         request.source.path.clear();
         request.source.files[-1] = "src/rank_0/net_0.ckpt";
       },
       {"rank -1 (src/rank_0/net_0.ckpt) has no place in src_strategy.ckpt"}},
      {"TooLittleMemory",
       [](auto&, auto& request) { request.memory_bytes = 1 << 20; },
       {"--memory 1 MiB: at least 64 MiB are needed"}},
      {"FileForSeveralRanks",
       [](auto&, auto& request) { request.target_file = "dst/one.ckpt"; },
       {"a target file holds one rank"}},
      {"FileOfNoFormat",
       [](auto&, auto& request) {
         request.target_file = "dst/one.bin";
         request.ranks = {0};
       },
       {"dst/one.bin: must end in .ckpt or .safetensors"}},
      {"TextInSafetensors",
       [](auto& fs, auto& request) {
         const ExpectedValue text{ValueKind::kString, DType::kUInt8, {4}, std::string(4, '\0')};
         fs.SetFile("src/rank_0/net_0.ckpt", FileWith(fs, 0, "text", text));
         request.format = FileFormat::kSafetensors;
       },
       {"text: safetensors files cannot hold text"}},
      {"StrictAboutTheTarget",
       [](auto& fs, auto& request) {
         fs.SetFile("dst_strategy.ckpt", StageFile(0, "w", "{a:2} (a,-)"));
         request.contents.strict = true;
       },
       {"m, v: in the source strategy, but not in dst_strategy.ckpt (--strict)"}},
      {"StrictAboutTheFiles",
       [](auto& fs, auto& request) {
         World world = BaseWorld();
         (*world.target)[0].layouts.emplace_back("fresh", Spec("{a:2} (-)"));
         WriteStrategy(world, *world.target, world.target_form, "dst_strategy", fs);
         request.contents.strict = true;
       },
       {"fresh: in dst_strategy.ckpt, but in no file of src (--strict)"}},
  };
}

INSTANTIATE_TEST_SUITE_P(Inputs, RefusalTest, testing::ValuesIn(Refusals()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(RefusalTest, TheBaseIsAccepted) { EXPECT_EQ(RunWorld(BaseWorld(), 2), ""); }

TEST(RefusalTest, AFullDisk) {
  const World world = BaseWorld();
  MemoryFileSystem measure;
  WriteSource(world, measure);
  ASSERT_TRUE(TransformCheckpoints(measure, RequestOf(world)).ok());
  int64_t source_bytes = 0;
  for (const auto& [path, bytes] : FinalFiles(measure, "src")) source_bytes += std::ssize(bytes);
  for (const char* path : {"src_strategy.ckpt", "dst_strategy.ckpt"}) {
    source_bytes += std::ssize(*measure.FileBytes(path));
  }
  int refused = 0;
  int64_t spare = 0;
  for (;; spare += 40) {
    MemoryFileSystem fs(source_bytes + spare);
    WriteSource(world, fs);
    const auto report = TransformCheckpoints(fs, RequestOf(world));
    if (report.ok()) break;
    ++refused;
    EXPECT_EQ(report.status().code(), StatusCode::kIoError);
    EXPECT_THAT(report.status().message(), testing::ContainsRegex("[Nn]o space left"));
    EXPECT_TRUE(FinalFiles(fs, "dst").empty());
    EXPECT_FALSE(Exists(fs, "dst"));
  }
  EXPECT_GT(refused, 5);
}

// Every operation of a whole conversion fails once: the target is right, or untouched.
class FaultTest : public testing::TestWithParam<bool> {};

TEST_P(FaultTest, AllOrNothing) {
  const bool replaces = GetParam();
  const World world = BaseWorld();
  const auto expected = ExpectedTarget(world);
  const auto prepare = [&](MemoryFileSystem& disk) {
    WriteSource(world, disk);
    if (!replaces) return;
    disk.SetFile("dst/rank_0/checkpoint_0.ckpt", "old");
    disk.SetFile("dst/rank_7/checkpoint_7.ckpt", "old");
  };
  TransformRequest request = RequestOf(world);
  request.thread_count = 1;
  request.overwrite = replaces;
  request.check_replicas = true;
  MemoryFileSystem healthy;
  prepare(healthy);
  const Files old = FinalFiles(healthy, "dst");
  FaultFileSystem counting(healthy);
  ASSERT_TRUE(TransformCheckpoints(counting, request).ok());
  const Files fresh = FinalFiles(healthy, "dst");
  const int64_t operations = counting.operation_count();
  EXPECT_GT(operations, 100);
  int survived = 0;
  for (int64_t n = 0; n < operations; ++n) {
    for (const bool dies : {false, true}) {
      MemoryFileSystem disk;
      prepare(disk);
      FaultFileSystem fs(disk);
      dies ? fs.FailAfter(n) : fs.FailOnce(n);
      const auto report = TransformCheckpoints(fs, request);
      survived += report.ok();
      const std::string where = Format("operation {}: {}", n, report.status().message());
      if (!report.ok()) {
        EXPECT_THAT(report.status().message(), testing::HasSubstr("injected failure"));
      }
      for (const bool power_cut : {false, true}) {
        if (power_cut) disk.LoseUnsynced();
        const Files found = FinalFiles(disk, "dst");
        if (report.ok()) {
          EXPECT_EQ(found, fresh) << where;
        } else if (!dies) {
          EXPECT_EQ(found, old) << where;
        } else {
          // Some files of one of the two sets.
          const auto within = [&](const Files& set) {
            return std::all_of(found.begin(), found.end(), [&](const auto& entry) {
              const auto other = set.find(entry.first);
              return other != set.end() && other->second == entry.second;
            });
          };
          EXPECT_TRUE(within(old) || within(fresh)) << where;
        }
      }
      if (HasFailure()) return;
    }
  }
  // Only clean-up may fail unheard.
  EXPECT_LT(survived, 35);
}

INSTANTIATE_TEST_SUITE_P(Conversion, FaultTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Replacing" : "Fresh"; });

TEST(RefusalTest, ACancelledRunLeavesNothing) {
  const World world = BaseWorld();
  MemoryFileSystem fs;
  WriteSource(world, fs);
  Progress progress;
  progress.cancel_requested = true;
  TransformRequest request = RequestOf(world);
  request.progress = &progress;
  const auto report = TransformCheckpoints(fs, request);
  EXPECT_EQ(report.status().code(), StatusCode::kCancelled);
  EXPECT_FALSE(Exists(fs, "dst"));
}

TEST(RefusalTest, RankLists) {
  const World world = BaseWorld();
  MemoryFileSystem fs;
  WriteSource(world, fs);
  const auto list = [&](std::optional<std::string> from, std::optional<std::string> to,
                        int64_t rank) {
    return RanksForTransform(
        fs, {.source_strategy_path = from, .target_strategy_path = to, .rank = rank});
  };
  EXPECT_EQ(list("src_strategy.ckpt", "dst_strategy.ckpt", 0)->ranks, (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(list("src_strategy.ckpt", {}, 0)->ranks, (std::vector<int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(list({}, "dst_strategy.ckpt", 1)->ranks, (std::vector<int64_t>{0}));
  EXPECT_THAT(list("src_strategy.ckpt", "dst_strategy.ckpt", 2).status().message(),
              testing::HasSubstr("rank 2: the target has ranks 0-1"));
  EXPECT_THAT(list({}, {}, 0).status().message(), testing::HasSubstr("give a source strategy"));
  EXPECT_FALSE(list("none.ckpt", {}, 0).ok());
}

TEST(MergeStrategiesTest, WritesWhatLoadStrategyReads) {
  for (const char* output : {"out/merged.ckpt", "out/merged.json"}) {
    MemoryFileSystem fs;
    fs.SetFile("in/s_0.ckpt", StageFile(0, "w", "{a:4} (a,-)"));
    fs.SetFile("in/s_1.ckpt", StageFile(1, "v", "{a:2,b:2} (b) opt:all"));
    // A file a rank, as training leaves them: the same again.
    fs.SetFile("in/s_2.ckpt", StageFile(1, "v", "{a:2,b:2} (b) opt:all"));
    const auto report = MergeStrategies(fs, "in", output, false);
    ASSERT_TRUE(report.ok()) << report.status().message();
    EXPECT_EQ(report->stage_count, 2);
    EXPECT_EQ(report->parameter_count, 2);
    EXPECT_EQ(report->rank_count, 8);
    const auto strategy = LoadStrategy(fs, output);
    ASSERT_TRUE(strategy.ok()) << strategy.status().message();
    ASSERT_EQ(strategy->Find("v").size(), 1U);
    EXPECT_EQ(strategy->Find("v")[0].first_rank, 4);
    EXPECT_EQ(ToText(strategy->Find("v")[0].layout()), "{a:2,b:2} (b) opt:all");
    EXPECT_EQ(MergeStrategies(fs, "in", output, false).status().code(), StatusCode::kAlreadyExists);
    EXPECT_TRUE(MergeStrategies(fs, "in", output, true).ok());
    fs.LoseUnsynced();
    EXPECT_TRUE(LoadStrategy(fs, output).ok());
  }
}

TEST(MergeStrategiesTest, IntoTheSameFolderTwice) {
  MemoryFileSystem fs;
  fs.SetFile("in/s_0.ckpt", StageFile(0, "w", "{a:4} (a,-)"));
  ASSERT_TRUE(MergeStrategies(fs, "in", "in/merged.ckpt", false).ok());
  const std::string once = *fs.FileBytes("in/merged.ckpt");
  ASSERT_TRUE(MergeStrategies(fs, "in", "in/merged.ckpt", true).ok());
  EXPECT_EQ(fs.FileBytes("in/merged.ckpt"), once);
  EXPECT_THAT(MergeStrategies(fs, "in", "out.ckpt", true).status().message(),
              testing::HasSubstr("in/merged.ckpt: is merged already"));
}

// As MindFormers leaves it: the merged file among the others.
TEST(MergeStrategiesTest, MergedFileBesideTheStages) {
  MemoryFileSystem fs;
  fs.SetFile("in/s_0.ckpt", StageFile(0, "w", "{a:4} (a,-)"));
  fs.SetFile("in/s_1.ckpt", StageFile(1, "v", "{a:4} (-)"));
  ASSERT_TRUE(MergeStrategies(fs, "in", "in/merged.ckpt", false).ok());
  const auto strategy = LoadStrategy(fs, "in");
  ASSERT_TRUE(strategy.ok()) << strategy.status().message();
  EXPECT_EQ(strategy->stage_count(), 2);
  // Of another run.
  fs.SetFile("in/s_1.ckpt", StageFile(1, "v", "{a:4} (a)"));
  EXPECT_THAT(LoadStrategy(fs, "in").status().message(),
              testing::HasSubstr("in/merged.ckpt: differs from the files of the stages beside it "
                                 "in stage 1"));
  ASSERT_TRUE(fs.RemoveFile("in/s_1.ckpt").ok());
  EXPECT_THAT(LoadStrategy(fs, "in").status().message(),
              testing::HasSubstr("is of 2 stages, but the files beside it are of 1 stage"));
  ASSERT_TRUE(fs.RemoveFile("in/s_0.ckpt").ok());
  EXPECT_THAT(LoadStrategy(fs, "in").status().message(),
              testing::HasSubstr("is merged already; give this file itself"));
}

TEST(MergeStrategiesTest, AppearsWholeOrNotAtAll) {
  MemoryFileSystem healthy;
  const auto prepare = [](MemoryFileSystem& disk) {
    disk.SetFile("in/s_0.ckpt", StageFile(0, "w", "{a:4} (a,-)"));
    disk.SetFile("out/merged.ckpt", "old");
  };
  prepare(healthy);
  FaultFileSystem counting(healthy);
  ASSERT_TRUE(MergeStrategies(counting, "in", "out/merged.ckpt", true).ok());
  const std::string whole = *healthy.FileBytes("out/merged.ckpt");
  for (int64_t n = 0; n < counting.operation_count(); ++n) {
    for (const bool dies : {false, true}) {
      MemoryFileSystem disk;
      prepare(disk);
      FaultFileSystem fs(disk);
      dies ? fs.FailAfter(n) : fs.FailOnce(n);
      const auto report = MergeStrategies(fs, "in", "out/merged.ckpt", true);
      if (dies) disk.LoseUnsynced();
      const auto found = disk.FileBytes("out/merged.ckpt");
      EXPECT_TRUE(found == whole || found == "old") << n;
      if (report.ok()) {
        EXPECT_EQ(found, whole) << n;
      }
    }
  }
}

// A slice without elements may state any length; that of the whole need not exist.
TEST(RefusalTest, DiffOfLengthsThatOverflow) {
  MemoryFileSystem fs;
  World world;
  world.source = WorldSide{{.device_count = 4, .layouts = {{"x", Spec("{a:4} (-,a)")}}}};
  const std::string file = FileOf(FileFormat::kMindSporeCheckpoint,
                                  {{"x", {.shape = {0, int64_t{1} << 61}, .bytes = ""}}});
  for (int rank = 0; rank < 4; ++rank) fs.SetFile(Format("src/rank_{}/net.ckpt", rank), file);
  DiffRequest diff;
  diff.a.path = diff.b.path = "src";
  diff.a.strategy_path = diff.b.strategy_path =
      WriteStrategy(world, *world.source, StrategyForm::kProtobuf, "src_strategy", fs);
  EXPECT_THAT(
      DiffCheckpoints(fs, diff).status().message(),
      testing::HasSubstr("x: dim 1 = 2305843009213693952 of a slice, times 4 pieces, overflows"));
}

}  // namespace
}  // namespace relayout::oracle
