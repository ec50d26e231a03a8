// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/dry_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/io/fault_file_system.h"
#include "tests/oracle/world.h"

namespace relayout::oracle {
namespace {

using testing::HasSubstr;

// Bytes read of each source file and written to each target rank's file.
struct Moved {
  std::map<std::string, int64_t> read;
  std::map<int64_t, int64_t> written;
  friend bool operator==(const Moved&, const Moved&) = default;
};

std::string ToText(const Moved& moved) {
  std::string text;
  for (const auto& [path, bytes] : moved.read) text += Format("{} {}\n", path, bytes);
  for (const auto& [rank, bytes] : moved.written) text += Format("rank {} {}\n", rank, bytes);
  return text;
}

// By the recorded accesses of a transform. What comes before the journal's creation reads headers
// and samples; from there on sources are read for the payload alone.
Moved MovedBy(const std::vector<Access>& accesses) {
  Moved moved;
  bool has_begun = false;
  for (const Access& access : accesses) {
    const std::string name = BaseName(access.path);
    const bool is_staged = BaseName(ParentPath(access.path)).starts_with("staging-");
    has_begun = has_begun || (access.kind == Access::kCreate && name.starts_with("journal-"));
    if (access.kind == Access::kWrite && is_staged && name.starts_with("rank_")) {
      moved.written[*ParseDecimal(name.substr(5, name.find('.') - 5))] += access.size_bytes;
    }
    if (access.kind == Access::kRead && has_begun && access.path.starts_with("src/")) {
      moved.read[access.path] += access.size_bytes;
    }
  }
  std::erase_if(moved.read, [](const auto& entry) { return entry.second == 0; });
  std::erase_if(moved.written, [](const auto& entry) { return entry.second == 0; });
  return moved;
}

Moved MovedBy(const DryRunReport& report) {
  Moved moved;
  for (const DryRunSource& source : report.sources) moved.read[source.path] += source.read_bytes;
  for (const DryRunTarget& target : report.targets) {
    if (!target.original && target.size_bytes > 0) moved.written[target.rank] = target.size_bytes;
  }
  return moved;
}

bool IsChange(const Access& access) {
  return access.kind != Access::kOpen && access.kind != Access::kRead;
}

class DryRunTest : public testing::Test {
 protected:
  void Make(uint64_t seed) {
    world_ = RandomWorld(seed);
    WriteSource(world_, fs_);
    request_ = RequestOf(world_);
    fs_.ClearAccesses();
  }

  DryRunReport DryRun(const DryRunOptions& options = {.probe = false}) {
    auto report = DryRunTransform(fs_, request_, options);
    EXPECT_TRUE(report.ok()) << report.status().message();
    return *std::move(report);
  }

