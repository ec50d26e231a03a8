// SPDX-License-Identifier: Apache-2.0
//
// Unified sets, killed at every operation and gone on with: what stands in the end is what an
// undisturbed run leaves, and it can be read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "relayout/base/text.h"
#include "relayout/convert/checkpoint_set.h"
#include "relayout/convert/unified.h"
#include "relayout/convert/verify_manifest.h"
#include "relayout/io/fault_file_system.h"
#include "tests/convert/whole_runs.h"
#include "tests/oracle/world.h"

namespace relayout::oracle {
namespace {

constexpr int64_t kParts = 1200;

// Three tensors in two parts, a scalar that no strategy knows, on four ranks.
World SomeWorld() {
  World world;
  world.tensors = {{.name = "w0", .shape = {4, 100}, .content = 5},
                   {.name = "w1", .shape = {4, 60}, .content = 6},
                   {.name = "w2", .shape = {8}, .content = 7},
                   {.name = "step", .shape = {}, .content = 9}};
  world.source = WorldSide{{.device_count = 4}};
  for (const char* name : {"w0", "w1", "w2"}) {
    (*world.source)[0].layouts.emplace_back(
        name, ParseSpec(name[1] == '2' ? "{a:4} (a)" : "{a:4} (a,-)"));
  }
  world.target = world.source;
  world.target_format = FileFormat::kSafetensors;
  return world;
}

TransformRequest ByRank() {
  TransformRequest request = RequestOf(SomeWorld());
  request.thread_count = 1;
  return request;
}

TransformRequest Unified(int64_t part_bytes = kParts) {
  TransformRequest request = ByRank();
  request.target_strategy_path.reset();
  request.format.reset();
  request.unified = UnifiedOptions{.part_bytes = part_bytes};
  return request;
}

enum class OldSet { kNone, kByRank, kUnified };

std::string NameOf(OldSet old) {
  return old == OldSet::kNone ? "no old set" : old == OldSet::kByRank ? "by rank" : "unified";
}

void Prepare(MemoryFileSystem& disk, OldSet old) {
  WriteSource(SomeWorld(), disk);
  if (old == OldSet::kNone) return;
  const auto made = TransformCheckpoints(disk, old == OldSet::kByRank ? ByRank() : Unified(1));
  ASSERT_TRUE(made.ok()) << made.status().message();
}

// Can the set be used: by its manifest and as a source? Empty, or why not.
std::string WhyUnusable(MemoryFileSystem& disk, bool has_strategy) {
  VerifyManifestRequest manifest;
  manifest.directory = "dst";
  const auto verified = VerifyManifest(disk, manifest);
  if (!verified.ok()) return verified.status().message();
  if (verified->problem_count > 0) return verified->problems[0];
  CheckpointSetSpec spec;
  spec.path = "dst";
  if (has_strategy) spec.strategy_path = ByRank().target_strategy_path;
  return OpenCheckpointSet(disk, spec, 1).status().message();
}

struct Scene {
  TransformRequest request;
  OldSet old = OldSet::kNone;
  bool resume = true;
};

std::string Check(const Scene& scene, MemoryFileSystem& disk, const Files& expected) {
  TransformRequest again = scene.request;
  again.resume = scene.resume;
  const auto report = TransformCheckpoints(disk, again);
  if (!report.ok()) return report.status().message();
  const std::string wrong = Compare(FilesUnder(disk, "dst"), expected);
  return wrong.empty() ? WhyUnusable(disk, !scene.request.unified) : wrong;
}

// Killed before an operation, with and without a power cut, and run again.
void KillEverywhere(const Scene& scene) {
  MemoryFileSystem undisturbed;
  Prepare(undisturbed, scene.old);
  FaultFileSystem counting(undisturbed);
  TransformRequest request = scene.request;
  request.resume = scene.resume;
  const auto whole = TransformCheckpoints(counting, request);
  ASSERT_TRUE(whole.ok()) << whole.status().message();
  const Files expected = FilesUnder(undisturbed, "dst");
  ASSERT_EQ(WhyUnusable(undisturbed, !scene.request.unified), "");
  const int64_t count = counting.operation_count();
  // Reading and creating are other tests' concern; publishing is at the end.
  for (int64_t n = 0; n < count; n += n < count / 2 ? 11 : 1) {
    for (const bool power_cut : {false, true}) {
      MemoryFileSystem disk;
      Prepare(disk, scene.old);
      FaultFileSystem fs(disk);
      fs.FailAfter(n);
      static_cast<void>(TransformCheckpoints(fs, request));
      if (power_cut) disk.LoseUnsynced();
      ASSERT_EQ(Check(scene, disk, expected), "")
          << "killed before operation " << n << ", power cut " << power_cut << ", "
          << NameOf(scene.old) << ", resume " << scene.resume;
    }
    MemoryFileSystem disk;
    Prepare(disk, scene.old);
    FaultFileSystem fs(disk);
    fs.FailOnce(n);
    static_cast<void>(TransformCheckpoints(fs, request));
    ASSERT_EQ(Check(scene, disk, expected), "")
        << "operation " << n << " fails, " << NameOf(scene.old) << ", resume " << scene.resume;
  }
}

TEST(UnifiedResumeTest, EndsAsIfNothingHadHappened) {
  for (const bool resume : {true, false}) {
    for (const OldSet old : {OldSet::kNone, OldSet::kByRank, OldSet::kUnified}) {
      Scene scene{.request = Unified(), .old = old, .resume = resume};
      // A run that is not gone on with meets what the dead one published.
      scene.request.overwrite = old != OldSet::kNone || !resume;
      KillEverywhere(scene);
      if (HasFatalFailure()) return;
    }
  }
}

// And the way back: rank folders take the place of a unified set.
TEST(UnifiedResumeTest, ASetByRankTakesItsPlace) {
  for (const bool resume : {true, false}) {
    Scene scene{.request = ByRank(), .old = OldSet::kUnified, .resume = resume};
    scene.request.overwrite = true;
    KillEverywhere(scene);
    if (HasFatalFailure()) return;
  }
}

// A run that was killed after it had emptied the folders of a larger set leaves them; the next run
// removes them, or no loader would take the set.
TEST(UnifiedResumeTest, NoEmptyRankFolderIsLeft) {
  World larger = SomeWorld();
  larger.target = WorldSide{{.device_count = 6, .layouts = {{"w2", ParseSpec("{a:6} (-)")}}}};
  MemoryFileSystem counted;
  const auto prepare = [&](MemoryFileSystem& disk) {
    WriteSource(larger, disk);
    TransformRequest old = RequestOf(larger);
    const auto made = TransformCheckpoints(disk, old);
    ASSERT_TRUE(made.ok()) << made.status().message();
    Prepare(disk, OldSet::kNone);
  };
  prepare(counted);
  FaultFileSystem counting(counted);
  TransformRequest request = ByRank();
  request.overwrite = true;
  ASSERT_TRUE(TransformCheckpoints(counting, request).ok());
  const int64_t count = counting.operation_count();
  for (int64_t n = count / 2; n < count; ++n) {
    MemoryFileSystem disk;
    prepare(disk);
    FaultFileSystem fs(disk);
    fs.FailAfter(n);
    static_cast<void>(TransformCheckpoints(fs, request));
    ASSERT_TRUE(TransformCheckpoints(disk, request).ok());
    ASSERT_EQ(WhyUnusable(disk, true), "") << "killed before operation " << n;
    ASSERT_FALSE(Exists(disk, "dst/rank_5")) << "killed before operation " << n;
  }
}

// Each task is killed on its own and gone on with; the set is whole in the end.
TEST(UnifiedResumeTest, TasksAreGoneOnWithOneByOne) {
  for (const OldSet old : {OldSet::kNone, OldSet::kByRank, OldSet::kUnified}) {
    TransformRequest request = Unified();
    request.overwrite = old != OldSet::kNone;
    request.resume = true;
    request.unified->task_count = 3;  // One more than there are parts.
    const auto run_all = [&](MemoryFileSystem& disk, int64_t killed_task, int64_t n) {
      Prepare(disk, old);
      FaultFileSystem fs(disk);
      int64_t operations = 0;
      for (int64_t task = 0; task < 3; ++task) {
        request.unified->task = task;
        if (task == killed_task) {
          fs.FailAfter(n);
          static_cast<void>(TransformCheckpoints(fs, request));
        }
        fs.StopFailing();
        const auto report = TransformCheckpoints(fs, request);
        EXPECT_TRUE(report.ok()) << report.status().message();
        operations = std::max(operations, fs.operation_count());
      }
      return operations;
    };
    MemoryFileSystem undisturbed;
    const int64_t operations = run_all(undisturbed, -1, 0);
    ASSERT_EQ(WhyUnusable(undisturbed, false), "") << NameOf(old);
    for (int64_t task = 0; task < 3; ++task) {
      for (int64_t n = 0; n < operations; n += n < operations / 2 ? 11 : 1) {
        MemoryFileSystem disk;
        run_all(disk, task, n);
        ASSERT_EQ(Compare(FilesUnder(disk, "dst"), FilesUnder(undisturbed, "dst")), "")
            << "task " << task << " killed before operation " << n << ", " << NameOf(old);
        ASSERT_EQ(WhyUnusable(disk, false), "");
      }
    }
  }
}

// Enough for several chunks, shared by processes of which all die; others go on.
TEST(UnifiedResumeTest, ProcessesShareIt) {
  Random random(PrintedSeed());
  World world = WithManyTensors(LargeWorld(), 4);
  world.target.reset();
  TransformRequest request = RequestOf(world);
  request.format.reset();
  request.unified = UnifiedOptions{.part_bytes = int64_t{5} << 20};
  request.thread_count = 1;
  MemoryFileSystem alone;
  WriteSource(world, alone);
  FaultFileSystem counting(alone);
  const auto once = TransformCheckpoints(counting, request);
  ASSERT_TRUE(once.ok()) << once.status().message();
  ASSERT_GT(once->file_of_rank.size(), 2U);
  const Files expected = FilesUnder(alone, "dst");
  request.resume = true;
  for (int i = 0; i < 12; ++i) {
    MemoryFileSystem disk;
    WriteSource(world, disk);
    FaultFileSystem fs(disk);
    const int64_t n = random.Below(counting.operation_count());
    fs.FailAfter(n);
    const auto processes = static_cast<int>(random.Between(1, 3));
    static_cast<void>(Convert(processes, fs, request));
    if (random.OneIn(2)) disk.LoseUnsynced();
    const auto report = Convert(static_cast<int>(random.Between(1, 3)), disk, request);
    ASSERT_TRUE(report.ok()) << report.status().message() << ", operation " << n;
    ASSERT_EQ(Compare(FilesUnder(disk, "dst"), expected), "") << "operation " << n;
  }
}

// What a run under another rename, or of other parts, left is not gone on with.
TEST(UnifiedResumeTest, NoticesWhatChanged) {
  const auto change_of = [](int change) {
    TransformRequest request = Unified();
    request.resume = true;
    if (change == 1) request.contents.renames["w0"] = "v0";
    if (change == 2) request.contents.renames["w0"] = std::nullopt;
    if (change == 3) request.unified->part_bytes = 1;
    return request;
  };
  MemoryFileSystem healthy;
  Prepare(healthy, OldSet::kNone);
  FaultFileSystem counting(healthy);
  ASSERT_TRUE(TransformCheckpoints(counting, change_of(0)).ok());
  int64_t noticed = 0;
  for (int64_t n = 0; n < counting.operation_count(); n += 5) {
    MemoryFileSystem disk;
    Prepare(disk, OldSet::kNone);
    FaultFileSystem fs(disk);
    fs.FailAfter(n);
    static_cast<void>(TransformCheckpoints(fs, change_of(0)));
    if (!disk.FileBytes("dst/.relayout/staging-0/plan")) continue;
    ++noticed;
    for (const int change : {1, 2, 3}) {
      EXPECT_THAT(TransformCheckpoints(disk, change_of(change)).status().message(),
                  testing::HasSubstr("unfinished work of another conversion, the "))
          << change << ", killed before operation " << n;
    }
    EXPECT_TRUE(TransformCheckpoints(disk, change_of(0)).ok());
    EXPECT_EQ(Compare(FilesUnder(disk, "dst"), FilesUnder(healthy, "dst")), "");
  }
  EXPECT_GT(noticed, 3);
}

}  // namespace
}  // namespace relayout::oracle
