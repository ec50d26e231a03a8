// SPDX-License-Identifier: Apache-2.0
//
// Unified sets: any world put together into one, and any world's target made from one.
#include "relayout/convert/unified.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "relayout/base/text.h"
#include "relayout/convert/compare.h"
#include "relayout/convert/contents.h"
#include "relayout/convert/verify_manifest.h"
#include "relayout/format/safetensors/name_map.h"
#include "tests/convert/whole_runs.h"
#include "tests/oracle/world.h"

namespace relayout::oracle {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr uint64_t kWorlds = 200;

bool IsInSafetensors(const World& world) {
  return std::all_of(world.tensors.begin(), world.tensors.end(), [](const WorldTensor& tensor) {
    return tensor.kind == ValueKind::kTensor && tensor.dtype != DType::kComplex64 &&
           tensor.dtype != DType::kComplex128 && tensor.dtype != DType::kHiFloat8;
  });
}

World UnifiableWorld(uint64_t seed) {
  World world = RandomWorld(seed);
  world.target.reset();
  world.ranks.clear();
  world.target_format = FileFormat::kSafetensors;
  world.target_crc = false;
  return world;
}

TransformRequest UnifyRequest(const World& world, int64_t part_bytes) {
  TransformRequest request = RequestOf(world);
  request.target_directory = "unified";
  request.unified = UnifiedOptions{.part_bytes = part_bytes};
  request.format.reset();
  request.crc_trailer = false;
  return request;
}

// All values of the files of a unified set, and which file each is in.
struct UnifiedContents {
  std::map<std::string, ExpectedValue> values;
  std::map<std::string, std::string> file_of;
};

UnifiedContents ReadUnified(MemoryFileSystem& fs, const std::string& directory) {
  UnifiedContents contents;
  for (const auto& [path, bytes] : FilesUnder(fs, directory)) {
    if (!path.ends_with(".safetensors")) continue;
    for (auto& [name, value] : ContentsOf(path, bytes)) {
      EXPECT_TRUE(contents.file_of.emplace(name, BaseName(path)).second) << name << " twice";
      contents.values[name] = std::move(value);
    }
  }
  return contents;
}

std::string CompareValues(const std::map<std::string, ExpectedValue>& got,
                          const std::map<std::string, ExpectedValue>& wanted) {
  for (const auto& [name, value] : wanted) {
    const auto found = got.find(name);
    if (found == got.end()) return name + " is missing";
    if (found->second.dtype != value.dtype || found->second.shape != value.shape ||
        found->second.bytes != value.bytes) {
      return name + " differs";
    }
  }
  return got.size() == wanted.size() ? "" : "values too many";
}

// The set holds what a conversion to one rank holds, whatever the sizes of its parts, and can be
// read back into any sharding.
TEST(UnifiedTest, HoldsTheWholeModel) {
  const uint64_t seed = PrintedSeed();
  int64_t world_count = 0;
  int64_t part_count = 0;
  int64_t hyper_count = 0;
  for (uint64_t i = 0; i < kWorlds; ++i) {
    const World world = UnifiableWorld(seed + i);
    if (!world.source || !IsInSafetensors(world)) continue;
    ++world_count;
    const std::map<std::string, ExpectedValue> wanted = ExpectedTarget(world).at(0);
    for (const int64_t part_bytes : {int64_t{1}, int64_t{256}, int64_t{3} << 30}) {
      MemoryFileSystem fs;
      WriteSource(world, fs);
      const auto report = TransformCheckpoints(fs, UnifyRequest(world, part_bytes));
      ASSERT_TRUE(report.ok()) << report.status().message() << Describe(world);
      const UnifiedContents got = ReadUnified(fs, "unified");
      ASSERT_EQ(CompareValues(got.values, wanted), "") << Describe(world);
      const auto map = ReadNameMap(fs, "unified/param_name_map.json");
      ASSERT_TRUE(map.ok()) << map.status().message();
      std::set<std::string> parts;
      for (const NameMapEntry& entry : *map) {
        EXPECT_EQ(got.file_of.at(entry.name), entry.file);
        parts.insert(entry.file);
      }
      for (const auto& [name, file] : got.file_of) {
        const bool is_known = std::any_of(map->begin(), map->end(), [&](const NameMapEntry& entry) {
          return entry.name == name;
        });
        EXPECT_NE(is_known, file == "hyper_param.safetensors") << name;
      }
      part_count += std::ssize(parts);
      hyper_count += fs.FileBytes("unified/hyper_param.safetensors") ? 1 : 0;
      VerifyManifestRequest manifest;
      manifest.directory = "unified";
      const auto by_manifest = VerifyManifest(fs, manifest);
      ASSERT_TRUE(by_manifest.ok()) << by_manifest.status().message();
      EXPECT_THAT(by_manifest->problems, IsEmpty());
      // Against the source, without the planner.
      VerifyRequest verify;
      verify.source = RequestOf(world).source;
      verify.target.path = "unified";
      verify.keep_extra = world.keep_extra;
      const auto verified = VerifyTransform(fs, verify);
      ASSERT_TRUE(verified.ok()) << verified.status().message() << Describe(world);
      EXPECT_THAT(verified->problems, IsEmpty()) << Describe(world);
    }
  }
  EXPECT_GT(world_count, 20);
  EXPECT_GT(part_count, 3 * world_count);
  EXPECT_GT(hyper_count, 0);
}

// The way back: from a unified set to the world's target.
TEST(UnifiedTest, IsASourceForAnySharding) {
  const uint64_t seed = PrintedSeed();
  int64_t world_count = 0;
  for (uint64_t i = 0; i < 3 * kWorlds; ++i) {
    World world = RandomWorld(seed + i);
    if (!world.source || !world.target || !IsInSafetensors(world)) continue;
    // What all of the source hold whole, so that nothing is left out on the way.
    world.keep_extra = true;
    world.ranks.clear();
    const auto expected = ExpectedTarget(world);
    MemoryFileSystem fs;
    WriteSource(world, fs);
    TransformRequest direct = RequestOf(world);
    direct.trust_strategy = true;
    direct.format = FileFormat::kSafetensors;
    direct.crc_trailer = false;
    ASSERT_TRUE(TransformCheckpoints(fs, direct).ok());
    TransformRequest unify = UnifyRequest(world, 200);
    unify.target_strategy_path.reset();
    unify.trust_strategy = true;
    const auto unified = TransformCheckpoints(fs, unify);
    ASSERT_TRUE(unified.ok()) << unified.status().message() << Describe(world);
    TransformRequest request = RequestOf(world);
    request.source = CheckpointSetSpec();
    request.source.path = "unified";
    request.target_directory = "again";
    request.format = FileFormat::kSafetensors;
    request.crc_trailer = false;
    const auto report = TransformCheckpoints(fs, request);
    ASSERT_TRUE(report.ok()) << report.status().message() << Describe(world);
    ++world_count;
    for (const auto& [rank, path] : report->file_of_rank) {
      const std::string direct_path = "dst" + path.substr(std::string("again").size());
      const auto again = ContentsOf(path, *fs.FileBytes(path));
      const auto at_once = ContentsOf(direct_path, *fs.FileBytes(direct_path));
      ASSERT_EQ(CompareValues(again, at_once), "") << path << Describe(world);
    }
  }
  EXPECT_GT(world_count, 20);
}

World SixTensors() {
  World world;
  for (int i = 0; i < 6; ++i) {
    world.tensors.push_back({.name = Format("w{}", i), .shape = {4, 10 * (i + 1)}, .content = 5});
  }
  world.tensors.push_back({.name = "step", .shape = {}, .content = 9});
  world.source = WorldSide{{.device_count = 2}};
  for (int i = 0; i < 6; ++i) {
    (*world.source)[0].layouts.emplace_back(Format("w{}", i), ParseSpec("{a:2} (a,-)"));
  }
  return world;
}

// 160 to 960 bytes, 3,360 in all: three parts of 1,120 bytes each.
TEST(UnifiedTest, DealsTheLargestFirst) {
  MemoryFileSystem fs;
  WriteSource(SixTensors(), fs);
  ASSERT_TRUE(TransformCheckpoints(fs, UnifyRequest(SixTensors(), 1200)).ok());
  const UnifiedContents got = ReadUnified(fs, "unified");
  EXPECT_EQ(got.file_of, (std::map<std::string, std::string>{{"w5", "part0.safetensors"},
                                                             {"w4", "part1.safetensors"},
                                                             {"w3", "part2.safetensors"},
                                                             {"w2", "part2.safetensors"},
                                                             {"w1", "part1.safetensors"},
                                                             {"w0", "part0.safetensors"},
                                                             {"step", "hyper_param.safetensors"}}));
  EXPECT_EQ(*fs.FileBytes("unified/param_name_map.json"),
            R"({"metadata":{"total_size":3360},"weight_map":{"w0":"part0.safetensors",)"
            R"("w5":"part0.safetensors","w1":"part1.safetensors","w4":"part1.safetensors",)"
            R"("w2":"part2.safetensors","w3":"part2.safetensors"}})");
}

// Two runs that write a part of the set each leave what one run leaves.
TEST(UnifiedTest, TasksTogetherMakeTheSet) {
  MemoryFileSystem fs;
  WriteSource(SixTensors(), fs);
  const TransformRequest whole = UnifyRequest(SixTensors(), 1200);
  ASSERT_TRUE(TransformCheckpoints(fs, whole).ok());
  TransformRequest part = whole;
  part.target_directory = "shared";
  for (const int64_t task : {1, 0}) {
    part.unified->task = task;
    part.unified->task_count = 2;
    const auto report = TransformCheckpoints(fs, part);
    ASSERT_TRUE(report.ok()) << report.status().message();
    std::vector<std::string> names;
    for (const auto& [rank, path] : report->file_of_rank) names.push_back(BaseName(path));
    if (task == 1) {
      EXPECT_THAT(names, ElementsAre("part2.safetensors"));
    } else {
      EXPECT_THAT(names, ElementsAre("part0.safetensors", "part1.safetensors",
                                     "hyper_param.safetensors", "param_name_map.json"));
    }
  }
  Files at_once;
  Files shared;
  for (const auto& [path, bytes] : FilesUnder(fs, "unified")) {
    if (path.find(".relayout") == std::string::npos) at_once[BaseName(path)] = bytes;
  }
  for (const auto& [path, bytes] : FilesUnder(fs, "shared")) {
    if (path.find(".relayout") == std::string::npos) shared[BaseName(path)] = bytes;
  }
  EXPECT_EQ(Compare(shared, at_once), "");
  VerifyManifestRequest manifest;
  manifest.directory = "shared";
  EXPECT_THAT(VerifyManifest(fs, manifest)->problems, IsEmpty());
}

TEST(UnifiedTest, ReplacesOnlyWhenToldTo) {
  MemoryFileSystem fs;
  WriteSource(SixTensors(), fs);
  TransformRequest request = UnifyRequest(SixTensors(), 300);
  ASSERT_TRUE(TransformCheckpoints(fs, request).ok());
  fs.SetFile("unified/README.md", "mine");
  request.unified->part_bytes = 1200;
  EXPECT_THAT(TransformCheckpoints(fs, request).status().message(),
              HasSubstr("holds checkpoints already"));
  request.overwrite = true;
  ASSERT_TRUE(TransformCheckpoints(fs, request).ok());
  EXPECT_FALSE(fs.FileBytes("unified/part5.safetensors"));
  EXPECT_EQ(*fs.FileBytes("unified/README.md"), "mine");
  // A set by ranks takes its place, and the other way round.
  TransformRequest by_rank = RequestOf(SixTensors());
  by_rank.target_directory = "unified";
  EXPECT_THAT(TransformCheckpoints(fs, by_rank).status().message(),
              HasSubstr("holds checkpoints already"));
  by_rank.overwrite = true;
  ASSERT_TRUE(TransformCheckpoints(fs, by_rank).ok());
  EXPECT_FALSE(fs.FileBytes("unified/part0.safetensors"));
  ASSERT_TRUE(TransformCheckpoints(fs, request).ok());
  EXPECT_FALSE(fs.FileBytes("unified/rank_0/checkpoint_0.ckpt"));
  VerifyManifestRequest manifest;
  manifest.directory = "unified";
  EXPECT_THAT(VerifyManifest(fs, manifest)->problems, IsEmpty());
}

// The index of a model of Hugging Face's: with it in the folder no reader could tell which set is
// meant.
TEST(UnifiedTest, RefusesAFolderWithAnIndexOfAnotherModel) {
  MemoryFileSystem fs;
  WriteSource(SixTensors(), fs);
  fs.SetFile("unified/model.safetensors.index.json", R"({"weight_map":{}})");
  fs.SetFile("unified/model-00001-of-00001.safetensors", "x");
  const Files before = FilesUnder(fs, "unified");
  TransformRequest by_rank = RequestOf(SixTensors());
  by_rank.target_directory = "unified";
  for (TransformRequest request : {UnifyRequest(SixTensors(), 1200), by_rank}) {
    for (const bool overwrite : {false, true}) {
      request.overwrite = overwrite;
      EXPECT_THAT(TransformCheckpoints(fs, request).status().message(),
                  HasSubstr("unified/model.safetensors.index.json: is the index of another model"));
      EXPECT_EQ(Compare(FilesUnder(fs, "unified"), before), "");
    }
  }
}

TEST(UnifiedTest, ManifestFindsDamageAndStrangers) {
  MemoryFileSystem fs;
  WriteSource(SixTensors(), fs);
  ASSERT_TRUE(TransformCheckpoints(fs, UnifyRequest(SixTensors(), 1200)).ok());
  std::string map = *fs.FileBytes("unified/param_name_map.json");
  map[20] ^= 1;
  fs.SetFile("unified/param_name_map.json", map);
  fs.SetFile("unified/part9.safetensors", "x");
  VerifyManifestRequest manifest;
  manifest.directory = "unified";
  const auto report = VerifyManifest(fs, manifest);
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_THAT(report->problems, ElementsAre(HasSubstr("part9.safetensors: is not in the manifest"),
                                            HasSubstr("param_name_map.json: damaged")));
}

struct BadSource {
  const char* name;
  void (*spoil)(MemoryFileSystem& fs);
  const char* fragment;
};

TEST(UnifiedTest, RefusesWhatIsNoWholeModel) {
  for (const BadSource& c : {
           BadSource{"lost part",
                     [](auto& fs) { static_cast<void>(fs.RemoveFile("m/part1.safetensors")); },
                     "m/param_name_map.json: w1 is in m/part1.safetensors, which is not there"},
           {"no map", [](auto& fs) { static_cast<void>(fs.RemoveFile("m/param_name_map.json")); },
            "holds 4 safetensors files and no param_name_map.json"},
           {"two maps", [](auto& fs) { fs.SetFile("m/x.safetensors.index.json", "{}"); },
            "holds several maps of names"},
           {"rank folders", [](auto& fs) { fs.SetFile("m/rank_0/a.ckpt", "x"); },
            "both kinds of checkpoint are there"},
           {"wrong map",
            [](auto& fs) {
              fs.SetFile("m/param_name_map.json", R"({"weight_map":{"w0":"part2.safetensors"}})");
            },
            "w0 should be in part2.safetensors, but is not"},
           {"twice",
            [](auto& fs) {
              fs.SetFile("m/hyper_param.safetensors", *fs.FileBytes("m/part0.safetensors"));
            },
            "w0 is both in m/hyper_param.safetensors and in m/part0.safetensors"},
           {"outside",
            [](auto& fs) {
              fs.SetFile("m/param_name_map.json", R"({"w0":"../part2.safetensors"})");
            },
            "../part2.safetensors is no .safetensors file beside the map"},
       }) {
    MemoryFileSystem fs;
    WriteSource(SixTensors(), fs);
    TransformRequest unify = UnifyRequest(SixTensors(), 1200);
    unify.target_directory = "m";
    ASSERT_TRUE(TransformCheckpoints(fs, unify).ok());
    c.spoil(fs);
    TransformRequest request;
    request.source.path = "m";
    request.target_directory = "out";
    request.thread_count = 1;
    const auto report = TransformCheckpoints(fs, request);
    EXPECT_THAT(report.status().message(), HasSubstr(c.fragment)) << c.name;
    EXPECT_THAT(FilesUnder(fs, "out"), IsEmpty());
  }
}

TEST(UnifiedTest, RefusesRequestsThatMakeNoSense) {
  MemoryFileSystem fs;
  WriteSource(SixTensors(), fs);
  const TransformRequest good = UnifyRequest(SixTensors(), 1200);
  const auto refusal = [&](auto&& spoil) {
    TransformRequest request = good;
    spoil(request);
    return TransformCheckpoints(fs, request).status().message();
  };
  EXPECT_THAT(refusal([](auto& r) { r.unified->part_bytes = 0; }), HasSubstr("--part-size"));
  EXPECT_THAT(refusal([](auto& r) { r.unified->task = 1; }), HasSubstr("--task 2/1"));
  EXPECT_THAT(refusal([](auto& r) { r.ranks = {0}; }), HasSubstr("has no ranks"));
  EXPECT_THAT(refusal([](auto& r) { r.target_strategy_path = "x.ckpt"; }),
              HasSubstr("holds every tensor whole, so x.ckpt has no use"));
  EXPECT_THAT(refusal([](auto& r) { r.format = FileFormat::kMindSporeCheckpoint; }),
              HasSubstr("safetensors"));
  EXPECT_THAT(refusal([](auto& r) { r.file_name = "net"; }), HasSubstr("names of their own"));
}

// One whole file in another format, without any strategy: nothing is left out.
TEST(UnifiedTest, ConvertsTheFormatOfOneFile) {
  MemoryFileSystem fs;
  World world;
  world.tensors = {{.name = "w", .shape = {3}, .content = 1},
                   {.name = "accu_grads.w", .shape = {3}, .content = 2}};
  WriteSource(world, fs);
  TransformRequest request;
  request.source.path = "src/rank_0/net_0.ckpt";
  request.target_file = "out.safetensors";
  request.ranks = {0};
  const auto report = TransformCheckpoints(fs, request);
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_THAT(report->notes, IsEmpty());
  const auto contents = ContentsOf("out.safetensors", *fs.FileBytes("out.safetensors"));
  EXPECT_EQ(contents.size(), 2U);
  EXPECT_EQ(contents.at("w").bytes, Content(1, 3, 4));
}

// load_distributed_checkpoint without a strategy: the model as rank 0's file of a given name.
TEST(UnifiedTest, ToWriteUnderAGivenNameIsAConversion) {
  MemoryFileSystem fs;
  World world;
  world.tensors = {{.name = "w", .shape = {3}, .content = 1}};
  WriteSource(world, fs);
  TransformRequest request;
  request.source.path = "src/rank_0/net_0.ckpt";
  request.target_directory = "dst";
  EXPECT_THAT(TransformCheckpoints(fs, request).status().message(),
              HasSubstr("there is nothing to convert"));
  request.file_name = "net";
  const auto report = TransformCheckpoints(fs, request);
  ASSERT_TRUE(report.ok()) << report.status().message();
  const auto contents = ContentsOf("net.ckpt", *fs.FileBytes("dst/rank_0/net.ckpt"));
  EXPECT_EQ(contents.at("w").bytes, Content(1, 3, 4));
}

}  // namespace
}  // namespace relayout::oracle
