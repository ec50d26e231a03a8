// SPDX-License-Identifier: Apache-2.0
//
// verify without the source: what was written passes, and any damage is found.
#include "relayout/convert/verify_manifest.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/checkpoint/manifest.h"
#include "tests/convert/whole_runs.h"
#include "tests/oracle/world.h"

namespace relayout::oracle {
namespace {

constexpr int kWorlds = 150;

// Strings, empty and scalar values, blocks that are not full; 4 ranks, two and two alike.
World SmallWorld(FileFormat format, bool crc) {
  World world = LargeWorld();
  world.tensors = {{.name = "columns", .shape = {12, 30}, .content = 1},
                   {.name = "small", .shape = {6}, .content = 2},
                   {.name = "whole", .shape = {300}, .content = 3},
                   {.name = "empty", .shape = {0, 2}, .content = 4},
                   {.name = "epoch_num", .shape = {}, .content = 5}};
  if (format == FileFormat::kMindSporeCheckpoint) {
    world.tensors.push_back({.name = "append_dict",
                             .kind = ValueKind::kString,
                             .dtype = DType::kUInt8,
                             .shape = {12},
                             .content = 6});
  }
  world.source_format = world.target_format = format;
  world.target_crc = crc;
  return world;
}

struct Set {
  const char* name;
  FileFormat format;
  bool crc;
};
constexpr Set kSets[] = {{"ckpt", FileFormat::kMindSporeCheckpoint, false},
                         {"ckpt with CRC", FileFormat::kMindSporeCheckpoint, true},
                         {"safetensors", FileFormat::kSafetensors, false}};

void Make(const Set& set, MemoryFileSystem& disk) {
  const World world = SmallWorld(set.format, set.crc);
  WriteSource(world, disk);
  ASSERT_TRUE(Convert(1, disk, RequestOf(world)).ok());
}

std::string FileOfRank(const Set& set, int64_t rank) {
  return Format("dst/rank_{}/checkpoint_{}{}", rank, rank, Extension(set.format));
}

// All problems, or the failure; empty when the set is right.
std::string Verify(FileSystem& fs, const std::vector<int64_t>& ranks = {}) {
  const auto report = VerifyManifest(fs, {.directory = "dst", .ranks = ranks, .thread_count = 2});
  if (!report.ok()) return "fails: " + report.status().message();
  std::string text;
  for (const std::string& problem : report->problems) text += problem + "\n";
  EXPECT_EQ(text.empty(), report->problem_count == 0);
  return text;
}

TEST(VerifyManifestTest, WhatWasWrittenIsRight) {
  const uint64_t first = PrintedSeed();
  for (uint64_t seed = first; seed < first + kWorlds; ++seed) {
    const World world = RandomWorld(seed);
    MemoryFileSystem disk;
    WriteSource(world, disk);
    ASSERT_TRUE(Convert(1, disk, RequestOf(world)).ok());
    EXPECT_EQ(Verify(disk, world.ranks), "") << "RELAYOUT_SEED=" << seed << "\n" << Describe(world);
    if (HasFailure()) return;
  }
}

TEST(VerifyManifestTest, AnyFlippedBitIsFound) {
  for (const Set& set : kSets) {
    MemoryFileSystem disk;
    Make(set, disk);
    ASSERT_EQ(Verify(disk), "") << set.name;
    const std::string path = FileOfRank(set, 1);
    const std::string bytes = *disk.FileBytes(path);
    ASSERT_GT(bytes.size(), 2000U);
    for (size_t i = 0; i < bytes.size(); ++i) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
      disk.SetFile(path, damaged);
      const std::string found = Verify(disk, {1});
      ASSERT_NE(found.find(path), std::string::npos) << set.name << ", byte " << i << ": " << found;
      ASSERT_EQ(found.find("fails"), std::string::npos) << set.name << ", byte " << i << found;
    }
    disk.SetFile(path, bytes);
    EXPECT_EQ(Verify(disk), "") << set.name;
  }
}

TEST(VerifyManifestTest, AnyOtherLengthIsFound) {
  for (const Set& set : kSets) {
    MemoryFileSystem disk;
    Make(set, disk);
    const std::string path = FileOfRank(set, 2);
    const std::string bytes = *disk.FileBytes(path);
    for (size_t length = 0; length < bytes.size() + 40; length += length < 40 ? 1 : 7) {
      if (length == bytes.size()) continue;
      std::string damaged = bytes;
      damaged.resize(length);
      disk.SetFile(path, damaged);
      const std::string found = Verify(disk);
      ASSERT_EQ(found,
                Format("{}: has {} bytes, its manifest says {}\n", path, length, bytes.size()));
    }
  }
}

// Damage that no file shows by itself.
struct Damage {
  const char* name;
  const char* says;
  std::function<void(const Set&, MemoryFileSystem&)> make;
};

void Copy(MemoryFileSystem& disk, const std::string& from, const std::string& to) {
  disk.SetFile(to, *disk.FileBytes(from));
}

void Replace(MemoryFileSystem& disk, const std::string& path, const std::string& from,
             const std::string& to) {
  std::string bytes = *disk.FileBytes(path);
  const size_t at = bytes.find(from);
  ASSERT_NE(at, std::string::npos) << path;
  disk.SetFile(path, bytes.replace(at, from.size(), to));
}

std::vector<Damage> Damages() {
  using Fs = MemoryFileSystem;
  return {
      {"a missing file", "checkpoint_1",
       [](const Set& set, Fs& disk) { ASSERT_TRUE(disk.RemoveFile(FileOfRank(set, 1)).ok()); }},
      {"a missing record", "no record of rank 1",
       [](const Set&, Fs& disk) { ASSERT_TRUE(disk.RemoveFile(RecordPath("dst", 1)).ok()); }},
      {"the last record missing", "no record of rank 3",
       [](const Set&, Fs& disk) { ASSERT_TRUE(disk.RemoveFile(RecordPath("dst", 3)).ok()); }},
      {"an extra file", "rank_1/other.ckpt: is not in the manifest",
       [](const Set& set, Fs& disk) { Copy(disk, FileOfRank(set, 1), "dst/rank_1/other.ckpt"); }},
      {"an extra rank", "rank_9/checkpoint_9.ckpt: is not in the manifest",
       [](const Set& set, Fs& disk) {
         Copy(disk, FileOfRank(set, 1), "dst/rank_9/checkpoint_9.ckpt");
       }},
      {"files of two ranks swapped", "damaged",
       [](const Set& set, Fs& disk) { Copy(disk, FileOfRank(set, 0), FileOfRank(set, 1)); }},
      {"another rank's record", "record of rank 1",
       [](const Set&, Fs& disk) { Copy(disk, RecordPath("dst", 2), RecordPath("dst", 1)); }},
      {"another rank's file and record", "record of rank 1",
       [](const Set& set, Fs& disk) {
         Copy(disk, RecordPath("dst", 2), RecordPath("dst", 1));
         disk.SetFile(FileOfRank(set, 1), "nothing of this is right");
       }},
      {"a record that leads out", "record of rank 1",
       [](const Set& set, Fs& disk) {
         Copy(disk, FileOfRank(set, 1), "elsewhere" + std::string(Extension(set.format)));
         Replace(disk, RecordPath("dst", 1), "file rank_1/", "file ../elsewhere/../rank_1/");
       }},
      {"a record of another generation", "of different conversions",
       [](const Set&, Fs& disk) {
         auto record = ReadRecord(disk, "dst", 2);
         record->generation.source_strategy = "0123";
         disk.SetFile(RecordPath("dst", 2), SerializeRecord(*record));
       }},
      {"a record of a larger set", "the number of ranks",
       [](const Set&, Fs& disk) {
         Replace(disk, RecordPath("dst", 2), "\nranks 4\n", "\nranks 5\n");
       }},
      {"a record beyond the set", "a record of rank 7, but the set has 4 ranks",
       [](const Set& set, Fs& disk) {
         const std::string path = "dst/rank_7/checkpoint_7" + std::string(Extension(set.format));
         Copy(disk, FileOfRank(set, 1), path);
         auto record = ReadRecord(disk, "dst", 1);
         record->file_name = path.substr(4);
         disk.SetFile(RecordPath("dst", 7), SerializeRecord(*record));
       }},
      {"half a record", "rank_2",
       [](const Set&, Fs& disk) {
         const std::string record = *disk.FileBytes(RecordPath("dst", 2));
         disk.SetFile(RecordPath("dst", 2), record.substr(0, record.size() / 2));
       }},
      {"no manifest", "has no manifest",
       [](const Set&, Fs& disk) { ASSERT_TRUE(RemoveTree(disk, "dst/.relayout").ok()); }},
      {"nothing", "has no manifest",
       [](const Set&, Fs& disk) { ASSERT_TRUE(RemoveTree(disk, "dst").ok()); }},
  };
}

TEST(VerifyManifestTest, WhatIsMissingOrForeignIsFound) {
  for (const Set& set : kSets) {
    for (const Damage& damage : Damages()) {
      MemoryFileSystem disk;
      Make(set, disk);
      damage.make(set, disk);
      const std::string found = Verify(disk);
      EXPECT_NE(found.find(damage.says), std::string::npos)
          << set.name << ", " << damage.name << ": " << found;
    }
  }
}

// Any damage to a record of a set is noticed beside the other records; which source files there
// were is not needed to check a file.
TEST(VerifyManifestTest, ADamagedRecordIsFound) {
  MemoryFileSystem disk;
  Make(kSets[0], disk);
  const std::string path = RecordPath("dst", 2);
  const std::string record = *disk.FileBytes(path);
  size_t line_begin = 0;
  for (size_t i = 0; i < record.size(); ++i) {
    if (record[i] == '\n') line_begin = i + 1;
    if (record.substr(line_begin).starts_with("source ") || i + 1 == line_begin) continue;
    for (const int bit : {0, 1, 6}) {
      std::string damaged = record;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      disk.SetFile(path, damaged);
      EXPECT_NE(Verify(disk), "") << "bit " << bit << " of byte " << i << ":\n" << damaged;
    }
  }
}

// MindSpore's files have values in several records; ours would from 512 MiB on.
TEST(VerifyManifestTest, AValueInSeveralRecords) {
  MemoryFileSystem disk;
  Make(kSets[0], disk);
  const std::string path = FileOfRank(kSets[0], 3);
  std::vector<std::pair<std::string, ExpectedValue>> values;
  for (auto& [name, value] : ContentsOf(path, *disk.FileBytes(path)))
    values.emplace_back(name, value);
  for (const int64_t slice_bytes : {64, 1000, 1024, 1025}) {
    const std::string bytes = FileOf(FileFormat::kMindSporeCheckpoint, values, slice_bytes, true);
    disk.SetFile(path, bytes);
    auto record = ReadRecord(disk, "dst", 3);
    ASSERT_TRUE(record.ok());
    record->size_bytes = std::ssize(bytes);
    record->content_hash = NaiveContentHash(disk, path);
    disk.SetFile(RecordPath("dst", 3), SerializeRecord(*record));
    ASSERT_EQ(Verify(disk), "") << slice_bytes;
    for (size_t i = 0; i < bytes.size(); i += 3) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ 16);
      disk.SetFile(path, damaged);
      ASSERT_NE(Verify(disk, {3}), "") << slice_bytes << ", byte " << i;
    }
  }
}

}  // namespace
}  // namespace relayout::oracle
