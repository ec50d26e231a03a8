// SPDX-License-Identifier: Apache-2.0
//
// Whole conversions that are killed at any operation and gone on with: what stands in the end is
// what an undisturbed run leaves, to the last byte and manifest record. The seed is printed;
// RELAYOUT_SEED repeats a run.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/io/fault_file_system.h"
#include "tests/convert/whole_runs.h"
#include "tests/oracle/world.h"

namespace relayout::oracle {
namespace {

constexpr int64_t kMib = int64_t{1} << 20;
constexpr int kWorlds = 25;
constexpr int kKillsPerWorld = 8;

// How a run is carried out; none of it may show in the files.
struct Means {
  int processes = 1;
  int threads = 1;
  int64_t memory_bytes = 64 * kMib;
};

// The first run sets how much memory a thread has; those after it need as much for one.
Means AnyMeans(Random& random) {
  const auto threads = static_cast<int>(random.Between(1, 3));
  return {.processes = static_cast<int>(random.Between(1, 3)),
          .threads = threads,
          .memory_bytes = random.OneIn(2) ? 64 * kMib : 64 * kMib * threads};
}

// A world with its request, on a disk that may hold an older set.
struct Scene {
  World world;
  TransformRequest request = {};
  bool has_old_set = false;

  void Prepare(MemoryFileSystem& disk) const {
    WriteSource(world, disk);
    if (!has_old_set) return;
    TransformRequest old = RequestOf(world);
    old.prefix = "old_";
    old.ranks.clear();
    ASSERT_TRUE(Convert(1, disk, old).ok());
  }

  Result<TransformReport> Run(FileSystem& fs, const Means& means, bool resume) const {
    return Run([&](int) -> FileSystem& { return fs; }, means, resume);
  }
  Result<TransformReport> Run(const FileSystemOf& fs_of, const Means& means, bool resume) const {
    TransformRequest run = request;
    run.thread_count = means.threads;
    run.memory_bytes = means.memory_bytes;
    run.resume = resume;
    return Convert(means.processes, fs_of, run);
  }

