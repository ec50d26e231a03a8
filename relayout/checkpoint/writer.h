// SPDX-License-Identifier: Apache-2.0
//
// CheckpointWriter: publishes a set of rank files so that no half-written or mixed set ever stands
// under final names.
//
// # Protocol
//
//   Begin     1. create the directory; take DIR/.relayout/lock
//             2. with `resume`, go on in the staging folder of a dead run that set out to do the
//                same; otherwise remove staging folders whose process is dead (their own lock is
//                free)
//             3. refuse what must not be overwritten
//             4. create DIR/.relayout/staging-<n> with a lock of its own, held to the end
//   Create    5. each file in the staging folder, at its full size, disk space reserved, headers
//                written
//   SavePlan     the staged plan, in one rename: from here on another run can go on
//                (the executor fills in the payload, a journal in the staging folder says how far)
//   Publish   6. trailers, fsync of each file, replicas, manifest records
//             7. take DIR/.relayout/lock and look again, as siblings may have published meanwhile
//             8. move what is replaced into the staging folder, records first; fsync the folders:
//                from here on nothing of the old set is visible, and nothing of the new one yet
//             9. rename each file to its final name; fsync the folders
//            10. rename the records; fsync; remove the staging folder
//
// A failure before 8 leaves the directory as it was; one in 8 to 10 is rolled back. A kill or a
// power cut at any moment leaves whole files of one generation only; files moved away or staged are
// then lost, the source is not. Without `sync` nothing is promised about power cuts.
//
// With `resume` a run that fails or is stopped after SavePlan leaves its staging folder, and one
// that was killed, at whatever step, is gone on with: files that have their final names already
// are taken for published when they are no longer staged.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "relayout/base/hash.h"
#include "relayout/base/status.h"
#include "relayout/checkpoint/staged_plan.h"
#include "relayout/checkpoint/target_names.h"
#include "relayout/format/file_index.h"
#include "relayout/io/file_system.h"

namespace relayout {

// How a rank's file is made that has the same bytes as another rank's.
enum class ReplicaMode {
  kCopy,      // Written like any other.
  kHardLink,  // A second name of the same file.
  kReflink,   // A file of its own that shares its blocks until one of them is changed.
};

struct CheckpointWriterOptions {
  // Where the set goes, and how its files are called there.
  std::string directory;
  TargetNames names = {};
  FileFormat format = FileFormat::kMindSporeCheckpoint;
  // Not empty: write one rank to exactly this file instead, without regard to its neighbours.
  std::string single_file;
  // False: other ranks of the same generation may stand beside the ones written.
  bool whole_set = true;
  bool overwrite = false;
  // Do not regard files that have no name of this set: they are neither in the way nor replaced.
  bool keep_others = false;
  bool sync = true;
  // Append MindSpore's CRC-32 trailer (.ckpt only).
  bool crc_trailer = false;
  // Go on with what an equal run left, and leave what this one does not finish.
  bool resume = false;
  // The ranks of the whole set, for the manifest.
  int64_t rank_count = 1;
  // Ranks that are made from another rank's file: replica -> original, and how.
  std::map<int64_t, int64_t> original_of_replica = {};
  ReplicaMode replica_mode = ReplicaMode::kCopy;
};

// Where a rank's file goes.
std::string FinalPath(const CheckpointWriterOptions& options, int64_t rank);

class CheckpointWriter {
 public:
  // Steps 1 to 4, for the ranks of `plan`, whose cut is not looked at. With `resume`, fails when
  // the directory holds the unfinished work of another conversion; the message says what differs.
  static Result<std::unique_ptr<CheckpointWriter>> Begin(FileSystem& fs,
                                                         CheckpointWriterOptions options,
                                                         StagedPlan plan);
  // Would Begin refuse because of names or of files that it may not replace? Looks only.
  static Status CheckTarget(FileSystem& fs, CheckpointWriterOptions options, StagedPlan plan);
  // Removes everything that was not published, unless it is kept for another run; errors of that
  // are ignored.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // With `resume`: all files of this plan were published already; there is nothing to do.
  bool is_complete() const { return is_complete_; }
  // With `resume`: the plan of the dead run whose work is gone on with.
  const std::optional<StagedPlan>& adopted_plan() const { return adopted_plan_; }
  // Where staged files are, and journals belong.
  const std::string& staging_directory() const { return staging_dir_; }

