// SPDX-License-Identifier: Apache-2.0
#include "relayout/io/fault_file_system.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "relayout/io/memory_file_system.h"

namespace relayout {
namespace {

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

// Writes "new" and gives it the name "a", as durable as can be.
Status Publish(FileSystem& fs) {
  RELAYOUT_RETURN_IF_ERROR(WriteWholeFile(fs, "a.tmp", "new", /*sync=*/true));
  RELAYOUT_RETURN_IF_ERROR(fs.Rename("a.tmp", "a"));
  return fs.SyncDirectory(".");
}

constexpr int64_t kPublishOperations = 6;  // create, write, sync, close, rename, sync directory

TEST(FaultFileSystemTest, CountsAndPassesOn) {
  MemoryFileSystem disk;
  FaultFileSystem fs(disk);
  ASSERT_TRUE(Publish(fs).ok());
  EXPECT_EQ(fs.operation_count(), kPublishOperations);
  EXPECT_EQ(disk.FileBytes("a"), "new");
}

TEST(FaultFileSystemTest, ACrashAtAnyOperationLeavesTheOldOrTheNewFile) {
  for (int64_t n = 0; n < kPublishOperations; ++n) {
    MemoryFileSystem disk;
    disk.SetFile("a", "old");
    FaultFileSystem fs(disk);
    fs.FailAfter(n);
    const Status status = Publish(fs);
    EXPECT_EQ(status.code(), StatusCode::kIoError);
    EXPECT_FALSE(fs.Stat("a").ok());  // Clean-ups fail as well.
    EXPECT_EQ(fs.operation_count(), n + 2);
    EXPECT_EQ(disk.FileBytes("a"), n < 5 ? "old" : "new");
    disk.LoseUnsynced();
    EXPECT_EQ(disk.FileBytes("a"), "old");
  }
}

TEST(FaultFileSystemTest, FailOnceFailsOnce) {
  MemoryFileSystem disk;
  FaultFileSystem fs(disk);
  for (int64_t n = 0; n < kPublishOperations; ++n) {
    fs.FailOnce(n);
    EXPECT_FALSE(Publish(fs).ok());
    ASSERT_TRUE(RemoveTree(fs, "a.tmp").ok());
    EXPECT_TRUE(Publish(fs).ok()) << n;
  }
  fs.StopFailing();
  EXPECT_TRUE(Publish(fs).ok());
  EXPECT_EQ(fs.operation_count(), kPublishOperations);
}

TEST(FaultFileSystemTest, EveryOperationCanFail) {
  MemoryFileSystem disk;
  disk.SetFile("d/file", "0123");
  FaultFileSystem fs(disk);
  const auto source = *fs.OpenForRead("d/file");
  const auto target = *fs.CreateForWrite("d/target", 4);
  std::byte buffer[2];
  struct Case {
    const char* what;
    std::function<Status()> act;
  };
  const Case cases[] = {
      {"open d/file", [&] { return fs.OpenForRead("d/file").status(); }},
      {"open d/file", [&] { return fs.OpenForWrite("d/file").status(); }},
      {"create d/x", [&] { return fs.CreateForWrite("d/x", 1).status(); }},
      {"examine d", [&] { return fs.Stat("d").status(); }},
      {"list d", [&] { return fs.List("d").status(); }},
      {"create directory d/x", [&] { return fs.MakeDirectory("d/x"); }},
      {"rename d/file", [&] { return fs.Rename("d/file", "d/x"); }},
      {"link d/file", [&] { return fs.HardLink("d/file", "d/x"); }},
      {"clone d/file", [&] { return fs.CloneFile("d/file", "d/x"); }},
      {"remove d/file", [&] { return fs.RemoveFile("d/file"); }},
      {"remove directory d", [&] { return fs.RemoveDirectory("d"); }},
      {"sync directory d", [&] { return fs.SyncDirectory("d"); }},
      {"lock d/lock", [&] { return fs.Lock("d/lock", true).status(); }},
      {"tell the free space at d", [&] { return fs.FreeBytes("d").status(); }},
      {"read d/file", [&] { return source->ReadAt(0, buffer); }},
      {"write d/target", [&] { return target->WriteAt(0, buffer); }},
      {"sync d/target", [&] { return target->Sync(); }},
      {"close d/target", [&] { return target->Close(); }},
  };
  for (const Case& c : cases) {
    fs.FailOnce(0);
    const Status status = c.act();
    EXPECT_EQ(status.code(), StatusCode::kIoError);
    EXPECT_EQ(status.message(), std::string("injected failure of operation 0: ") + c.what);
    EXPECT_EQ(fs.operation_count(), 1);
  }
  EXPECT_EQ(fs.List("d")->size(), 2u);  // Nothing was passed on.
}

TEST(FaultFileSystemTest, OnlyTheFirstWriteToFailIsTorn) {
  MemoryFileSystem disk;
  FaultFileSystem fs(disk);
  const auto target = *fs.CreateForWrite("target", 4);
  fs.FailAfter(0);
  EXPECT_FALSE(target->WriteAt(0, Bytes("abcd")).ok());
  EXPECT_FALSE(target->WriteAt(0, Bytes("efgh")).ok());
  EXPECT_EQ(disk.FileBytes("target"), std::string("ab\0\0", 4));
}

}  // namespace
}  // namespace relayout