  std::string Text() const {
    return Format("{}sync {} crc {} overwrite {} replicas {}", Describe(world), request.sync,
                  request.crc_trailer, request.overwrite, static_cast<int>(request.replica_mode));
  }
};

Scene AnyScene(uint64_t seed) {
  Random random(Mix(seed));
  Scene scene{.world = RandomWorld(seed)};
  if (random.OneIn(2)) {
    scene.world = WithManyTensors(std::move(scene.world), random.Between(70, 200));
  }
  scene.request = RequestOf(scene.world);
  scene.request.sync = !random.OneIn(3);
  scene.request.replica_mode = static_cast<ReplicaMode>(random.Below(3));
  scene.has_old_set = random.OneIn(2);
  scene.request.overwrite = scene.has_old_set;
  return scene;
}

Scene Large() {
  Scene scene{.world = LargeWorld()};
  scene.request = RequestOf(scene.world);
  return scene;
}

// What an undisturbed run leaves, and how many operations it has.
struct Undisturbed {
  Files files;
  int64_t operation_count = 0;
};

Undisturbed RunUndisturbed(const Scene& scene, const Means& means) {
  MemoryFileSystem disk;
  scene.Prepare(disk);
  FaultFileSystem counting(disk);
  const auto report = scene.Run(counting, means, /*resume=*/false);
  EXPECT_TRUE(report.ok()) << report.status().message() << "\n" << scene.Text();
  return {.files = FilesUnder(disk, "dst"), .operation_count = counting.operation_count()};
}

// A run that fails, not one that dies: one operation of one process does not work.
std::string FailAndResume(const Scene& scene, const Means& means, const Files& expected, int64_t n,
                          Random& random) {
  MemoryFileSystem disk;
  scene.Prepare(disk);
  FaultFileSystem broken(disk);
  broken.FailOnce(n);
  const int process = static_cast<int>(random.Below(means.processes));
  const std::string where = Format("operation {} of process {} fails", n, process);
  const auto failed = scene.Run(
      [&](int p) -> FileSystem& { return p == process ? static_cast<FileSystem&>(broken) : disk; },
      means, /*resume=*/true);
  const auto report = scene.Run(disk, AnyMeans(random), /*resume=*/true);
  if (!report.ok()) return where + ": " + report.status().message();
  if (failed.ok() && report->written_bytes > 0) return where + ": it had succeeded";
  const std::string wrong = Compare(FilesUnder(disk, "dst"), expected);
  return wrong.empty() ? "" : where + ": " + wrong;
}

// Killed before operation `n`, perhaps once more, and gone on with by other means each time.
std::string KillAndResume(const Scene& scene, const Means& means, const Files& expected, int64_t n,
                          Random& random) {
  MemoryFileSystem disk;
  scene.Prepare(disk);
  const bool power_cut = scene.request.sync && random.OneIn(2);
  std::string where = Format("killed before operation {}, power cut {}", n, power_cut);
  FaultFileSystem fs(disk);
  fs.FailAfter(n);
  static_cast<void>(scene.Run(fs, means, random.OneIn(2)));
  if (power_cut) disk.LoseUnsynced();
  while (random.OneIn(2)) {
    const int64_t m = random.Below(n + 50);
    where += Format(", then {}", m);
    fs.FailAfter(m);
    static_cast<void>(scene.Run(fs, AnyMeans(random), /*resume=*/true));
  }
  const auto report = scene.Run(disk, AnyMeans(random), /*resume=*/true);
  if (!report.ok()) return where + ": " + report.status().message();
  const std::string wrong = Compare(FilesUnder(disk, "dst"), expected);
  return wrong.empty() ? "" : where + ": " + wrong;
}

TEST(ResumeTest, EndsAsIfNothingHadHappened) {
  const uint64_t first = PrintedSeed();
  for (uint64_t seed = first; seed < first + kWorlds; ++seed) {
    Random random(Mix(seed + 1));
    const Scene scene = AnyScene(seed);
    const Means means = AnyMeans(random);
    const Undisturbed undisturbed = RunUndisturbed(scene, means);
    ASSERT_FALSE(HasFailure());
    for (int64_t i = 0; i < kKillsPerWorld; ++i) {
      // One in each part of the run; publishing is at its end and deserves as many again.
      const int64_t part = undisturbed.operation_count / (kKillsPerWorld / 2) + 1;
      const int64_t n =
          i % 2 == 0 ? i / 2 * part + random.Below(part)
                     : std::max<int64_t>(0, undisturbed.operation_count - 1 - random.Below(120));
      for (const auto& disturb : {KillAndResume, FailAndResume}) {
        ASSERT_EQ(disturb(scene, means, undisturbed.files, n, random), "")
            << "RELAYOUT_SEED=" << seed << "\n"
            << scene.Text();
      }
    }
  }
}

TEST(ResumeTest, ALargeRunEndsAsIfNothingHadHappened) {
  Random random(PrintedSeed());
  const Scene scene = Large();
  const Undisturbed undisturbed = RunUndisturbed(scene, {});
  for (int64_t i = 0; i < 12; ++i) {
    const int64_t n = random.Below(undisturbed.operation_count);
    ASSERT_EQ(KillAndResume(scene, {}, undisturbed.files, n, random), "");
  }
}

// Equal files of ranks whose names do not sort like their numbers, and a power cut between any two
// operations of publishing: rank 2 and its replica 10 become durable in either order.
TEST(ResumeTest, ReplicasOfManyRanks) {
  Scene scene;
  scene.world.tensors = {{.name = "w", .shape = {16}, .content = 1}};
  scene.world.source = WorldSide{{.device_count = 2, .layouts = {{"w", ParseSpec("{a:2} (a)")}}}};
  scene.world.target =
      WorldSide{{.device_count = 16, .layouts = {{"w", ParseSpec("{a:2,b:8} (b)")}}}};
  scene.request = RequestOf(scene.world);
  for (const ReplicaMode mode : {ReplicaMode::kHardLink, ReplicaMode::kReflink}) {
    scene.request.replica_mode = mode;
    const Undisturbed undisturbed = RunUndisturbed(scene, {});
    for (int64_t n = 0; n < undisturbed.operation_count; ++n) {
      MemoryFileSystem disk;
      scene.Prepare(disk);
      FaultFileSystem fs(disk);
      fs.FailAfter(n);
      static_cast<void>(scene.Run(fs, {}, /*resume=*/true));
      disk.LoseUnsynced();
      const auto report = scene.Run(disk, {}, /*resume=*/true);
      ASSERT_TRUE(report.ok()) << "operation " << n << ": " << report.status().message();
      ASSERT_EQ(Compare(FilesUnder(disk, "dst"), undisturbed.files), "") << "operation " << n;
    }
  }
}

// --- How much is done again ----------------------------------------------------------------------

int64_t BytesOf(const std::vector<Access>& accesses, Access::Kind kind, const std::string& part) {
  int64_t total = 0;
  for (const Access& access : accesses) {
    if (access.kind == kind && access.path.find(part) != std::string::npos) {
      total += access.size_bytes;
    }
  }
  return total;
}

TEST(ResumeTest, DoesOnlyWhatIsLeft) {
  const Scene scene = Large();
  const Undisturbed undisturbed = RunUndisturbed(scene, {});
  const Traffic traffic = ExpectedTraffic(scene.world, ExpectedTarget(scene.world));
  // A chunk of 1 MiB and the tile that begins in it, and what opening and publishing reads.
  constexpr int64_t kLost = 6 * kMib;
  constexpr int64_t kAround = kMib;
  for (const int64_t percent : {30, 50, 70, 80}) {
    MemoryFileSystem disk;
    scene.Prepare(disk);
    FaultFileSystem fs(disk);
    fs.FailAfter(undisturbed.operation_count * percent / 100);
    disk.ClearAccesses();
    EXPECT_FALSE(scene.Run(fs, {}, /*resume=*/false).ok());
    const int64_t before = BytesOf(disk.accesses(), Access::kWrite, "/rank_");
    disk.ClearAccesses();
    const auto report = scene.Run(disk, {}, /*resume=*/true);
    ASSERT_TRUE(report.ok()) << report.status().message();
    EXPECT_EQ(report->resumed_bytes + report->written_bytes, traffic.written_bytes);
    EXPECT_GE(report->resumed_bytes, before - kLost) << percent << "%";
    EXPECT_LE(BytesOf(disk.accesses(), Access::kWrite, "/rank_"),
              traffic.written_bytes - report->resumed_bytes + kAround);
    EXPECT_LE(BytesOf(disk.accesses(), Access::kRead, "src/"), report->read_bytes + kAround);
    EXPECT_LE(report->read_bytes, traffic.written_bytes - report->resumed_bytes);
  }
}

TEST(ResumeTest, OfAFinishedRunDoesNothing) {
  for (const bool by_rank : {false, true}) {
    Scene scene = Large();
    if (by_rank) scene.request.ranks = {1, 2};
    MemoryFileSystem disk;
    scene.Prepare(disk);
    ASSERT_TRUE(scene.Run(disk, {}, /*resume=*/false).ok());
    const Files files = FilesUnder(disk, "dst");
    for (const int processes : {1, 3}) {
      disk.ClearAccesses();
      const auto report = scene.Run(disk, {.processes = processes}, /*resume=*/true);
      ASSERT_TRUE(report.ok()) << report.status().message();
      EXPECT_EQ(report->written_bytes, 0);
      EXPECT_GT(report->resumed_bytes, 0);
      EXPECT_EQ(BytesOf(disk.accesses(), Access::kWrite, ""), 0);
      EXPECT_EQ(Compare(FilesUnder(disk, "dst"), files), "");
    }
  }
}

// Killed while it removes what is left over, a run has finished: nothing is converted again.
TEST(ResumeTest, OfARunKilledAtItsVeryEndDoesNothing) {
  const Scene scene = Large();
  const Undisturbed undisturbed = RunUndisturbed(scene, {});
  int64_t after_publishing = 0;
  for (int64_t n = undisturbed.operation_count - 20; n < undisturbed.operation_count; ++n) {
    MemoryFileSystem disk;
    scene.Prepare(disk);
    FaultFileSystem fs(disk);
    fs.FailAfter(n);
    const bool has_finished = scene.Run(fs, {}, /*resume=*/true).ok();
    after_publishing += has_finished;
    const auto report = scene.Run(disk, {}, /*resume=*/true);
    ASSERT_TRUE(report.ok()) << n << ": " << report.status().message();
    EXPECT_EQ(report->written_bytes, 0) << "operation " << n;
    EXPECT_EQ(Compare(FilesUnder(disk, "dst"), undisturbed.files), "") << "operation " << n;
  }
  EXPECT_GT(after_publishing, 3);
}

// --- What is refused -----------------------------------------------------------------------------

// Leaves a conversion half done. The files of `large` are long enough that samples miss most bytes.
void LeaveHalfDone(const Scene& scene, MemoryFileSystem& disk, int64_t percent = 50) {
  const Undisturbed undisturbed = RunUndisturbed(scene, {});
  scene.Prepare(disk);
  FaultFileSystem fs(disk);
  fs.FailAfter(undisturbed.operation_count * percent / 100);
  EXPECT_FALSE(scene.Run(fs, {}, /*resume=*/true).ok());
}

constexpr char kSourceOfRank1[] = "src/rank_1/net_1.ckpt";

// Changes a byte that no sample of the fingerprint holds.
void ChangeUnsampledByte(MemoryFileSystem& disk, const std::string& path) {
  std::string bytes = *disk.FileBytes(path);
  bytes[bytes.size() / 2 + 100001] ^= 1;
  disk.SetFile(path, bytes);
}

struct Change {
  const char* says;
  std::function<void(Scene&, MemoryFileSystem&)> make;
};

std::vector<Change> Changes() {
  const auto rewrite_strategies = [](Scene& scene, MemoryFileSystem& disk) {
    MemoryFileSystem other;
    WriteSource(scene.world, other);
    for (const auto& path :
         {scene.request.source.strategy_path, scene.request.target_strategy_path}) {
      disk.SetFile(*path, *other.FileBytes(*path));
    }
  };
  return {
      {"the source file of rank 1",
       [](Scene&, MemoryFileSystem& disk) {
         std::string bytes = *disk.FileBytes(kSourceOfRank1);
         bytes.back() ^= 1;
         disk.SetFile(kSourceOfRank1, bytes);
       }},
      {"the source file of rank 1",
       [](Scene&, MemoryFileSystem& disk) { ChangeUnsampledByte(disk, kSourceOfRank1); }},
      {"the source file of rank 1",
       [](Scene&, MemoryFileSystem& disk) {
         disk.SetFile(kSourceOfRank1, *disk.FileBytes(kSourceOfRank1));
       }},
      {"the source strategy",
       [=](Scene& scene, MemoryFileSystem& disk) {
         (*scene.world.source)[0].layouts.emplace_back("unknown", ParseSpec("{a:2} (a)"));
         (*scene.world.target)[0].layouts.emplace_back("unknown", ParseSpec("{a:2,b:2} (b)"));
         scene.request.contents.allow_missing = true;
         rewrite_strategies(scene, disk);
       }},
      {"the target strategy",
       [=](Scene& scene, MemoryFileSystem& disk) {
         for (auto& [name, spec] : (*scene.world.target)[0].layouts) {
           if (name == "whole") continue;
           spec = ParseSpec(name == "small" ? "{a:2,b:2} (-)" : "{a:2,b:2} (-,-)");
         }
         rewrite_strategies(scene, disk);
       }},
      {"the options", [](Scene& scene, MemoryFileSystem&) { scene.request.prefix = "other_"; }},
      {"the options", [](Scene& scene, MemoryFileSystem&) { scene.request.crc_trailer = true; }},
      {"the options",
       [](Scene& scene, MemoryFileSystem&) { scene.request.format = FileFormat::kSafetensors; }},
      {"the options",
       [](Scene& scene, MemoryFileSystem&) { scene.request.contents.keep_extra = true; }},
      {"--replicas",
       [](Scene& scene, MemoryFileSystem&) {
         scene.request.replica_mode = ReplicaMode::kHardLink;
       }},
  };
}

TEST(ResumeTest, RefusesWhatHasChangedAndNamesIt) {
  for (const Change& change : Changes()) {
    Scene scene = Large();
    MemoryFileSystem disk;
    LeaveHalfDone(scene, disk);
    const Files left = FilesUnder(disk, "dst");
    change.make(scene, disk);
    for (const int processes : {1, 3}) {
      const auto report = scene.Run(disk, {.processes = processes}, /*resume=*/true);
      ASSERT_EQ(report.status().code(), StatusCode::kInvalidInput)
          << change.says << ": " << report.status().message();
      EXPECT_NE(report.status().message().find(std::string(change.says)), std::string::npos)
          << report.status().message();
      EXPECT_NE(report.status().message().find("without --resume"), std::string::npos);
      EXPECT_EQ(Compare(FilesUnder(disk, "dst"), left), "") << change.says;
    }
    // As the message says.
    EXPECT_TRUE(scene.Run(disk, {}, /*resume=*/false).ok());
  }
}

// A finished set whose source has changed since is not taken for finished.
TEST(ResumeTest, AFinishedRunIsNotTheRunOfAChangedSource) {
  for (const Change& change : Changes()) {
    Scene scene = Large();
    MemoryFileSystem disk;
    scene.Prepare(disk);
    ASSERT_TRUE(scene.Run(disk, {}, /*resume=*/true).ok());
    const Files left = FilesUnder(disk, "dst");
    change.make(scene, disk);
    // How equal files were made does not show in what is finished.
    if (change.says == std::string("--replicas")) continue;
    const auto report = scene.Run(disk, {}, /*resume=*/true);
    ASSERT_EQ(report.status().code(), StatusCode::kAlreadyExists) << change.says;
    EXPECT_NE(report.status().message().find("--overwrite"), std::string::npos);
    EXPECT_EQ(Compare(FilesUnder(disk, "dst"), left), "") << change.says;
  }
}

TEST(ResumeTest, SaysHowMuchMemoryIsNeeded) {
  const Scene scene = Large();
  MemoryFileSystem disk;
  scene.Prepare(disk);
  FaultFileSystem fs(disk);
  for (const int64_t memory :
       {66 * kMib + 1, 100 * kMib - 1, 130 * kMib + 12345, 1000 * kMib + 7}) {
    fs.FailAfter(250);
    ASSERT_FALSE(scene.Run(fs, {.memory_bytes = memory}, /*resume=*/false).ok());
    fs.StopFailing();
    const auto refused = scene.Run(fs, {.memory_bytes = 64 * kMib}, /*resume=*/true);
    ASSERT_EQ(refused.status().code(), StatusCode::kInvalidInput);
    const std::string message = refused.status().message();
    const size_t begin = message.rfind("--memory ") + 9;
    std::string size = message.substr(begin, message.find(',', begin) - begin);
    std::erase(size, ' ');
    const auto enough = ParseBytes(size);
    ASSERT_TRUE(enough) << message;
    EXPECT_LE(*enough, memory + 2 * kMib + memory / 100) << message;
    const auto report = scene.Run(fs, {.memory_bytes = *enough}, /*resume=*/true);
    EXPECT_TRUE(report.ok()) << message << "\nbut then: " << report.status().message();
    ASSERT_TRUE(RemoveTree(disk, "dst").ok());
  }
}

// --- Runs of single ranks ------------------------------------------------------------------------

// A dead run of one rank does not stand in the way of its siblings, nor they in its.
TEST(ResumeTest, SiblingsOfOneRankEach) {
  Scene scene = Large();
  const Undisturbed whole = RunUndisturbed(scene, {});
  MemoryFileSystem disk;
  scene.Prepare(disk);
  for (int64_t rank = 0; rank < 4; ++rank) {
    scene.request.ranks = {rank};
    FaultFileSystem fs(disk);
    fs.FailAfter(RunUndisturbed(scene, {}).operation_count - 30);
    EXPECT_FALSE(scene.Run(fs, {}, /*resume=*/true).ok());
  }
  for (const int64_t rank : {2, 0, 3, 1}) {
    scene.request.ranks = {rank};
    const auto report = scene.Run(disk, {}, /*resume=*/true);
    ASSERT_TRUE(report.ok()) << report.status().message();
    EXPECT_GT(report->resumed_bytes, 0) << rank;
  }
  EXPECT_EQ(Compare(FilesUnder(disk, "dst"), whole.files), "");
}

}  // namespace
}  // namespace relayout::oracle