  // Where the files of all ranks of the plan go.
  std::map<int64_t, std::string> FinalPaths() const;

  // Step 5. Returns the path under which the file's payload is to be written, or was by the dead
  // run. Replicas are not created.
  Result<std::string> Create(int64_t rank, const FileFrame& frame);
  // After the last Create. `plan` is that of Begin with its cut. Nothing to do for an adopted one.
  Status SavePlan(const StagedPlan& plan);
  // Steps 6 to 10, with `thread_count` threads. `payload_sums` are the sums of the content hashes
  // of what was written for each rank that was created.
  Status Publish(int thread_count, const std::map<int64_t, Hash128>& payload_sums);

 private:
  struct StagedFile {
    std::string staged_path;
    std::string final_path;
    int64_t size_bytes = 0;     // Without the trailer.
    Hash128 hash = {};          // Of headers, later of everything.
    bool is_published = false;  // By the dead run.
  };

  CheckpointWriter(FileSystem& fs, CheckpointWriterOptions options, StagedPlan plan)
      : fs_(fs), options_(std::move(options)), plan_(std::move(plan)) {}

  // Not begun.
  static Result<std::unique_ptr<CheckpointWriter>> Make(FileSystem& fs,
                                                        CheckpointWriterOptions options,
                                                        StagedPlan plan);
  std::string FinalPath(int64_t rank) const { return relayout::FinalPath(options_, rank); }
  bool IsMine(int64_t rank) const;
  std::string StagedRecordPath(int64_t rank) const;
  std::string StateLockPath() const;
  Status Prepare();
  Status FindMissingDirectories();
  Result<std::unique_ptr<FileLock>> LockState();
  // Step 2.
  Status LookAtDeadStaging();
  Status AdoptOrRemove(const std::string& folder, std::unique_ptr<FileLock> lock);
  Result<bool> IsSetComplete();
  Status MakeStagingDirectory();
  bool IsOther(int64_t rank, const std::string& path) const;
  // Final files that must make way; fails when they may not.
  Result<std::vector<std::string>> FilesToReplace();
  Result<std::vector<std::string>> FilesToReplaceInSet();
  // Was the file of this rank written by a run of our generation?
  Status FilesToReplaceOfRank(int64_t rank, const std::string& folder,
                              std::vector<std::string>& replaced);
  Status FilesToReplaceOfUnified(const std::string& path, std::vector<std::string>& replaced);
  Result<bool> IsSibling(int64_t rank);
  Result<std::vector<std::string>> RecordsToReplace(const std::vector<std::string>& replaced);
  bool IsPublished(int64_t rank, const std::string& path) const;
  std::string StagedPath(int64_t rank) const;
  bool IsStaged(const StagedFile& file) const;
  Result<std::string> FindAdopted(StagedFile& file, const FileFrame& frame);
  Status Finish(StagedFile& file);
  Status AddTrailerHash(StagedFile& file, const std::string& path);
  Status MakeReplicas();
  Status MakeReplica(int64_t replica, int64_t original);
  Status StageRecords();
  // A rename that Rollback undoes.
  Status Move(const std::string& from, const std::string& to);
  Status MoveOldAway(const std::vector<std::string>& replaced);
  Status MoveNewIn(const std::vector<std::string>& replaced);
  Status RemoveEmptyFolders(const std::vector<std::string>& replaced);
  Status SyncAll(const std::set<std::string>& folders);
  Status Rollback(const Status& cause);
  void RemoveEmptyState();

  FileSystem& fs_;
  const CheckpointWriterOptions options_;
  const StagedPlan plan_;
  std::optional<StagedPlan> adopted_plan_;
  bool is_complete_ = false;
  bool is_plan_saved_ = false;
  std::vector<std::string> created_directories_;  // Innermost first.
  std::string state_dir_;
  std::string staging_dir_;
  std::unique_ptr<FileLock> staging_lock_;
  std::map<int64_t, StagedFile> staged_;
  std::vector<std::pair<std::string, std::string>> moves_;
  std::vector<std::string> created_folders_;
};

}  // namespace relayout
