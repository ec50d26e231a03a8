// SPDX-License-Identifier: Apache-2.0
#include "relayout/io/file_system.h"

#include <gtest/gtest.h>

#include <string>

#include "relayout/io/fault_file_system.h"
#include "relayout/io/memory_file_system.h"

namespace relayout {
namespace {

TEST(PathTest, JoinsAndSplits) {
  struct Case {
    const char* path;
    const char* parent;
    const char* base;
  };
  const Case cases[] = {
      {"a/b", "a", "b"}, {"a/b/", "a", "b"}, {"/a/b", "/a", "b"},
      {"/a", "/", "a"},  {"/", "/", "/"},    {"a", ".", "a"},
      {".", ".", "."},   {"a//b", "a", "b"}, {"a/b/c", "a/b", "c"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(ParentPath(c.path), c.parent) << c.path;
    EXPECT_EQ(BaseName(c.path), c.base) << c.path;
  }
  EXPECT_EQ(JoinPath("a", "b"), "a/b");
  EXPECT_EQ(JoinPath("a/", "b"), "a/b");
  EXPECT_EQ(JoinPath("/", "b"), "/b");
  EXPECT_EQ(JoinPath("", "b"), "b");
}

TEST(WholeFileTest, RefusesLargeAndExistingFiles) {
  MemoryFileSystem fs;
  ASSERT_TRUE(WriteWholeFile(fs, "a", "0123", /*sync=*/true).ok());
  EXPECT_EQ(*ReadWholeFile(fs, "a", 4), "0123");
  EXPECT_EQ(ReadWholeFile(fs, "a", 3).status().message(),
            "a: 4 bytes; a file of this kind has at most 3");
  EXPECT_EQ(WriteWholeFile(fs, "a", "x", /*sync=*/true).code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(*fs.FileBytes("a"), "0123");
}

TEST(PublishFileTest, CreatesFoldersAndReplacesOnlyWhenAsked) {
  MemoryFileSystem fs;
  ASSERT_TRUE(PublishFile(fs, "new/folder/a", "one", /*overwrite=*/false).ok());
  const Status again = PublishFile(fs, "new/folder/a", "two", /*overwrite=*/false);
  EXPECT_EQ(again.code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(again.message(), "new/folder/a: exists; use --overwrite to replace it");
  EXPECT_EQ(*fs.FileBytes("new/folder/a"), "one");
  ASSERT_TRUE(PublishFile(fs, "new/folder/a", "two", /*overwrite=*/true).ok());
  EXPECT_EQ(*fs.FileBytes("new/folder/a"), "two");
  EXPECT_EQ(fs.List("new/folder")->size(), 1U);
}

TEST(PublishFileTest, IsWholeOrNotThereWhateverFails) {
  for (int64_t n = 0;; ++n) {
    MemoryFileSystem memory;
    memory.SetFile("d/a", "old");
    FaultFileSystem fs(memory);
    fs.FailAfter(n);
    const Status status = PublishFile(fs, "d/a", "new", /*overwrite=*/true);
    const std::string content = *memory.FileBytes("d/a");
    EXPECT_TRUE(content == "old" || content == "new") << n << ": " << content;
    if (status.ok()) {
      EXPECT_EQ(content, "new");
      EXPECT_GT(n, 3);
      break;
    }
  }
}

TEST(MakeDirectoriesTest, MakesTheMissingOnes) {
  MemoryFileSystem fs;
  fs.SetFile("a/file", "");
  EXPECT_TRUE(MakeDirectories(fs, "a/b/c").ok());
  EXPECT_TRUE(MakeDirectories(fs, "a/b/c").ok());
  EXPECT_EQ(ToText(fs.accesses()), "mkdir a/b, mkdir a/b/c");
  EXPECT_EQ(MakeDirectories(fs, "a/file").message(), "a/file: exists and is not a directory");
  EXPECT_FALSE(MakeDirectories(fs, "a/file/x").ok());
}

TEST(RemoveTreeTest, RemovesFilesDirectoriesAndNothing) {
  MemoryFileSystem fs;
  fs.SetFile("d/a", "");
  fs.SetFile("d/e/b", "");
  fs.SetFile("kept", "");
  EXPECT_TRUE(RemoveTree(fs, "d").ok());
  EXPECT_TRUE(RemoveTree(fs, "d").ok());
  EXPECT_EQ(ToText(fs.accesses()), "remove d/a, remove d/e/b, remove d/e, remove d");
  EXPECT_TRUE(RemoveTree(fs, "kept").ok());
  EXPECT_FALSE(Exists(fs, "kept"));
}

}  // namespace
}  // namespace relayout