  World world_;
  MemoryFileSystem fs_;
  TransformRequest request_;
};

// The numbers are those of the real run, file by file, and a dry run changes nothing.
TEST(DryRunRandomTest, NumbersAreThoseOfTheRun) {
  constexpr ReplicaMode kModes[] = {ReplicaMode::kCopy, ReplicaMode::kHardLink,
                                    ReplicaMode::kReflink};
  int64_t partial = 0, with_gaps = 0, links = 0;
  for (uint64_t seed = 0; seed < 600; ++seed) {
    World world = RandomWorld(seed);
    MemoryFileSystem fs;
    WriteSource(world, fs);
    TransformRequest request = RequestOf(world);
    request.replica_mode = kModes[seed % 3];
    request.thread_count = 1 + static_cast<int>(seed % 4);
    if (seed % 2 == 0 && request.ranks.empty()) request.ranks = {0};
    fs.ClearAccesses();
    const auto dry = DryRunTransform(fs, request, {.probe = false});
    ASSERT_TRUE(dry.ok()) << "seed " << seed << ": " << dry.status().message();
    ASSERT_TRUE(dry->problems.empty()) << dry->problems[0].message();
    for (const Access& access : fs.accesses()) ASSERT_FALSE(IsChange(access)) << access.path;

    fs.ClearAccesses();
    const auto report = TransformCheckpoints(fs, request);
    ASSERT_TRUE(report.ok()) << "seed " << seed << ": " << report.status().message();
    const Moved moved = MovedBy(fs.accesses());
    ASSERT_EQ(MovedBy(*dry), moved) << "seed " << seed << "\npredicted\n"
                                    << ToText(MovedBy(*dry)) << "moved\n"
                                    << ToText(moved);
    ASSERT_EQ(dry->read_bytes, report->read_bytes);
    ASSERT_EQ(dry->payload_bytes, report->written_bytes);
    for (const DryRunTarget& target : dry->targets) {
      const auto bytes = fs.FileBytes(target.path);
      ASSERT_TRUE(bytes) << target.path;
      ASSERT_EQ(std::ssize(*bytes), target.size_bytes) << target.path;
      ASSERT_EQ(report->file_of_rank.at(target.rank), target.path);
      links += target.original.has_value();
    }
    partial += !request.ranks.empty();
    with_gaps += !request.ranks.empty() && dry->read_bytes > dry->payload_bytes;
  }
  EXPECT_GT(partial, 200);
  EXPECT_GT(with_gaps, 20);
  EXPECT_GT(links, 100);
}

TEST_F(DryRunTest, SaysWhichReplicasAreRead) {
  world_.tensors = {{.name = "w", .shape = {8, 8}}, {.name = "v", .shape = {8, 8}}};
  LayoutSpec halves;
  halves.mesh = {2, 2};
  halves.dim_axes = {{1}, {}};
  world_.source = WorldSide{{.device_count = 4, .layouts = {{"w", halves}, {"v", halves}}}};
  WriteSource(world_, fs_);
  request_ = RequestOf(world_);
  const DryRunReport report = DryRun();
  ASSERT_EQ(report.replicas.size(), 2U);
  EXPECT_EQ(report.replicas[0].ranks, (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(report.replicas[0].read_bytes, (std::map<int64_t, int64_t>{{0, 128}, {2, 128}}));
  EXPECT_EQ(report.replicas[1].ranks, (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(report.replicas[1].read_bytes, (std::map<int64_t, int64_t>{{1, 128}, {3, 128}}));
}

TEST_F(DryRunTest, TellsOfATargetThatIsThere) {
  Make(3);
  ASSERT_TRUE(TransformCheckpoints(fs_, request_).ok());
  const DryRunReport refused = DryRun();
  ASSERT_EQ(refused.problems.size(), 1U);
  EXPECT_EQ(refused.problems[0].code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(refused.problems[0].message(), TransformCheckpoints(fs_, request_).status().message());
  request_.overwrite = true;
  EXPECT_TRUE(DryRun().problems.empty());
}

TEST_F(DryRunTest, TellsOfATargetThatIsAFile) {
  Make(3);
  fs_.SetFile("file", "x");
  request_.target_directory = "file/below";
  const DryRunReport report = DryRun();
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_THAT(report.problems[0].message(), HasSubstr("file"));
}

TEST_F(DryRunTest, TellsOfAPrefixThatIsRefused) {
  Make(3);
  request_.prefix = "a/b";
  const DryRunReport report = DryRun();
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_THAT(report.problems[0].message(), HasSubstr("--prefix"));
}

// What it says is needed is enough, records included; one byte less is not said to be.
TEST(DryRunSpaceTest, TellsOfAFullDisk) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const World world = RandomWorld(seed);
    MemoryFileSystem roomy;
    WriteSource(world, roomy);
    const int64_t used = MemoryFileSystem::kDefaultCapacityBytes - *roomy.FreeBytes("src");
    const auto needed = DryRunTransform(roomy, RequestOf(world), {.probe = false})->disk_bytes();
    for (const int64_t spare : {0, -1}) {
      MemoryFileSystem fs(used + needed + spare);
      WriteSource(world, fs);
      const auto report = DryRunTransform(fs, RequestOf(world), {.probe = false});
      ASSERT_TRUE(report.ok());
      EXPECT_EQ(report->free_bytes, needed + spare);
      EXPECT_EQ(report->problems.empty(), spare == 0);
      if (spare == 0) {
        const auto done = TransformCheckpoints(fs, RequestOf(world));
        EXPECT_TRUE(done.ok()) << "seed " << seed << ": " << done.status().message();
      }
    }
    // Without room for the payload it fails, as it should be said to.
    MemoryFileSystem fs(used + needed / 4);
    WriteSource(world, fs);
    const auto report = DryRunTransform(fs, RequestOf(world), {.probe = false});
    EXPECT_EQ(report->problems.size(), 1U);
  }
}

TEST_F(DryRunTest, ExplainsNamesAndOffersNearOnes) {
  Make(5);
  const std::string name = world_.tensors[0].name;
  const DryRunReport report = DryRun({.probe = false, .explain = {name, name}});
  ASSERT_EQ(report.explained.size(), 2U);
  EXPECT_EQ(report.explained[1].name, name);
  const auto unknown = DryRunTransform(fs_, request_, {.explain = {name + "x"}});
  EXPECT_EQ(unknown.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(unknown.status().message(), HasSubstr("near it: " + name));
}

TEST_F(DryRunTest, FailsAsTheRunDoes) {
  Make(5);
  request_.source.path = "nowhere";
  const auto report = DryRunTransform(fs_, request_);
  EXPECT_EQ(report.status().message(), TransformCheckpoints(fs_, request_).status().message());
}

TEST_F(DryRunTest, ProbeLeavesNothing) {
  Make(5);
  const DryRunReport report = DryRun({.probe = true});
  ASSERT_TRUE(report.probe);
  EXPECT_GT(report.probe->copied_bytes, 0);
  EXPECT_GT(*report.estimated_seconds, 0);
  EXPECT_EQ(fs_.List(".")->size(), 3U);  // The source and two strategies.
  std::string changed;
  for (const Access& access : fs_.accesses()) {
    if (access.kind == Access::kCreate || access.kind == Access::kRemove) changed += access.path;
  }
  EXPECT_EQ(changed, "./.relayout-probe-0./.relayout-probe-0");
}

// Whatever fails, the copy is gone.
TEST(ProbeTest, FailuresLeaveNothing) {
  MemoryFileSystem fs;
  fs.SetFile("src/a", std::string(1000, 'a'));
  ASSERT_TRUE(MakeDirectories(fs, "dst").ok());
  FaultFileSystem faulty(fs);
  const auto probe = [&] { return ProbeDisks(faulty, {{"src/a", 1000}}, "dst", {}); };
  ASSERT_TRUE(probe().ok());
  const int64_t count = faulty.operation_count();
  EXPECT_GE(count, 6);  // Open, create, remove, read, write, sync.
  for (int64_t n = 0; n < count; ++n) {
    faulty.FailOnce(n);
    const auto result = probe();
    ASSERT_FALSE(result.ok());
    if (result.status().message().find("remove") != std::string::npos) {
      ASSERT_TRUE(fs.RemoveFile("dst/.relayout-probe-0").ok());
    }
    ASSERT_TRUE(fs.List("dst")->empty()) << result.status().message();
  }
}

// A target that cannot be written to is a problem of the conversion.
TEST_F(DryRunTest, ProbeFindsProblems) {
  Make(5);
  FaultFileSystem faulty(fs_);
  ASSERT_TRUE(DryRunTransform(faulty, request_, {.probe = false}).ok());
  const int64_t before_probe = faulty.operation_count();
  faulty.FailAfter(before_probe);
  const auto report = DryRunTransform(faulty, request_);
  ASSERT_TRUE(report.ok());
  ASSERT_EQ(report->problems.size(), 1U);
  EXPECT_EQ(report->problems[0].code(), StatusCode::kIoError);
  EXPECT_FALSE(report->estimated_seconds);
}

TEST(ProbeTest, TakesPiecesInTurnsUpToTheLimit) {
  MemoryFileSystem fs;
  fs.SetFile("a", std::string(3 << 20, 'a'));
  fs.SetFile("b", std::string(100, 'b'));
  fs.SetFile("empty", "");
  struct Case {
    int64_t limit_bytes;
    int64_t copied_bytes;
  };
  for (const Case& c :
       {Case{int64_t{1} << 30, (3 << 20) + 100}, {(1 << 20) + 7, (1 << 20) + 7}, {0, 0}}) {
    const auto probe =
        ProbeDisks(fs, {{"a", 3 << 20}, {"b", 100}, {"empty", 0}}, ".",
                   {.thread_count = 2, .limit_bytes = c.limit_bytes, .limit_seconds = 60});
    ASSERT_TRUE(probe.ok()) << probe.status().message();
    EXPECT_EQ(probe->copied_bytes, c.copied_bytes);
    EXPECT_LE(probe->read_seconds + probe->write_seconds, probe->seconds * 1.001);
  }
  const auto none = ProbeDisks(fs, {{"a", 3 << 20}}, ".", {.limit_seconds = 0});
  EXPECT_EQ(none->copied_bytes, 0);
}

TEST(ProbeTest, EstimatesInProportion) {
  const ProbeResult probe = {
      .copied_bytes = 100, .seconds = 1, .read_seconds = 0.25, .write_seconds = 0.75};
  EXPECT_DOUBLE_EQ(EstimateSeconds(probe, 100, 100), 1);
  EXPECT_DOUBLE_EQ(EstimateSeconds(probe, 400, 200), 2.5);
}

}  // namespace
}  // namespace relayout::oracle
