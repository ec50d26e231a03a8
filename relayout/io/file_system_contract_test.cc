// SPDX-License-Identifier: Apache-2.0
//
// The contracts of file_system.h, held against every implementation.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "relayout/io/fault_file_system.h"
#include "relayout/io/memory_file_system.h"
#include "relayout/io/posix_file_system.h"

namespace relayout {
namespace {

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string TemporaryDirectory() {
  std::string path = JoinPath(::testing::TempDir(), "relayout_io_XXXXXX");
  EXPECT_NE(mkdtemp(path.data()), nullptr);
  return path;
}

std::unique_ptr<FileSystem> NewPosix(FileSystem&) { return NewPosixFileSystem(); }
std::unique_ptr<FileSystem> NewMemory(FileSystem&) { return std::make_unique<MemoryFileSystem>(); }
std::unique_ptr<FileSystem> NewFault(FileSystem& disk) {
  return std::make_unique<FaultFileSystem>(disk);
}

struct Implementation {
  const char* name;
  // `disk` is for those that need one below them, and outlives them.
  std::function<std::unique_ptr<FileSystem>(FileSystem& disk)> make;
};

class FileSystemContract : public ::testing::TestWithParam<Implementation> {
 protected:
  void SetUp() override {
    fs_ = GetParam().make(disk_);
    root_ = TemporaryDirectory();
    ASSERT_TRUE(MakeDirectories(*fs_, root_).ok());
  }
  void TearDown() override {
    EXPECT_TRUE(RemoveTree(*fs_, root_).ok());
    (void)rmdir(root_.c_str());
  }

  std::string Path(const std::string& name) const { return JoinPath(root_, name); }
  void Write(const std::string& name, std::string_view bytes) {
    const Status status = WriteWholeFile(*fs_, Path(name), bytes, /*sync=*/true);
    ASSERT_TRUE(status.ok()) << status.message();
  }
  std::string Read(const std::string& name) {
    const Result<std::string> bytes = ReadWholeFile(*fs_, Path(name), 1 << 20);
    return bytes.ok() ? *bytes : bytes.status().message();
  }
  std::unique_ptr<WritableFile> Create(const std::string& name, int64_t size_bytes) {
    auto file = fs_->CreateForWrite(Path(name), size_bytes);
    EXPECT_TRUE(file.ok()) << file.status().message();
    return std::move(file).value();
  }
  std::unique_ptr<ReadableFile> Open(const std::string& name) {
    auto file = fs_->OpenForRead(Path(name));
    EXPECT_TRUE(file.ok()) << file.status().message();
    return std::move(file).value();
  }
  std::string ListText() {
    std::string text;
    const auto entries = fs_->List(root_);
    if (!entries.ok()) return entries.status().message();
    for (const DirectoryEntry& entry : *entries) {
      text += entry.name + (entry.kind == FileKind::kDirectory ? "/ " : " ");
    }
    return text;
  }

