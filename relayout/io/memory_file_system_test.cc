// SPDX-License-Identifier: Apache-2.0
//
// What only the file system in memory can do; the contracts are in file_system_contract_test.cc.
#include "relayout/io/memory_file_system.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>

namespace relayout {
namespace {

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

// "a/ a/b=content c=" for the whole tree; zeros are shown as '.'.
std::string TreeText(MemoryFileSystem& fs, const std::string& directory = "") {
  std::string text;
  const auto entries = fs.List(directory.empty() ? "." : directory);
  for (const DirectoryEntry& entry : *entries) {
    const std::string path = JoinPath(directory, entry.name);
    text += text.empty() ? "" : " ";
    if (entry.kind == FileKind::kDirectory) {
      const std::string below = TreeText(fs, path);
      text += path + "/" + (below.empty() ? "" : " " + below);
      continue;
    }
    std::string bytes = *fs.FileBytes(path);
    for (char& c : bytes) c = c == '\0' ? '.' : c;
    text += path;
    text += "=" + bytes;
  }
  return text;
}

TEST(MemoryFileSystemTest, RecordsAccessesInOrder) {
  MemoryFileSystem fs;
  fs.SetFile("in/a", "0123456789");
  {
    const auto source = fs.OpenForRead("in/a");
    ASSERT_TRUE(fs.MakeDirectory("out").ok());
    ASSERT_TRUE(fs.MakeDirectory("out").ok());  // Changes nothing.
    const auto target = fs.CreateForWrite("out/b.tmp", 5);
    ASSERT_TRUE(source.ok() && target.ok());
    std::byte buffer[3];
    ASSERT_TRUE((*source)->ReadAt(2, buffer).ok());
    EXPECT_FALSE((*source)->ReadAt(8, buffer).ok());
    ASSERT_TRUE((*target)->WriteAt(1, buffer).ok());
    ASSERT_TRUE((*target)->Sync().ok());
  }
  ASSERT_TRUE(fs.Rename("out/b.tmp", "out/b").ok());
  ASSERT_TRUE(fs.SyncDirectory("out").ok());
  ASSERT_TRUE(fs.HardLink("out/b", "out/c").ok());
  ASSERT_TRUE(fs.CloneFile("out/b", "out/d").ok());
  ASSERT_TRUE(fs.RemoveFile("in/a").ok());
  EXPECT_EQ(ToText(fs.accesses()),
            "open in/a, mkdir out, create out/b.tmp, read in/a 2+3, write out/b.tmp 1+3, "
            "sync out/b.tmp, rename out/b, syncdir out, link out/c, clone out/d, "
            "remove in/a");
  const Access read = {Access::kRead, "in/a", 2, 3};
  EXPECT_EQ(fs.accesses()[3], read);
  fs.ClearAccesses();
  EXPECT_EQ(ToText(fs.accesses()), "");
}

TEST(MemoryFileSystemTest, SpellingsOfOnePath) {
  MemoryFileSystem fs;
  fs.SetFile("/a/b", "x");
  for (const char* path : {"a/b", "/a/b", "./a//b", "a/../a/./b", "../a/b", "a/b/"}) {
    EXPECT_EQ(fs.FileBytes(path), "x") << path;
  }
  EXPECT_EQ(fs.FileBytes("a"), std::nullopt);
  EXPECT_EQ(fs.FileBytes("a/c"), std::nullopt);
  EXPECT_EQ(fs.FileBytes("a/b/c"), std::nullopt);
}

TEST(MemoryFileSystemTest, TheRootCannotBeMadeMovedOrRemoved) {
  MemoryFileSystem fs;
  EXPECT_TRUE(fs.MakeDirectory("/").ok());
  EXPECT_EQ(fs.CreateForWrite(".", 0).status().code(), StatusCode::kAlreadyExists);
  EXPECT_FALSE(fs.RemoveDirectory("/").ok());
  EXPECT_FALSE(fs.Rename("/", "/a").ok());
}

// Runs `act` over a durable "d/old" = "old" and cuts the power.
std::string AfterPowerCut(const std::function<void(MemoryFileSystem&)>& act) {
  MemoryFileSystem fs;
  fs.SetFile("d/old", "old");
  act(fs);
  fs.LoseUnsynced();
  return TreeText(fs);
}

TEST(MemoryFileSystemTest, APowerCutLeavesWhatWasSynced) {
  using Fs = MemoryFileSystem;
  const auto write = [](Fs& fs, const char* path, bool sync) {
    ASSERT_TRUE(WriteWholeFile(fs, path, "new", sync).ok());
  };
  const auto overwrite = [](Fs& fs, bool sync) {
    const auto file = fs.OpenForWrite("d/old");
    ASSERT_TRUE((*file)->WriteAt(1, Bytes("xyz")).ok());
    ASSERT_TRUE(!sync || (*file)->Sync().ok());
  };
  const auto do_ok = [](const Status& status) { ASSERT_TRUE(status.ok()) << status.message(); };
  struct Case {
    const char* what;
    const char* expected;
    std::function<void(Fs&)> act;
  };
  const Case cases[] = {
      {"nothing happened", "d/ d/old=old", [&](Fs&) {}},
      {"created, no sync", "d/ d/old=old", [&](Fs& fs) { write(fs, "d/new", false); }},
      {"created, content synced", "d/ d/old=old", [&](Fs& fs) { write(fs, "d/new", true); }},
      {"created, name synced", "d/ d/new=... d/old=old",
       [&](Fs& fs) {
         write(fs, "d/new", false);
         do_ok(fs.SyncDirectory("d"));
       }},
      {"created, both synced", "d/ d/new=new d/old=old",
       [&](Fs& fs) {
         write(fs, "d/new", true);
         do_ok(fs.SyncDirectory("d"));
       }},
      {"overwritten, no sync", "d/ d/old=old.", [&](Fs& fs) { overwrite(fs, false); }},
      {"overwritten, synced", "d/ d/old=oxyz", [&](Fs& fs) { overwrite(fs, true); }},
      {"replaced, no sync", "d/ d/old=old",
       [&](Fs& fs) {
         write(fs, "d/new", true);
         do_ok(fs.Rename("d/new", "d/old"));
       }},
      {"replaced, synced", "d/ d/old=new",
       [&](Fs& fs) {
         write(fs, "d/new", true);
         do_ok(fs.Rename("d/new", "d/old"));
         do_ok(fs.SyncDirectory("d"));
       }},
      {"replaced, name synced before the content", "d/ d/old=...",
       [&](Fs& fs) {
         write(fs, "d/new", false);
         do_ok(fs.Rename("d/new", "d/old"));
         do_ok(fs.SyncDirectory("d"));
       }},
      {"removed, no sync", "d/ d/old=old", [&](Fs& fs) { do_ok(fs.RemoveFile("d/old")); }},
      {"removed, synced", "d/",
       [&](Fs& fs) {
         do_ok(fs.RemoveFile("d/old"));
         do_ok(fs.SyncDirectory("d"));
       }},
      {"new directory, itself synced", "d/ d/old=old",
       [&](Fs& fs) {
         do_ok(fs.MakeDirectory("e"));
         write(fs, "e/new", true);
         do_ok(fs.SyncDirectory("e"));
       }},
      {"new directory, the one above synced", "d/ d/old=old e/",
       [&](Fs& fs) {
         do_ok(fs.MakeDirectory("e"));
         write(fs, "e/new", true);
         do_ok(fs.SyncDirectory("."));
       }},
      {"linked, no sync", "d/ d/old=old", [&](Fs& fs) { do_ok(fs.HardLink("d/old", "d/b")); }},
      {"linked, name synced", "d/ d/b=old d/old=old",
       [&](Fs& fs) {
         do_ok(fs.HardLink("d/old", "d/b"));
         do_ok(fs.SyncDirectory("d"));
       }},
      {"linked, the other name removed, synced", "d/ d/b=old",
       [&](Fs& fs) {
         do_ok(fs.HardLink("d/old", "d/b"));
         do_ok(fs.RemoveFile("d/old"));
         do_ok(fs.SyncDirectory("d"));
       }},
      {"linked, the other name removed, no sync", "d/ d/old=old",
       [&](Fs& fs) {
         do_ok(fs.HardLink("d/old", "d/b"));
         do_ok(fs.RemoveFile("d/old"));
       }},
      {"linked before the content is synced", "d/ d/b=... d/new=... d/old=old",
       [&](Fs& fs) {
         write(fs, "d/new", false);
         do_ok(fs.HardLink("d/new", "d/b"));
         do_ok(fs.SyncDirectory("d"));
       }},
      {"linked, content synced by the other name", "d/ d/b=oxyz d/old=oxyz",
       [&](Fs& fs) {
         do_ok(fs.HardLink("d/old", "d/b"));
         overwrite(fs, true);
         do_ok(fs.SyncDirectory("d"));
       }},
      {"linked into another directory, only that one synced", "d/ d/old=old e/ e/b=new",
       [&](Fs& fs) {
         write(fs, "d/new", true);
         do_ok(fs.MakeDirectory("e"));
         do_ok(fs.HardLink("d/new", "e/b"));
         do_ok(fs.SyncDirectory("e"));
         do_ok(fs.SyncDirectory("."));
       }},
      {"cloned, no sync", "d/ d/old=old", [&](Fs& fs) { do_ok(fs.CloneFile("d/old", "d/b")); }},
      {"cloned, name synced", "d/ d/b=... d/old=old",
       [&](Fs& fs) {
         do_ok(fs.CloneFile("d/old", "d/b"));
         do_ok(fs.SyncDirectory("d"));
       }},
      {"cloned, both synced", "d/ d/b=old d/old=old",
       [&](Fs& fs) {
         do_ok(fs.CloneFile("d/old", "d/b"));
         do_ok((*fs.OpenForWrite("d/b"))->Sync());
         do_ok(fs.SyncDirectory("d"));
       }},
      {"cloned from unsynced content, clone synced", "d/ d/b=oxyz d/old=old.",
       [&](Fs& fs) {
         overwrite(fs, false);
         do_ok(fs.CloneFile("d/old", "d/b"));
         do_ok((*fs.OpenForWrite("d/b"))->Sync());
         do_ok(fs.SyncDirectory("d"));
       }},
      {"directory moved with durable content", "e/ e/old=old",
       [&](Fs& fs) {
         do_ok(fs.Rename("d", "e"));
         do_ok(fs.SyncDirectory("."));
       }},
  };
  for (const Case& c : cases) EXPECT_EQ(AfterPowerCut(c.act), c.expected) << c.what;
}

TEST(MemoryFileSystemTest, APowerCutReleasesLocks) {
  MemoryFileSystem fs;
  fs.SetFile("lock", "");
  auto before = fs.Lock("lock", /*wait=*/false);
  fs.LoseUnsynced();
  const auto after = fs.Lock("lock", /*wait=*/false);
  ASSERT_TRUE(before.ok() && after.ok());
  before->reset();  // Must not release what is held by someone else now.
  EXPECT_FALSE(fs.Lock("lock", /*wait=*/false).ok());
}

TEST(MemoryFileSystemTest, EachPowerCutChangesTheIncarnation) {
  MemoryFileSystem fs;
  std::set<std::string> seen = {fs.Incarnation()};
  for (int i = 0; i < 3; ++i) {
    fs.LoseUnsynced();
    EXPECT_TRUE(seen.insert(fs.Incarnation()).second) << fs.Incarnation();
  }
  fs.SetAbilities({.incarnation = false});
  EXPECT_EQ(fs.Incarnation(), "");
}

TEST(MemoryFileSystemTest, LinksAndClonesCanBeUnsupported) {
  using enum StatusCode;
  struct Case {
    MemoryFileSystem::Abilities abilities;
    StatusCode link;
    StatusCode clone;
    const char* expected;
  };
  const Case cases[] = {
      {{}, kOk, kOk, "clone=x file=x link=x"},
      {{.hard_links = false}, kUnsupported, kOk, "clone=x file=x"},
      {{.clones = false}, kOk, kUnsupported, "file=x link=x"},
      {{.hard_links = false, .clones = false}, kUnsupported, kUnsupported, "file=x"},
  };
  for (const Case& c : cases) {
    MemoryFileSystem fs;
    fs.SetFile("file", "x");
    fs.SetAbilities(c.abilities);
    EXPECT_EQ(fs.HardLink("file", "link").code(), c.link) << c.expected;
    EXPECT_EQ(fs.CloneFile("file", "clone").code(), c.clone) << c.expected;
    EXPECT_EQ(TreeText(fs), c.expected);
  }
  MemoryFileSystem fs;
  fs.SetFile("file", "x");
  fs.SetAbilities({.hard_links = false, .clones = false});
  EXPECT_EQ(fs.HardLink("file", "link").message(),
            "cannot link file to link: Operation not permitted");
  EXPECT_EQ(fs.CloneFile("file", "clone").message(),
            "cannot clone file to clone: Operation not supported");
  EXPECT_EQ(fs.HardLink("none", "link").code(), kNotFound);
  EXPECT_EQ(fs.CloneFile("file", "file").code(), kAlreadyExists);
}

TEST(MemoryFileSystemTest, TheDiskIsFullAtItsCapacity) {
  MemoryFileSystem fs(/*capacity_bytes=*/10);
  fs.SetFile("a", "1234");
  EXPECT_EQ(*fs.FreeBytes("."), 6);
  const Status status = fs.CreateForWrite("b", 7).status();
  EXPECT_EQ(status.code(), StatusCode::kIoError);
  EXPECT_EQ(status.message(), "cannot create b: no space left: 7 B needed, 6 B free");
  EXPECT_FALSE(Exists(fs, "b"));

  const auto file = fs.CreateForWrite("b", 5);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ((*file)->WriteAt(4, Bytes("xyz")).message(), "cannot write b: No space left on device");
  EXPECT_EQ(fs.FileBytes("b")->size(), 5u);
  EXPECT_TRUE((*file)->WriteAt(4, Bytes("xy")).ok());
  EXPECT_EQ(*fs.FreeBytes("."), 0);
}

TEST(MemoryFileSystemTest, CountsTheBytesInUseThroughEveryChange) {
  MemoryFileSystem fs(/*capacity_bytes=*/100);
  const auto used = [&fs] { return 100 - *fs.FreeBytes("."); };
  fs.SetFile("a", "1234");
  fs.SetFile("d/b", "12345");
  EXPECT_EQ(used(), 9);
  fs.SetFile("a", "1");
  EXPECT_EQ(used(), 6);
  ASSERT_TRUE(fs.Rename("d", "e").ok());
  EXPECT_EQ(used(), 6);
  ASSERT_TRUE(fs.Rename("a", "e/b").ok());
  EXPECT_EQ(used(), 1);
  const auto open = fs.OpenForWrite("e/b");
  ASSERT_TRUE(fs.RemoveFile("e/b").ok());
  EXPECT_EQ(used(), 0);
  ASSERT_TRUE((*open)->WriteAt(0, Bytes("123")).ok());
  EXPECT_EQ(used(), 0);  // Nameless.
  fs.LoseUnsynced();
  EXPECT_EQ(used(), 3 + 5);  // "a", as long as it was, and "d/b" are back.
  EXPECT_EQ(TreeText(fs), "a=1.. d/ d/b=12345");
}

TEST(MemoryFileSystemTest, CountsALinkedFileOnceAndAClonedOneTwice) {
  MemoryFileSystem fs(/*capacity_bytes=*/10);
  const auto used = [&fs] { return 10 - *fs.FreeBytes("."); };
  fs.SetFile("a", "1234");
  ASSERT_TRUE(fs.HardLink("a", "b").ok());
  EXPECT_EQ(used(), 4);
  ASSERT_TRUE(fs.SyncDirectory(".").ok());
  fs.LoseUnsynced();
  EXPECT_EQ(used(), 4);
  ASSERT_TRUE((*fs.OpenForWrite("b"))->WriteAt(4, Bytes("5")).ok());
  EXPECT_EQ(used(), 5);
  ASSERT_TRUE(fs.RemoveFile("a").ok());
  EXPECT_EQ(used(), 5);
  ASSERT_TRUE(fs.CloneFile("b", "c").ok());
  EXPECT_EQ(used(), 10);
  EXPECT_EQ(fs.CloneFile("b", "d").message(),
            "cannot create d: no space left: 5 B needed, 0 B free");
  ASSERT_TRUE(fs.RemoveFile("b").ok());
  EXPECT_EQ(used(), 5);
  EXPECT_EQ(TreeText(fs), "c=12345");
}

TEST(MemoryFileSystemTest, RefusesRangesThatOverflow) {
  MemoryFileSystem fs;
  const auto file = fs.CreateForWrite("a", 1);
  ASSERT_TRUE(file.ok());
  EXPECT_FALSE((*file)->WriteAt(-1, Bytes("x")).ok());
  EXPECT_FALSE((*file)->WriteAt(INT64_MAX, Bytes("x")).ok());
}

}  // namespace
}  // namespace relayout
