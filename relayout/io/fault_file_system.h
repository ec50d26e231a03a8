// SPDX-License-Identifier: Apache-2.0
//
// Wraps a file system and makes chosen operations fail, to run an algorithm into every failure that
// it can meet:
//
//   FaultFileSystem counting(healthy_disk);
//   EXPECT_TRUE(Publish(counting).ok());
//   const int64_t count = counting.operation_count();     // So many operations can fail.
//   for (int64_t n = 0; n < count; ++n) {
//     MemoryFileSystem disk = ...;
//     FaultFileSystem fs(disk);
//     fs.FailAfter(n);                                    // The process dies before operation n.
//     EXPECT_FALSE(Publish(fs).ok());                     // Its clean-up fails as well.
//     disk.LoseUnsynced();                                // And so does the machine.
//     ... what has a final name is whole ...
//   }
//
// An operation is one call of a function of FileSystem, ReadableFile or WritableFile that can fail,
// numbered from 0. One that is made to fail is not passed on, with one exception: when the first to
// fail is a WriteAt, it writes the first half of its bytes, as a full disk or a crash may. The
// failure is kIoError "injected failure of operation 7: write out/x".
//
// Destructors of files and locks always work: the system closes for a process that dies. So does
// Incarnation, which cannot fail and is no operation.
//
// Safe for any number of threads; then the numbering depends on their order. Keeps a reference to
// the file system that it wraps; must outlive its files.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "relayout/io/file_system.h"

namespace relayout {

class FaultFileSystem final : public FileSystem {
 public:
  explicit FaultFileSystem(FileSystem& wrapped) : wrapped_(wrapped) {}

  // These three replace each other, and start to count from 0 again.
  // Operation `n` and all that follow fail.
  void FailAfter(int64_t n) { Arm(n, kForever); }
  // Only operation `n` fails.
  void FailOnce(int64_t n) { Arm(n, 1); }
  // Nothing fails, as at the start.
  void StopFailing() { Arm(kForever, 0); }

  // How many operations there were, those that failed included.
  int64_t operation_count() const;

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
  std::string Incarnation() override { return wrapped_.Incarnation(); }

 private:
  class Readable;
  class Writable;
  static constexpr int64_t kForever = std::numeric_limits<int64_t>::max();

  // Whether an operation fails, and whether it is the first to do so.
  struct Verdict {
    Status status;
    bool is_first = false;
  };

  void Arm(int64_t first_failure, int64_t failure_count);
  // Counts an operation and decides on it.
  Verdict Judge(const char* verb, const std::string& path);
  Status Admit(const char* verb, const std::string& path) { return Judge(verb, path).status; }

  FileSystem& wrapped_;
  mutable std::mutex mutex_;  // Guards what follows.
  int64_t operation_count_ = 0;
  int64_t first_failure_ = kForever;
  int64_t failure_count_ = 0;
};

}  // namespace relayout
