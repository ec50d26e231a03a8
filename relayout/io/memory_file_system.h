// SPDX-License-Identifier: Apache-2.0
//
// A file system in memory, for tests. It keeps the contracts of file_system.h, and tells three
// things that a disk does not: what was accessed, what a power cut would leave, and what happens
// when it is full.
//
//   MemoryFileSystem fs;
//   fs.SetFile("in/a.ckpt", "0123456789");
//   ... read bytes 2 to 5 ...
//   ToText(fs.accesses())            // "open in/a.ckpt, read in/a.ckpt 2+3"
//
//   WriteWholeFile(fs, "b.tmp", "new", /*sync=*/true);
//   fs.Rename("b.tmp", "b");         // No SyncDirectory("."):
//   fs.LoseUnsynced();
//   fs.FileBytes("b")                // nothing: neither name outlives the power cut
//
// Paths: the working directory is the root, so "/a" and "a" are one file; "." and ".." are resolved
// in the text. There are no symbolic links. Files are shared by name as in POSIX: an open file
// survives the renaming and the removal of its name, and may have several names (HardLink).
//
// Power cuts: every file has its durable content beside the present one, every directory its
// durable entries. Sync copies the content of one file, SyncDirectory the entries of one directory
// (not those below it). The rules are harsher than those of a journaling disk: nothing becomes
// durable by itself or in company. Two names of one file share its durable content, but each is
// durable for itself; a clone has nothing durable, however durable its original is.
//
// Safe for any number of threads. Must outlive the files and locks that it hands out.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/io/file_system.h"

namespace relayout {

// One call that succeeded. `path` is the one given when the file was opened; of a renaming, a link
// and a clone, the new name. Only reads and writes have a range.
struct Access {
  enum Kind {
    kOpen,  // OpenForRead and OpenForWrite.
    kCreate,
    kRead,
    kWrite,
    kSync,
    kMakeDirectory,
    kRename,
    kLink,
    kClone,
    kRemove,  // A file or a directory.
    kSyncDirectory,
  };
  Kind kind = kOpen;
  std::string path;
  int64_t offset_bytes = 0;
  int64_t size_bytes = 0;

  friend bool operator==(const Access&, const Access&) = default;
};

// "create b.tmp, write b.tmp 0+3, sync b.tmp, rename b"
std::string ToText(const std::vector<Access>& accesses);

class MemoryFileSystem final : public FileSystem {
 public:
  static constexpr int64_t kDefaultCapacityBytes = int64_t{1} << 30;

  // What not every file system can do.
  struct Abilities {
    bool hard_links = true;   // Else HardLink is kUnsupported, as on FAT.
    bool clones = true;       // Else CloneFile is kUnsupported, as on ext4.
    bool incarnation = true;  // Else Incarnation is empty, as where /proc is missing.
  };

  // The disk is full when its files hold `capacity_bytes`: creating or extending a file beyond that
  // is kIoError. Files that have lost their last name do not count, nor do names and directories;
  // a file counts once, whatever the number of its names, and a clone as much as its original.
  explicit MemoryFileSystem(int64_t capacity_bytes = kDefaultCapacityBytes);
  ~MemoryFileSystem() override;

  // --- For tests; none of these is recorded --------------------------------------------------

  //   fs.SetAbilities({.clones = false});
  void SetAbilities(const Abilities& abilities);
  // Makes the file `path`, or replaces its content, and all directories above it, all durable.
  // @pre nothing on the way is a file, and `path` is no directory
  void SetFile(const std::string& path, std::string_view bytes);
  // The present content; nothing where there is no file.
  std::optional<std::string> FileBytes(const std::string& path) const;
  // In the order in which they took effect.
  std::vector<Access> accesses() const;
  void ClearAccesses();
  // A power cut. Entries that are not durable are undone. Bytes that are not durable become what
  // was there when the file was last synced, or zeros; the length of a file stays, as on a disk
  // that reserved the blocks and lost what was in them, so that only its content gives it away.
  // Locks are released, and Incarnation changes. Files still open belong to a process that is dead:
  // only destroy them.
  void LoseUnsynced();

  // --- FileSystem ----------------------------------------------------------------------------

  Result<std::unique_ptr<ReadableFile>> OpenForRead(const std::string& path) override;
  Result<std::unique_ptr<WritableFile>> CreateForWrite(const std::string& path,
                                                       int64_t size_bytes) override;
  Result<std::unique_ptr<WritableFile>> OpenForWrite(const std::string& path) override;
  Result<FileInfo> Stat(const std::string& path) override;
  Result<std::vector<DirectoryEntry>> List(const std::string& path) override;
  Status MakeDirectory(const std::string& path) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status HardLink(const std::string& from, const std::string& to) override;
  Status CloneFile(const std::string& from, const std::string& to) override;
  Status RemoveFile(const std::string& path) override;
  Status RemoveDirectory(const std::string& path) override;
  Status SyncDirectory(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path, bool wait) override;
  Result<int64_t> FreeBytes(const std::string& path) override;
  std::string Incarnation() override;

 private:
  struct Node;
  using NodePtr = std::shared_ptr<Node>;
  class OpenReadable;
  class OpenWritable;
  class HeldLock;
  struct Lookup;
  struct Slot;

  // All of these expect mutex_ to be held.
  Lookup Walk(std::span<const std::string> parts) const;
  Lookup Find(const std::string& path) const;
  Lookup FindFile(const std::string& path) const;
  Slot FindSlot(const std::string& path) const;
  Slot FindFreeSlot(const std::string& path) const;
  NodePtr NewNode(FileKind kind);
  void Link(const Slot& slot, const NodePtr& node);
  void Unlink(const Slot& slot);
  Lookup FindOrCreateFile(const std::string& path);
  Result<NodePtr> CreateFile(const std::string& path, int64_t size_bytes);
  Status Resize(const std::string& path, Node& node, int64_t size_bytes);
  void Restore(const NodePtr& node);
  void Touch(Node& node);
  void Record(Access::Kind kind, const std::string& path, int64_t offset_bytes = 0,
              int64_t size_bytes = 0);
  Status Remove(const std::string& path, FileKind kind, const char* what);

  const int64_t capacity_bytes_;
  mutable std::mutex mutex_;  // Guards everything below, and all nodes.
  std::condition_variable lock_released_;
  uint64_t last_inode_ = 0;
  uint64_t last_lock_ = 0;
  uint64_t incarnation_ = 1;
  Abilities abilities_;
  // A clock that ticks with every change: times are plausible, distinct and the same in every run.
  int64_t now_ns_ = 1'700'000'000'000'000'000;
  int64_t used_bytes_ = 0;
  std::vector<Access> accesses_;
  NodePtr root_;
};

}  // namespace relayout
