// SPDX-License-Identifier: Apache-2.0
//
// Journal: which chunks of an execution are written, so that another run can go on after a kill.
// Each process of a run appends to one of its own.
//
//   relayout journal 1 9f0c... fbe1...          the incarnation (io/file_system.h) it ran in
//   chunk 17 1048576 1048576 0:4be0...:3.12,3.15 2:77aa...: 09d1...
//   synced 1 51c2...
//
// chunk INDEX READ WRITTEN then RANK:SUM:TORN for each file, TORN = job.block of each torn block.
// Every line ends in a hash of what is before it in the line: the line that a kill cut short, and
// all that follows, is not believed. `synced N` says that the first N chunks are durable.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/exec/executor.h"
#include "relayout/io/file_system.h"

namespace relayout {

class Journal {
 public:
  // Creates the file `path`, which must not exist, with space reserved for `reserved_bytes`, so
  // that a disk that is just large enough does not fail a run half-way. With `sync` MarkSynced
  // makes it durable.
  static Result<std::unique_ptr<Journal>> Create(FileSystem& fs, const std::string& path,
                                                 int64_t reserved_bytes, bool sync);

  // One call at a time.
  Status Append(const ChunkResult& result);
  // The first `chunk_count` chunks of this journal are durable.
  Status MarkSynced(int64_t chunk_count);

 private:
  Journal(std::unique_ptr<WritableFile> file, bool sync) : file_(std::move(file)), sync_(sync) {}
  Status AppendLine(std::string line);

  std::unique_ptr<WritableFile> file_;
  const bool sync_;
  int64_t size_bytes_ = 0;
};

// The chunks of a journal that can be believed: all if it was written in one of `incarnations`,
// otherwise those that were synced. An unreadable line ends it; only I/O errors are failures.
Result<std::vector<ChunkResult>> ReadJournal(FileSystem& fs, const std::string& path,
                                             const std::vector<std::string>& incarnations);

}  // namespace relayout
