// SPDX-License-Identifier: Apache-2.0
//
// CheckpointWriter: publishes a set of rank files so that no half-written or mixed set ever stands
// under final names.
//
// # Protocol
//
//   Begin     1. create the directory; take DIR/.relayout/lock
//             2. remove staging folders whose process is dead (their own lock is free)
//             3. refuse what must not be overwritten
//             4. create DIR/.relayout/staging-<n> with a lock of its own, held to the end
//   Create    5. each file in the staging folder, at its full size, disk space reserved, headers
//   written
//             (the executor fills in the payload)
//   Publish   6. trailers, fsync of each file, generation records
//             7. take DIR/.relayout/lock and look again, as siblings may have published meanwhile
//             8. move what is replaced into the staging folder, records first; fsync the folders:
//                from here on nothing of the old set is visible, and nothing of the new one yet
//             9. rename each file to its final name; fsync the folders
//            10. rename the records; fsync; remove the staging folder
//
// A failure before 8 leaves the directory as it was; one in 8 to 10 is rolled back. A kill or a
// power cut at any moment leaves whole files of one generation only; files moved away or staged are
// then lost, the source is not. Without `sync` nothing is promised about power cuts.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/checkpoint/generation.h"
#include "relayout/format/file_index.h"
#include "relayout/io/file_system.h"

namespace relayout {

struct CheckpointWriterOptions {
  // Where the set goes; rank r is written to DIR/rank_<r>/<prefix><r><extension>.
  std::string directory;
  std::string prefix = "checkpoint_";
  FileFormat format = FileFormat::kMindSporeCheckpoint;
  // Not empty: write one rank to exactly this file instead, without regard to its neighbours.
  std::string single_file;
  // False: other ranks of the same generation may stand beside the ones written.
  bool whole_set = true;
  bool overwrite = false;
  bool sync = true;
  // Append MindSpore's CRC-32 trailer (.ckpt only).
  bool crc_trailer = false;
};

class CheckpointWriter {
 public:
  // Steps 1 to 4. `ranks` are those to be written.
  static Result<std::unique_ptr<CheckpointWriter>> Begin(FileSystem& fs,
                                                         CheckpointWriterOptions options,
                                                         std::vector<int64_t> ranks,
                                                         Generation generation);
  // Removes everything that was not published; errors of that are ignored.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // Step 5. Returns the path under which the file's payload is to be written.
  Result<std::string> Create(int64_t rank, const FileImage& image);
  // Steps 6 to 10, for the files created, with `thread_count` threads. Returns their final paths.
  Result<std::map<int64_t, std::string>> Publish(int thread_count);

 private:
  struct StagedFile {
    std::string staged_path;
    std::string final_path;
    int64_t size_bytes = 0;  // Without the trailer.
  };

  CheckpointWriter(FileSystem& fs, CheckpointWriterOptions options, std::vector<int64_t> ranks,
                   Generation generation)
      : fs_(fs),
        options_(std::move(options)),
        ranks_(std::move(ranks)),
        generation_(std::move(generation)) {}

  std::string FinalPath(int64_t rank) const;
  std::string RecordPath(int64_t rank) const;
  std::string StagedRecordPath(int64_t rank) const;
  std::string StateLockPath() const;
  Status Prepare();
  Status FindMissingDirectories();
  Result<std::unique_ptr<FileLock>> LockState();
  Status RemoveDeadStaging();
  // Final files that must make way; fails when they may not.
  Result<std::vector<std::string>> FilesToReplace();
  Result<std::vector<std::string>> FilesToReplaceInSet();
  // Was the file of this rank written by a run of our generation?
  Result<bool> IsSibling(int64_t rank);
  Result<std::vector<std::string>> RecordsToReplace(const std::vector<std::string>& replaced);
  Status Finish(const StagedFile& file);
  Status StageRecords();
  // A rename that Rollback undoes.
  Status Move(const std::string& from, const std::string& to);
  Status MoveOldAway(const std::vector<std::string>& replaced);
  Status MoveNewIn(const std::vector<std::string>& replaced);
  Status SyncAll(const std::set<std::string>& folders);
  Status Rollback(const Status& cause);
  void RemoveEmptyState();

  FileSystem& fs_;
  const CheckpointWriterOptions options_;
  const std::vector<int64_t> ranks_;
  const Generation generation_;
  std::vector<std::string> created_directories_;  // Innermost first.
  std::string state_dir_;
  std::string staging_dir_;
  std::unique_ptr<FileLock> staging_lock_;
  std::map<int64_t, StagedFile> staged_;
  std::vector<std::pair<std::string, std::string>> moves_;
  std::vector<std::string> created_folders_;
};

}  // namespace relayout
