// SPDX-License-Identifier: Apache-2.0
//
// What only a real disk shows; the contracts are in file_system_contract_test.cc.
#include "relayout/io/posix_file_system.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

namespace relayout {
namespace {

class PosixFileSystemTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(root_.data()), nullptr); }
  void TearDown() override { EXPECT_TRUE(RemoveTree(*fs_, root_).ok()); }
  std::string Path(const std::string& name) const { return JoinPath(root_, name); }
  mode_t Permissions(const std::string& name) const {
    struct stat info {};
    EXPECT_EQ(stat(Path(name).c_str(), &info), 0);
    return info.st_mode & 0777;
  }

  const std::unique_ptr<FileSystem> fs_ = NewPosixFileSystem();
  std::string root_ = JoinPath(::testing::TempDir(), "relayout_posix_XXXXXX");
};

TEST_F(PosixFileSystemTest, NeverOpensPipesAndDevices) {
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  for (const std::string& path : {Path("pipe"), std::string("/dev/null")}) {
    const Status status = fs_->OpenForRead(path).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidInput);
    EXPECT_EQ(status.message(), "cannot open " + path + ": not a regular file");
    EXPECT_FALSE(fs_->OpenForWrite(path).ok());
  }
  EXPECT_EQ(fs_->OpenForRead(root_).status().message(),
            "cannot open " + root_ + ": Is a directory");
}

TEST_F(PosixFileSystemTest, LeavesPermissionsToTheUmask) {
  const mode_t before = umask(027);
  EXPECT_TRUE(WriteWholeFile(*fs_, Path("file"), "x", /*sync=*/false).ok());
  EXPECT_TRUE(fs_->MakeDirectory(Path("directory")).ok());
  umask(before);
  EXPECT_EQ(Permissions("file"), 0640u);
  EXPECT_EQ(Permissions("directory"), 0750u);
}

TEST_F(PosixFileSystemTest, ReservesTheBlocksOfANewFile) {
  constexpr int64_t kSizeBytes = 1 << 20;
  ASSERT_TRUE(fs_->CreateForWrite(Path("file"), kSizeBytes).ok());
  struct stat info {};
  ASSERT_EQ(stat(Path("file").c_str(), &info), 0);
  EXPECT_EQ(info.st_size, kSizeBytes);
  if (info.st_blocks == 0) GTEST_SKIP() << "no fallocate here";
  EXPECT_GE(info.st_blocks * 512, kSizeBytes);
}

TEST_F(PosixFileSystemTest, LeavesNothingWhenTheDiskIsTooSmall) {
  const Status status = fs_->CreateForWrite(Path("huge"), int64_t{1} << 60).status();
  EXPECT_EQ(status.code(), StatusCode::kIoError);
  EXPECT_NE(status.message().find("no space left: "), std::string::npos) << status.message();
  EXPECT_FALSE(Exists(*fs_, Path("huge")));
}

TEST_F(PosixFileSystemTest, ListsWhatLinksPointAt) {
  ASSERT_TRUE(WriteWholeFile(*fs_, Path("file"), "x", /*sync=*/false).ok());
  ASSERT_EQ(symlink("file", Path("to_file").c_str()), 0);
  ASSERT_EQ(symlink(".", Path("to_directory").c_str()), 0);
  ASSERT_EQ(symlink("nothing", Path("to_nothing").c_str()), 0);
  ASSERT_EQ(symlink("to_self", Path("to_self").c_str()), 0);
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  const auto entries = fs_->List(root_);
  ASSERT_TRUE(entries.ok());
  std::string text;
  for (const DirectoryEntry& entry : *entries) {
    text += entry.name + "=" + std::to_string(static_cast<int>(entry.kind)) + " ";
  }
  EXPECT_EQ(text, "file=0 pipe=2 to_directory=1 to_file=0 to_nothing=2 to_self=2 ");
}

TEST_F(PosixFileSystemTest, DescriptorsAreNotInherited) {
  // The lowest free number is the one that the next open gets.
  const int next_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(next_fd);
  const auto file = fs_->CreateForWrite(Path("file"), 1);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(fcntl(next_fd, F_GETFD), FD_CLOEXEC);
}

TEST_F(PosixFileSystemTest, SaysWhenAFileShrankSinceItWasOpened) {
  ASSERT_TRUE(WriteWholeFile(*fs_, Path("file"), "0123456789", /*sync=*/false).ok());
  const auto file = fs_->OpenForRead(Path("file"));
  ASSERT_TRUE(file.ok());
  ASSERT_EQ(truncate(Path("file").c_str(), 4), 0);
  std::byte buffer[10];
  EXPECT_EQ((*file)->ReadAt(0, buffer).message(),
            "cannot read 10 bytes at byte 0 of " + Path("file") + ": it ends at byte 4");
}

