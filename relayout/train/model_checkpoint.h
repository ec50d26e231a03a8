// SPDX-License-Identifier: Apache-2.0
//
// ModelCheckpoint: saves checkpoints during training, as MindSpore's callback of this name.
//
//   ModelCheckpoint save(fs, "checkpoint", Format("src_checkpoints/rank_{}", rank),
//                        {.save_checkpoint_steps = 20, .integrated_save = false});
//
//   src_checkpoints/rank_0/checkpoint-1_20.ckpt    on each rank after 20 and after 40 steps; of
//   src_checkpoints/rank_0/checkpoint-2_20.ckpt    those that it saved the newest 5 are kept
//
// As in MindSpore each rank names its own directory; two ranks with one are refused. When it saves,
// under which names and what goes is in checkpoint_policy.h. All ranks take the same decisions, so
// that what remains are whole sets: they number a set alike (_1, _2 ... where any rank has older
// files), and where time counts it is that of rank 0.
//
// # A save
//
//   1. each rank writes its file under a temporary name, and fsyncs it
//   2. Agree: a disk that is full on one rank leaves no new file on any
//   3. each rank renames its file; Agree. A rank that fails here leaves an older set to go on with:
//      readers take the newest step that all ranks have
//   4. each rank removes the older files that are due
//
// A failure ends training on all ranks and names the rank and file. Older checkpoints are removed
// only when the new set is whole. (MindSpore removes first.) What cannot be removed is tried again
// at each save, and reported at the end.
//
// # What is in a file
//
// The state in its order, this rank's shards; or with integrated_save whole tensors, gathered one
// by one (with pipelines those of the stage, where MindSpore refuses). Then what append_info names.
// MindSpore's accu_grads are not state here and not saved, nor is its PREFIX-graph.meta written.
// What other programs leave beside checkpoints (MindFormers' meta.json) is none of MindSpore's
// either.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/io/file_system.h"
#include "relayout/train/callback.h"
#include "relayout/train/checkpoint_policy.h"
#include "relayout/train/save_checkpoint.h"

namespace relayout {

// Nanoseconds since any moment, never going back.
using NanosecondClock = std::function<int64_t()>;
NanosecondClock SteadyClock();

class ModelCheckpoint final : public Callback {
 public:
  // Looks at nothing; a configuration that makes no sense fails when training begins. `fs` must
  // outlive the callback.
  explicit ModelCheckpoint(FileSystem& fs, std::string prefix = "CKP", std::string directory = ".",
                           CheckpointConfig config = {}, NanosecondClock clock = SteadyClock());

  // Creates the directory and settles the prefix, anew for each training.
  Status OnBegin(const TrainingView& view) override;
  Status OnStepEnd(const TrainingView& view, const TrainingProgress& progress) override;
  Status OnEnd(const TrainingView& view, const TrainingProgress& progress) override;

  // The path of the last file saved; empty before.
  const std::string& latest_file() const { return latest_file_; }

 private:
  struct SavedFile {
    std::string path;
    int64_t saved_ns = 0;
  };

  Status PrepareDirectory(int64_t& suffix, std::string& identity);
  Status SaveIfDue(const TrainingView& view, const TrainingProgress& progress, bool is_end);
  Result<int64_t> SharedNow(const TrainingView& view);
  Status Save(const TrainingView& view, const TrainingProgress& progress, int64_t now_ns);
  Status WriteState(const TrainingView& view, NewCheckpoint* file, Status& mine);
  void ScheduleRemovals(int64_t now_ns);
  // The first failure, if any.
  Status RemoveOld();

  FileSystem& fs_;
  const std::string prefix_;
  const std::string directory_;
  const CheckpointConfig given_config_;
  const NanosecondClock clock_;

  // Of this training. Times count from its beginning, but for begin_ns_.
  int64_t begin_ns_ = 0;
  CheckpointConfig config_;
  std::string settled_prefix_;
  int64_t last_saved_step_ = 0;
  int64_t last_save_ns_ = 0;
  std::vector<SavedFile> saved_;        // Ascending.
  std::vector<std::string> to_remove_;  // Paths.
  std::string latest_file_;
};

}  // namespace relayout
