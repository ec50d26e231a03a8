// SPDX-License-Identifier: Apache-2.0
//
// Conversions that rename: the same as without, under other names.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "relayout/base/text.h"
#include "relayout/convert/contents.h"
#include "tests/convert/whole_runs.h"
#include "tests/oracle/world.h"

namespace relayout::oracle {
namespace {

constexpr uint64_t kWorlds = 300;

using Renames = std::map<std::string, std::string>;

// Some get names of their own, others each other's.
Renames AnyRenames(const World& world, Random& random) {
  std::vector<std::string> names;
  for (const WorldTensor& tensor : world.tensors) {
    if (!IsScratch(tensor.name)) names.push_back(tensor.name);
  }
  Renames renames;
  for (const std::string& name : names) {
    if (random.OneIn(3)) renames[name] = "new." + name;
  }
  std::vector<std::string> exchanged;
  for (const std::string& name : names) {
    if (!renames.contains(name) && random.OneIn(2)) exchanged.push_back(name);
  }
  for (size_t i = 0; i < exchanged.size(); ++i) {
    renames[exchanged[i]] = exchanged[(i + 1) % exchanged.size()];
  }
  return renames;
}

std::string NewName(const Renames& renames, const std::string& name) {
  const auto found = renames.find(name);
  return found == renames.end() ? name : found->second;
}

TEST(RenamesTest, AnyWorldUnderOtherNames) {
  const uint64_t seed = PrintedSeed();
  int64_t renamed_count = 0;
  int64_t partial_count = 0;
  for (uint64_t i = 0; i < kWorlds; ++i) {
    Random random(Mix(seed + i));
    World world = RandomWorld(seed + i);
    world.states_shapes = false;  // The target would state those of the old names.
    const Renames renames = AnyRenames(world, random);
    if (renames.empty()) continue;
    std::map<int64_t, ExpectedFile> expected;
    for (const auto& [rank, file] : ExpectedTarget(world)) {
      expected[rank];
      for (const auto& [name, value] : file) expected[rank][NewName(renames, name)] = value;
    }
    if (world.target) {
      for (WorldStage& stage : *world.target) {
        for (auto& [name, layout] : stage.layouts) name = NewName(renames, name);
      }
    }
    MemoryFileSystem fs;
    WriteSource(world, fs);
    TransformRequest request = RequestOf(world);
    request.contents.renames.insert(renames.begin(), renames.end());
    request.thread_count = 1;
    const std::string about = [&] {
      std::string text = Describe(world);
      for (const auto& [name, new_name] : renames) text += Format("{} -> {}\n", name, new_name);
      return text;
    }();
    const auto report = TransformCheckpoints(fs, request);
    ASSERT_TRUE(report.ok()) << report.status().message() << "\nseed " << seed + i << about;
    ASSERT_EQ(CompareTarget(fs, "dst", request.prefix, world.target_format, expected), "")
        << "seed " << seed + i << about;
    ++renamed_count;
    partial_count += world.ranks.empty() ? 0 : 1;
  }
  EXPECT_GT(renamed_count, 100);
  EXPECT_GT(partial_count, 5);
}

}  // namespace
}  // namespace relayout::oracle