  MemoryFileSystem disk_;
  std::unique_ptr<FileSystem> fs_;
  std::string root_;
};

TEST_P(FileSystemContract, FailuresHaveOneCode) {
  Write("file", "abc");
  ASSERT_TRUE(fs_->MakeDirectory(Path("full")).ok());
  Write("full/child", "");
  ASSERT_TRUE(fs_->MakeDirectory(Path("empty")).ok());
  using enum StatusCode;
  const auto lock = fs_->Lock(Path("lock"), /*wait=*/true);
  struct Case {
    const char* what;
    StatusCode code;
    std::function<Status(const std::string& root)> act;
  };
  const Case cases[] = {
      {"read nothing", kNotFound, [&](auto& d) { return fs_->OpenForRead(d + "/no").status(); }},
      {"read below a file", kNotFound,
       [&](auto& d) { return fs_->OpenForRead(d + "/file/x").status(); }},
      {"read a directory", kInvalidInput,
       [&](auto& d) { return fs_->OpenForRead(d + "/full").status(); }},
      {"reopen nothing", kNotFound, [&](auto& d) { return fs_->OpenForWrite(d + "/no").status(); }},
      {"reopen a directory", kInvalidInput,
       [&](auto& d) { return fs_->OpenForWrite(d + "/full").status(); }},
      {"create over a file", kAlreadyExists,
       [&](auto& d) { return fs_->CreateForWrite(d + "/file", 1).status(); }},
      {"create over a directory", kAlreadyExists,
       [&](auto& d) { return fs_->CreateForWrite(d + "/empty", 1).status(); }},
      {"create in nothing", kNotFound,
       [&](auto& d) { return fs_->CreateForWrite(d + "/no/x", 1).status(); }},
      {"create below a file", kNotFound,
       [&](auto& d) { return fs_->CreateForWrite(d + "/file/x", 1).status(); }},
      {"stat nothing", kNotFound, [&](auto& d) { return fs_->Stat(d + "/no").status(); }},
      {"stat no name", kNotFound, [&](auto&) { return fs_->Stat("").status(); }},
      {"list nothing", kNotFound, [&](auto& d) { return fs_->List(d + "/no").status(); }},
      {"list a file", kNotFound, [&](auto& d) { return fs_->List(d + "/file").status(); }},
      {"make a directory again", kOk, [&](auto& d) { return fs_->MakeDirectory(d + "/full"); }},
      {"make a directory over a file", kAlreadyExists,
       [&](auto& d) { return fs_->MakeDirectory(d + "/file"); }},
      {"make a directory in nothing", kNotFound,
       [&](auto& d) { return fs_->MakeDirectory(d + "/no/x"); }},
      {"rename nothing", kNotFound, [&](auto& d) { return fs_->Rename(d + "/no", d + "/x"); }},
      {"rename into nothing", kNotFound,
       [&](auto& d) { return fs_->Rename(d + "/file", d + "/no/x"); }},
      {"rename a file over a directory", kInvalidInput,
       [&](auto& d) { return fs_->Rename(d + "/file", d + "/empty"); }},
      {"rename a directory over a file", kNotFound,
       [&](auto& d) { return fs_->Rename(d + "/empty", d + "/file"); }},
      {"rename over a full directory", kAlreadyExists,
       [&](auto& d) { return fs_->Rename(d + "/empty", d + "/full"); }},
      {"rename into itself", kIoError,
       [&](auto& d) { return fs_->Rename(d + "/full", d + "/full/x"); }},
      {"rename to itself", kOk, [&](auto& d) { return fs_->Rename(d + "/file", d + "/file"); }},
      {"link nothing", kNotFound, [&](auto& d) { return fs_->HardLink(d + "/no", d + "/x"); }},
      {"link below a file", kNotFound,
       [&](auto& d) { return fs_->HardLink(d + "/file/x", d + "/x"); }},
      {"link into nothing", kNotFound,
       [&](auto& d) { return fs_->HardLink(d + "/file", d + "/no/x"); }},
      {"link over a file", kAlreadyExists,
       [&](auto& d) { return fs_->HardLink(d + "/file", d + "/full/child"); }},
      {"link over a directory", kAlreadyExists,
       [&](auto& d) { return fs_->HardLink(d + "/file", d + "/empty"); }},
      {"link to itself", kAlreadyExists,
       [&](auto& d) { return fs_->HardLink(d + "/file", d + "/file"); }},
      {"link a directory", kInvalidInput,
       [&](auto& d) { return fs_->HardLink(d + "/empty", d + "/x"); }},
      {"clone nothing", kNotFound, [&](auto& d) { return fs_->CloneFile(d + "/no", d + "/x"); }},
      {"clone into nothing", kNotFound,
       [&](auto& d) { return fs_->CloneFile(d + "/file", d + "/no/x"); }},
      {"clone over a file", kAlreadyExists,
       [&](auto& d) { return fs_->CloneFile(d + "/file", d + "/full/child"); }},
      {"clone over a directory", kAlreadyExists,
       [&](auto& d) { return fs_->CloneFile(d + "/file", d + "/empty"); }},
      {"clone over itself", kAlreadyExists,
       [&](auto& d) { return fs_->CloneFile(d + "/file", d + "/file"); }},
      {"clone a directory", kInvalidInput,
       [&](auto& d) { return fs_->CloneFile(d + "/empty", d + "/x"); }},
      {"remove nothing", kNotFound, [&](auto& d) { return fs_->RemoveFile(d + "/no"); }},
      {"remove a directory as a file", kInvalidInput,
       [&](auto& d) { return fs_->RemoveFile(d + "/empty"); }},
      {"remove a file as a directory", kNotFound,
       [&](auto& d) { return fs_->RemoveDirectory(d + "/file"); }},
      {"remove a full directory", kAlreadyExists,
       [&](auto& d) { return fs_->RemoveDirectory(d + "/full"); }},
      {"sync nothing", kNotFound, [&](auto& d) { return fs_->SyncDirectory(d + "/no"); }},
      {"sync a directory", kOk, [&](auto& d) { return fs_->SyncDirectory(d + "/full"); }},
      {"lock what is locked", kAlreadyExists,
       [&](auto& d) { return fs_->Lock(d + "/lock", false).status(); }},
      {"lock in nothing", kNotFound,
       [&](auto& d) { return fs_->Lock(d + "/no/lock", true).status(); }},
      {"free bytes", kOk, [&](auto& d) { return fs_->FreeBytes(d).status(); }},
      {"free bytes of nothing", kNotFound,
       [&](auto& d) { return fs_->FreeBytes(d + "/no").status(); }},
  };
  for (const Case& c : cases) {
    const Status status = c.act(root_);
    EXPECT_STREQ(StatusCodeName(status.code()), StatusCodeName(c.code))
        << c.what << ": " << status.message();
  }
  EXPECT_EQ(ListText(), "empty/ file full/ lock ");
  EXPECT_EQ(Read("file") + Read("full/child"), "abc");
}

TEST_P(FileSystemContract, MessagesNameThePathAndTheReason) {
  EXPECT_EQ(fs_->OpenForRead(Path("no")).status().message(),
            "cannot open " + Path("no") + ": No such file or directory");
  EXPECT_EQ(fs_->Rename(Path("a"), Path("b")).message(),
            "cannot rename " + Path("a") + " to " + Path("b") + ": No such file or directory");
  EXPECT_EQ(fs_->HardLink(Path("a"), Path("b")).message(),
            "cannot link " + Path("a") + " to " + Path("b") + ": No such file or directory");
  EXPECT_EQ(fs_->CloneFile(Path("a"), Path("b")).message(),
            "cannot open " + Path("a") + ": No such file or directory");
  Write("file", "abc");
  std::byte buffer[3];
  EXPECT_EQ(Open("file")->ReadAt(1, buffer).message(),
            "cannot read 3 bytes at byte 1 of " + Path("file") + ": it ends at byte 3");
}

TEST_P(FileSystemContract, ReadsAreExact) {
  Write("file", "0123456789");
  const auto file = Open("file");
  EXPECT_EQ(file->size_bytes(), 10);
  EXPECT_EQ(file->path(), Path("file"));
  struct Case {
    int64_t offset_bytes;
    size_t size_bytes;
    const char* expected;  // nullptr: a failure.
  };
  const Case cases[] = {
      {0, 10, "0123456789"}, {3, 4, "3456"},   {9, 1, "9"},      {10, 0, ""},
      {10, 1, nullptr},      {0, 11, nullptr}, {99, 1, nullptr}, {-1, 1, nullptr},
  };
  for (const Case& c : cases) {
    std::string buffer(c.size_bytes, '\0');
    const Status status = file->ReadAt(c.offset_bytes, std::as_writable_bytes(std::span(buffer)));
    ASSERT_EQ(status.ok(), c.expected != nullptr) << c.offset_bytes << "+" << c.size_bytes;
    if (status.ok()) {
      EXPECT_EQ(buffer, c.expected);
    } else {
      EXPECT_EQ(status.code(), StatusCode::kIoError);
    }
  }
}

TEST_P(FileSystemContract, NewFilesHaveTheirSizeAndHoldZeros) {
  const auto file = Create("file", 6);
  ASSERT_TRUE(file->WriteAt(4, Bytes("x")).ok());
  ASSERT_TRUE(file->WriteAt(1, Bytes("ab")).ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(file->Close().ok());
  EXPECT_EQ(Read("file"), std::string("\0ab\0x\0", 6));
  Create("empty", 0);
  EXPECT_EQ(Read("empty"), "");
}

TEST_P(FileSystemContract, WritingBeyondTheEndExtends) {
  ASSERT_TRUE(Create("file", 2)->WriteAt(3, Bytes("x")).ok());
  EXPECT_EQ(Read("file"), std::string("\0\0\0x", 4));
}

TEST_P(FileSystemContract, OpenForWriteKeepsTheContent) {
  Write("file", "abcdef");
  {
    const auto file = fs_->OpenForWrite(Path("file"));
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->WriteAt(2, Bytes("CD")).ok());
    ASSERT_TRUE((*file)->Close().ok());
  }
  EXPECT_EQ(Read("file"), "abCDef");
}

TEST_P(FileSystemContract, ClosedFilesCannotBeWritten) {
  const auto file = Create("file", 2);
  EXPECT_TRUE(file->Close().ok());
  EXPECT_TRUE(file->Close().ok());
  EXPECT_EQ(file->WriteAt(0, Bytes("x")).code(), StatusCode::kIoError);
  EXPECT_EQ(file->Sync().code(), StatusCode::kIoError);
  EXPECT_EQ(Read("file"), std::string(2, '\0'));
}

TEST_P(FileSystemContract, OpenFilesSurviveRenameAndRemoval) {
  Write("old", "old");
  Write("new", "new");
  const auto file = Open("old");
  const auto writer = fs_->OpenForWrite(Path("old"));
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE(fs_->Rename(Path("new"), Path("old")).ok());
  EXPECT_EQ(Read("old"), "new");
  EXPECT_EQ(ListText(), "old ");
  ASSERT_TRUE(fs_->RemoveFile(Path("old")).ok());
  ASSERT_TRUE((*writer)->WriteAt(0, Bytes("O")).ok());
  std::string bytes(3, '\0');
  ASSERT_TRUE(file->ReadAt(0, std::as_writable_bytes(std::span(bytes))).ok());
  EXPECT_EQ(bytes, "Old");
  EXPECT_EQ(ListText(), "");
}

TEST_P(FileSystemContract, LinkedNamesAreEqual) {
  Write("a", "abcdef");
  ASSERT_TRUE(fs_->MakeDirectory(Path("d")).ok());
  ASSERT_TRUE(fs_->HardLink(Path("a"), Path("b")).ok());
  ASSERT_TRUE(fs_->HardLink(Path("b"), Path("d/c")).ok());
  EXPECT_EQ(ListText(), "a b d/ ");
  EXPECT_EQ(fs_->Stat(Path("a"))->inode, fs_->Stat(Path("d/c"))->inode);
  EXPECT_EQ(fs_->Stat(Path("a"))->modified_ns, fs_->Stat(Path("b"))->modified_ns);

  ASSERT_TRUE((*fs_->OpenForWrite(Path("b")))->WriteAt(5, Bytes("FG")).ok());
  EXPECT_EQ(Read("a") + Read("b") + Read("d/c"), "abcdeFGabcdeFGabcdeFG");
  ASSERT_TRUE(fs_->RemoveFile(Path("a")).ok());
  EXPECT_EQ(Read("b") + Read("d/c"), "abcdeFGabcdeFG");
  ASSERT_TRUE(fs_->RemoveFile(Path("b")).ok());
  EXPECT_EQ(Read("d/c"), "abcdeFG");
}

TEST_P(FileSystemContract, RenamingAmongLinkedNames) {
  Write("a", "old");
  Write("new", "new");
  ASSERT_TRUE(fs_->HardLink(Path("a"), Path("b")).ok());
  EXPECT_TRUE(fs_->Rename(Path("a"), Path("b")).ok());
  EXPECT_EQ(ListText(), "a b new ");  // Nothing happens between two names of one file.
  EXPECT_TRUE(fs_->Rename(Path("new"), Path("a")).ok());
  EXPECT_EQ(ListText(), "a b ");
  EXPECT_EQ(Read("a") + Read("b"), "newold");
}

TEST_P(FileSystemContract, ClonesAreEqualAndIndependent) {
  struct Case {
    std::string_view content;
    std::string_view file_after;
    std::string_view clone_after;
  };
  const Case cases[] = {{"abcdef", "Abcdef", {"abcdef\0H", 8}}, {"", "A", {"\0\0\0\0\0\0\0H", 8}}};
  for (const Case& c : cases) {
    Write("file", c.content);
    const Status status = fs_->CloneFile(Path("file"), Path("clone"));
    if (status.code() == StatusCode::kUnsupported) {
      EXPECT_EQ(status.message().find("cannot clone " + Path("file") + " to " + Path("clone")), 0u)
          << status.message();
      EXPECT_EQ(ListText(), "file ");
      GTEST_SKIP() << status.message();
    }
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(Read("clone"), c.content);
    EXPECT_NE(fs_->Stat(Path("file"))->inode, fs_->Stat(Path("clone"))->inode);
    ASSERT_TRUE((*fs_->OpenForWrite(Path("file")))->WriteAt(0, Bytes("A")).ok());
    ASSERT_TRUE((*fs_->OpenForWrite(Path("clone")))->WriteAt(7, Bytes("H")).ok());
    EXPECT_EQ(Read("file"), c.file_after);
    ASSERT_TRUE(fs_->RemoveFile(Path("file")).ok());
    EXPECT_EQ(Read("clone"), c.clone_after);
    ASSERT_TRUE(fs_->RemoveFile(Path("clone")).ok());
  }
}

TEST_P(FileSystemContract, TheIncarnationStaysWhileNothingIsLost) {
  const std::string incarnation = fs_->Incarnation();
  EXPECT_NE(incarnation, "");
  Write("file", "abc");
  EXPECT_EQ(fs_->Incarnation(), incarnation);
  FaultFileSystem fault(*fs_);
  fault.FailAfter(0);
  EXPECT_EQ(fault.Incarnation(), incarnation);
  EXPECT_EQ(fault.operation_count(), 0);
}

TEST_P(FileSystemContract, StatTellsKindSizeTimeAndIdentity) {
  Write("file", "abc");
  ASSERT_TRUE(fs_->MakeDirectory(Path("directory")).ok());
  const auto file = fs_->Stat(Path("file"));
  const auto again = fs_->Stat(root_ + "//./directory/../file");
  const auto directory = fs_->Stat(Path("directory"));
  ASSERT_TRUE(file.ok() && again.ok() && directory.ok());
  EXPECT_EQ(file->kind, FileKind::kFile);
  EXPECT_EQ(file->size_bytes, 3);
  EXPECT_GT(file->modified_ns, 1'600'000'000'000'000'000);
  EXPECT_EQ(directory->kind, FileKind::kDirectory);
  EXPECT_TRUE(file->device == again->device && file->inode == again->inode);
  EXPECT_FALSE(file->device == directory->device && file->inode == directory->inode);
  ASSERT_TRUE(fs_->Rename(Path("file"), Path("moved")).ok());
  EXPECT_EQ(fs_->Stat(Path("moved"))->inode, file->inode);
}

TEST_P(FileSystemContract, ListsInOrderAndRemovesTrees) {
  for (const char* name : {"b", "a", "a.x", "Z", "10", "9"}) Write(name, "");
  ASSERT_TRUE(MakeDirectories(*fs_, Path("t/u/v")).ok());
  Write("t/u/w", "");
  EXPECT_EQ(ListText(), "10 9 Z a a.x b t/ ");
  ASSERT_TRUE(RemoveTree(*fs_, Path("t")).ok());
  EXPECT_EQ(ListText(), "10 9 Z a a.x b ");
  EXPECT_TRUE(RemoveTree(*fs_, Path("t")).ok());
}

TEST_P(FileSystemContract, DirectoriesMoveWithTheirContent) {
  ASSERT_TRUE(MakeDirectories(*fs_, Path("from/sub")).ok());
  Write("from/sub/file", "abc");
  ASSERT_TRUE(fs_->MakeDirectory(Path("to")).ok());
  ASSERT_TRUE(fs_->Rename(Path("from"), Path("to")).ok());  // Over an empty one.
  EXPECT_EQ(Read("to/sub/file"), "abc");
  EXPECT_EQ(ListText(), "to/ ");
}

TEST_P(FileSystemContract, LocksAreReleasedAndWaitedFor) {
  auto held = fs_->Lock(Path("lock"), /*wait=*/false);
  ASSERT_TRUE(held.ok());
  std::promise<void> started;
  auto waiter = std::async(std::launch::async, [&] {
    started.set_value();
    return fs_->Lock(Path("lock"), /*wait=*/true).status();
  });
  started.get_future().wait();
  EXPECT_EQ(waiter.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  held->reset();
  EXPECT_TRUE(waiter.get().ok());
  EXPECT_TRUE(fs_->Lock(Path("lock"), /*wait=*/false).ok());
}

TEST_P(FileSystemContract, ALockWaitedForIsOnTheFileOfThatName) {
  auto held = fs_->Lock(Path("lock"), /*wait=*/false);
  ASSERT_TRUE(held.ok());
  auto waiter =
      std::async(std::launch::async, [&] { return fs_->Lock(Path("lock"), /*wait=*/true); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  ASSERT_TRUE(fs_->RemoveFile(Path("lock")).ok());
  held->reset();
  const auto next = waiter.get();
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(fs_->Lock(Path("lock"), /*wait=*/false).status().code(), StatusCode::kAlreadyExists);
}

TEST_P(FileSystemContract, ThreadsShareAFile) {
  constexpr int64_t kThreadCount = 4;
  constexpr int64_t kBlockBytes = 1000;
  const auto file = Create("file", kThreadCount * kBlockBytes);
  std::vector<std::thread> threads;
  std::string expected;
  for (int64_t i = 0; i < kThreadCount; ++i) {
    const std::string block(kBlockBytes, static_cast<char>('a' + i));
    expected += block;
    threads.emplace_back(
        [&file, block, i] { EXPECT_TRUE(file->WriteAt(i * kBlockBytes, Bytes(block)).ok()); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Read("file"), expected);
}

INSTANTIATE_TEST_SUITE_P(All, FileSystemContract,
                         ::testing::Values(Implementation{"Posix", NewPosix},
                                           Implementation{"Memory", NewMemory},
                                           Implementation{"Fault", NewFault}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace relayout
