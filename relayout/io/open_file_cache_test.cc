// SPDX-License-Identifier: Apache-2.0
#include "relayout/io/open_file_cache.h"

#include <gtest/gtest.h>

#include <string>

#include "relayout/base/parallel.h"
#include "relayout/io/fault_file_system.h"
#include "relayout/io/memory_file_system.h"

namespace relayout {
namespace {

// What getting `paths` (a letter each) in turn opens, e.g. "a b a" -> "ab".
std::string Opened(int64_t capacity, std::string_view paths) {
  MemoryFileSystem fs;
  OpenFileCache<ReadableFile> cache(fs, capacity);
  for (const char c : paths) {
    const std::string path(1, c);
    fs.SetFile(path, path);
    const auto file = cache.Get(path);
    EXPECT_TRUE(file.ok());
    EXPECT_EQ((*file)->path(), path);
  }
  std::string opened;
  for (const Access& access : fs.accesses()) opened += access.path;
  return opened;
}

TEST(OpenFileCacheTest, LetsGoOfTheOneUsedLongestAgo) {
  struct Case {
    int64_t capacity;
    const char* paths;
    const char* opened;
  };
  const Case cases[] = {
      {1, "", ""},          {1, "aaa", "a"},           {1, "abab", "abab"},
      {2, "abab", "ab"},    {2, "abacab", "abcb"},     {2, "abcabc", "abcabc"},
      {3, "abcabc", "abc"}, {3, "abcdabc", "abcdabc"}, {9, "abcdabcd", "abcd"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(Opened(c.capacity, c.paths), c.opened) << c.capacity << ": " << c.paths;
  }
}

TEST(OpenFileCacheTest, FilesInUseOutliveTheCache) {
  MemoryFileSystem fs;
  fs.SetFile("a", "A");
  fs.SetFile("b", "B");
  std::shared_ptr<ReadableFile> a;
  {
    OpenFileCache<ReadableFile> cache(fs, 1);
    a = *cache.Get("a");
    ASSERT_TRUE(cache.Get("b").ok());
  }
  std::byte byte{};
  ASSERT_TRUE(a->ReadAt(0, std::span(&byte, 1)).ok());
  EXPECT_EQ(byte, std::byte{'A'});
}

TEST(OpenFileCacheTest, KeepsFilesForWritingWithTheirContent) {
  MemoryFileSystem fs;
  fs.SetFile("a", "0123");
  OpenFileCache<WritableFile> cache(fs, 1);
  for (const int64_t offset_bytes : {1, 2}) {
    const auto file = cache.Get("a");
    ASSERT_TRUE(file.ok());
    const std::string_view text = "x";
    EXPECT_TRUE((*file)->WriteAt(offset_bytes, std::as_bytes(std::span(text))).ok());
  }
  EXPECT_EQ(fs.FileBytes("a"), "0xx3");
  EXPECT_EQ(ToText(fs.accesses()), "open a, write a 1+1, write a 2+1");
  EXPECT_EQ(cache.Get("b").status().code(), StatusCode::kNotFound);
}

TEST(OpenFileCacheTest, CloseAllTellsOfAFileThatCouldNotBeClosed) {
  MemoryFileSystem disk;
  disk.SetFile("a", "0123");
  disk.SetFile("b", "0123");
  FaultFileSystem fs(disk);
  OpenFileCache<WritableFile> cache(fs, 1);
  fs.FailOnce(2);  // After both are opened: the close of a, which b pushes out.
  EXPECT_TRUE(cache.Get("a").ok());
  EXPECT_TRUE(cache.Get("b").ok());
  EXPECT_EQ(cache.CloseAll().code(), StatusCode::kIoError);
}

TEST(OpenFileCacheTest, FailuresAreNotKept) {
  MemoryFileSystem fs;
  OpenFileCache<ReadableFile> cache(fs, 2);
  EXPECT_EQ(cache.Get("a").status().code(), StatusCode::kNotFound);
  fs.SetFile("a", "");
  EXPECT_TRUE(cache.Get("a").ok());
}

TEST(OpenFileCacheTest, ThreadsShareIt) {
  constexpr int64_t kFileCount = 7;
  MemoryFileSystem fs;
  for (int64_t i = 0; i < kFileCount; ++i) fs.SetFile(std::to_string(i), std::to_string(i));
  OpenFileCache<ReadableFile> cache(fs, 3);
  const Status status = ParallelFor(4, 2000, [&](int64_t item) -> Status {
    const std::string path = std::to_string(item * item % kFileCount);
    RELAYOUT_ASSIGN_OR_RETURN(const auto file, cache.Get(path));
    std::string bytes(1, '\0');
    RELAYOUT_RETURN_IF_ERROR(file->ReadAt(0, std::as_writable_bytes(std::span(bytes))));
    return bytes == path ? OkStatus() : InvalidInput(path + " holds " + bytes);
  });
  EXPECT_TRUE(status.ok()) << status.message();
}

}  // namespace
}  // namespace relayout