TEST_F(PosixFileSystemTest, RemovesLinksAndNotWhatTheyPointAt) {
  ASSERT_TRUE(MakeDirectories(*fs_, Path("kept/sub")).ok());
  ASSERT_TRUE(WriteWholeFile(*fs_, Path("kept/file"), "x", /*sync=*/false).ok());
  ASSERT_TRUE(fs_->MakeDirectory(Path("tree")).ok());
  ASSERT_EQ(symlink("../kept", Path("tree/link").c_str()), 0);
  ASSERT_EQ(symlink("kept", Path("link").c_str()), 0);
  EXPECT_TRUE(RemoveTree(*fs_, Path("tree")).ok());
  EXPECT_TRUE(RemoveTree(*fs_, Path("link")).ok());
  EXPECT_FALSE(Exists(*fs_, Path("tree")) || Exists(*fs_, Path("link")));
  EXPECT_TRUE(Exists(*fs_, Path("kept/sub")) && Exists(*fs_, Path("kept/file")));
}

TEST_F(PosixFileSystemTest, LinksTheFileThatASymbolicLinkPointsAt) {
  ASSERT_TRUE(WriteWholeFile(*fs_, Path("file"), "x", /*sync=*/false).ok());
  ASSERT_EQ(symlink("file", Path("symbolic").c_str()), 0);
  ASSERT_TRUE(fs_->HardLink(Path("symbolic"), Path("hard")).ok());
  struct stat info {};
  ASSERT_EQ(lstat(Path("hard").c_str(), &info), 0);
  EXPECT_TRUE(S_ISREG(info.st_mode));
  EXPECT_EQ(info.st_nlink, 2u);
}

TEST_F(PosixFileSystemTest, SaysWhenAFileCannotBeClonedAndLeavesNothing) {
  ASSERT_TRUE(WriteWholeFile(*fs_, Path("file"), "x", /*sync=*/false).ok());
  const std::string to = Path("clone");
  const Status status = fs_->CloneFile(Path("file"), to);
  if (status.ok()) GTEST_SKIP() << "this file system shares blocks";
  EXPECT_EQ(status.code(), StatusCode::kUnsupported) << status.message();
  EXPECT_EQ(status.message().find("cannot clone " + Path("file") + " to " + to + ": "), 0u)
      << status.message();
  EXPECT_FALSE(Exists(*fs_, to));
}

TEST_F(PosixFileSystemTest, NeitherLinksNorClonesAcrossFileSystems) {
  std::string other = "/dev/shm/relayout_posix_XXXXXX";
  if (mkdtemp(other.data()) == nullptr) GTEST_SKIP() << "no /dev/shm";
  const bool is_other = fs_->Stat(other)->device != fs_->Stat(root_)->device;
  ASSERT_TRUE(WriteWholeFile(*fs_, Path("file"), "x", /*sync=*/false).ok());
  const Status linked = fs_->HardLink(Path("file"), JoinPath(other, "link"));
  const Status cloned = fs_->CloneFile(Path("file"), JoinPath(other, "clone"));
  const size_t entry_count = fs_->List(other)->size();
  EXPECT_TRUE(RemoveTree(*fs_, other).ok());
  if (!is_other) GTEST_SKIP() << "temporary files and /dev/shm are on one file system";
  EXPECT_EQ(linked.code(), StatusCode::kUnsupported) << linked.message();
  EXPECT_EQ(cloned.code(), StatusCode::kUnsupported) << cloned.message();
  EXPECT_EQ(entry_count, 0u);
}

TEST_F(PosixFileSystemTest, NeverClonesPipesAndDevices) {
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  for (const std::string& path : {Path("pipe"), std::string("/dev/null")}) {
    EXPECT_EQ(fs_->CloneFile(path, Path("clone")).code(), StatusCode::kInvalidInput);
    EXPECT_FALSE(Exists(*fs_, Path("clone")));
  }
}

TEST_F(PosixFileSystemTest, TheIncarnationIsTheBootId) {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string boot_id;
  std::getline(file, boot_id);
  EXPECT_EQ(fs_->Incarnation(), boot_id);
  EXPECT_EQ(NewPosixFileSystem()->Incarnation(), boot_id);
}

TEST(RaiseOpenFileLimitTest, NeverLowers) {
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  const int64_t raised = RaiseOpenFileLimit();
  EXPECT_GE(raised, static_cast<int64_t>(limit.rlim_cur));
  EXPECT_EQ(RaiseOpenFileLimit(), raised);
}

}  // namespace
}  // namespace relayout
