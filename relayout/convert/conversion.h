// SPDX-License-Identifier: Apache-2.0
//
// Conversion: everything about a transform that is decided before the first byte moves: what the
// source holds, what each target file will hold and where, and which source rank serves what.
// TransformCheckpoints carries it out; a dry run reports it.
//
// With several processes one of them reads, the others receive what it read and decide the same.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/checkpoint/target_names.h"
#include "relayout/comm/comm.h"
#include "relayout/convert/target_files.h"
#include "relayout/convert/transform.h"
#include "relayout/exec/work.h"
#include "relayout/plan/rank_cover.h"
#include "relayout/plan/transfer.h"

namespace relayout {

class Conversion {
 public:
  // Collective: all processes call it with equal requests and agree on the outcome. Reads
  // strategies and headers (on process 0), and as much of the contents as the request's checks
  // want. `fs`, `comm` and `request` must outlive the conversion.
  static Result<std::unique_ptr<Conversion>> Open(FileSystem& fs, Comm& comm,
                                                  const TransformRequest& request);

  const CheckpointSet& source() const { return *source_; }
  const Strategy& target() const { return *target_; }
  const Contents& contents() const { return contents_; }
  FileFormat format() const { return format_; }
  int thread_count() const { return thread_count_; }
  // Only some ranks of the target are wanted.
  bool is_partial() const {
    return !request_.ranks.empty() || (request_.unified && request_.unified->task_count > 1);
  }
  // How the files of the target are called.
  TargetNames names() const;
  // Wanted, ascending.
  const std::vector<int64_t>& target_ranks() const { return target_ranks_; }
  // Ranks whose file equals another one's and is made from it, as the request's replica mode says;
  // none with kCopy. Replica -> original.
  const std::map<int64_t, int64_t>& original_of_replica() const { return original_of_replica_; }
  // Of the wanted ranks that are no replicas, in ascending rank. Paths are for the caller to set.
  std::vector<TargetFile>& files() { return files_; }
  const std::vector<TargetFile>& files() const { return files_; }
  // The file of a wanted rank that is no replica.
  const TargetFile& FileOfRank(int64_t rank) const;
  // Payload of `files`.
  int64_t written_bytes() const;
  // The source ranks whose files are read for the payload.
  const std::set<int64_t>& source_ranks_read() const { return source_ranks_read_; }
  // What the user should know; complete on process 0 only.
  std::vector<Note>& notes() { return notes_; }

  int64_t job_count() const { return static_cast<int64_t>(contents_.values.size()); }
  // How value i moves. Call for all values in order with one chooser: replicas of the source take
  // turns.
  Result<Transfer> Plan(size_t i, ReplicaChooser& chooser) const;
  Result<TransferJob> MakeJob(size_t i, ReplicaChooser& chooser) const;

 private:
  Conversion(FileSystem& fs, Comm& comm, const TransformRequest& request);

  bool is_root() const { return comm_.rank() == 0; }
  bool has_target_strategy() const { return request_.target_strategy_path.has_value(); }
  std::string target_name() const;
  Status Run();
  Status CheckRequest() const;
  Status CheckUnifiedRequest() const;
  // Process 0 reads what the others receive.
  Status Share();
  Status OpenInputs();
  Status CheckIsConversion() const;
  Status CheckRanks();
  Status CheckTargetIsNotSource();
  Status Decide();
  void DecideUnified();
  FileMetadata Metadata() const;
  Status CheckContents();
  Status CheckReplicas();
  Status ChooseSourceRanks();
  void NoteEmptyFiles();
  void FindReplicas();
  Status CheckPlans();
  bool IsHeld(size_t value, int64_t rank) const;
  bool IsAvailable(size_t value, int64_t rank) const;
  bool IsWanted(int64_t rank) const;
  bool IsWritten(int64_t rank) const;

  FileSystem& fs_;
  Comm& comm_;
  const TransformRequest& request_;
  const int thread_count_;
  FileFormat format_ = FileFormat::kMindSporeCheckpoint;
  std::optional<CheckpointSet> source_;
  std::optional<Strategy> target_;
  std::vector<int64_t> target_ranks_;
  Contents contents_;
  std::optional<UnifiedSet> unified_;
  std::optional<RankCover> cover_;
  std::vector<TargetFile> files_;
  std::map<int64_t, int64_t> original_of_replica_;
  std::set<int64_t> source_ranks_read_;
  std::vector<Note> notes_;
};

}  // namespace relayout
