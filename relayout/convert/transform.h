// SPDX-License-Identifier: Apache-2.0
//
// Transform: a checkpoint saved under one strategy becomes the checkpoint of another. The main job.
//
// MindSpore's transform_checkpoints and transform_checkpoint_by_rank, with their rules for folders
// and names, for any number of ranks on both sides:
//
//   TransformRequest request;
//   request.source.path = "src_checkpoints";               // rank_0 ... rank_7
//   request.source.strategy_path = "src_strategy.ckpt";
//   request.target_strategy_path = "dst_strategy.ckpt";
//   request.target_directory = "dst_checkpoints";          // rank_0/checkpoint_0.ckpt ...
//   Result<TransformReport> report = TransformCheckpoints(fs, request);
//
// OK means that every file is there, whole, durable (unless sync is off) and right. On any failure
// no file has its final name and nothing that was there before is lost.
//
// Several processes (mpirun) share one conversion: process 0 reads headers and sends what it read,
// the work is dealt out in chunks of bytes, and the files are the same for any number of processes
// and threads. Or each process writes target ranks of its own: then their requests differ in these.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/checkpoint/writer.h"
#include "relayout/comm/comm.h"
#include "relayout/convert/checkpoint_set.h"
#include "relayout/convert/contents.h"
#include "relayout/convert/unified.h"
#include "relayout/exec/progress.h"
#include "relayout/format/file_index.h"
#include "relayout/io/file_system.h"

namespace relayout {

struct TransformRequest {
  // --- What ---
  CheckpointSetSpec source;
  // A strategy file or a folder of stage files. Nothing: one rank that holds every tensor whole.
  std::optional<std::string> target_strategy_path;
  // Target ranks to write; empty = all. Source folders that these do not need may be missing.
  std::vector<int64_t> ranks;
  ContentsOptions contents;
  // Compare all replicas of the source bit by bit first; any difference is an error that names the
  // ranks.
  bool check_replicas = false;
  // Do not ask whether the files' contents fit the source strategy; see plausibility.h.
  bool trust_strategy = false;
  // Check the CRC trailers of source files that carry one.
  bool check_crc = true;

  // --- Where to ---
  std::string target_directory;
  // Instead of target_directory, for exactly one rank: the file to write.
  std::string target_file;
  std::string prefix = "checkpoint_";
  // The name of every rank's file, without its extension, instead of <prefix><rank>.
  std::string file_name;
  // Write a unified set instead: the whole model in few files; see unified.h.
  std::optional<UnifiedOptions> unified;
  // Nothing: the source's format, or what target_file's name says.
  std::optional<FileFormat> format;
  bool overwrite = false;
  // Files in the target's rank folders that have no name of this set are neither in the way nor
  // replaced: several sets lie side by side there, as MindSpore lets them.
  bool keep_others = false;
  bool sync = true;
  bool crc_trailer = false;
  // Target ranks whose files are equal in every byte (data parallel): written each, or once.
  ReplicaMode replica_mode = ReplicaMode::kCopy;
  // Each value is stored by one of the ranks that hold the same shard, as MindSpore's
  // save_checkpoint does with remove_redundancy; see redundancy.h.
  bool remove_redundancy = false;
  // Go on where an equal conversion was killed or stopped, if there was one, and leave what this
  // one has done when it is stopped. Fails when the sources, strategies or options have changed.
  bool resume = false;

  // --- Performance ---
  int thread_count = 0;  // 0: one for each processor.
  int64_t memory_bytes = kDefaultMemoryBytes;
  Progress* progress = nullptr;
};

struct TransformReport {
  bool is_shared = true;  // False: this process wrote ranks of its own, and others theirs.
  std::map<int64_t, std::string> file_of_rank;
  int64_t source_rank_count = 0;
  bool source_is_unified = false;
  int64_t target_rank_count = 0;  // Of a unified set: its files, which file_of_rank numbers.
  bool is_unified = false;
  std::vector<int64_t> source_ranks_read;
  int64_t value_count = 0;    // Distinct values of the target set.
  int64_t source_bytes = 0;   // Size of all source files.
  int64_t read_bytes = 0;     // Payload.
  int64_t written_bytes = 0;  // Payload, replicas counted.
  int64_t target_bytes = 0;   // Size of all target files.
  int64_t resumed_bytes = 0;  // Payload that an earlier run had written.
  bool is_complete = false;   // An earlier run had published everything: nothing was done.
  std::optional<TrainingStep> step;
  std::vector<Note> notes;
};

// Collective; the report is complete on process 0, and on each where they write ranks of their own.
Result<TransformReport> TransformCheckpoints(FileSystem& fs, Comm& comm,
                                             const TransformRequest& request);
// By this process alone.
Result<TransformReport> TransformCheckpoints(FileSystem& fs, const TransformRequest& request);

}  // namespace relayout
