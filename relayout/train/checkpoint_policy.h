// SPDX-License-Identifier: Apache-2.0
//
// When a training saves, under which names, and which of its older files go: MindSpore's rules as
// pure functions.
//
//   CheckpointConfig                          after steps of 8 a epoch, 2 epochs
//   save_checkpoint_steps=3                   net-1_3 net-1_6 net-2_1 net-2_4 net-2_7 net-2_8
//     and keep_checkpoint_max=2               net-2_7 net-2_8
//   save_checkpoint_steps=8                   net-1_8 net-2_8
//
// The name is PREFIX-EPOCH_STEP.ckpt, the step counted within its epoch. The end of training saves
// once more unless its last step was saved. Where the directory holds files of that prefix, the
// training takes PREFIX_1, then PREFIX_2 and so on, so it never overwrites.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/format/file_index.h"
#include "relayout/train/callback.h"
#include "relayout/train/checkpoint_value.h"

namespace relayout {

// What is saved beside the state, in this order.
struct AppendInfo {
  // Set: epoch_num and step_num, as int64. The numbers of this training, which begin at 1, are
  // added to what is given here: 0, or what an earlier training that is gone on with had come to.
  std::optional<int64_t> epoch_num = {};
  std::optional<int64_t> step_num = {};
  std::vector<CheckpointValue> values = {};
};

// As MindSpore's. Left out: async_save, saved_network, encryption, remove_redundancy, crc_check.
struct CheckpointConfig {
  int64_t save_checkpoint_steps = 1;
  int64_t save_checkpoint_seconds = 0;  // Counts only where save_checkpoint_steps is 0.
  int64_t keep_checkpoint_max = 5;
  int64_t keep_checkpoint_per_n_minutes = 0;  // Counts only where keep_checkpoint_max is 0.
  // Each rank saves whole tensors (with pipelines those of its stage) instead of its shards.
  bool integrated_save = true;
  AppendInfo append_info = {};
  FileFormat format = FileFormat::kMindSporeCheckpoint;
};

// The configuration with what does not count set to 0. Where nothing says how many files to keep,
// that is 1; where nothing says when to save, nothing ever is, as in MindSpore. Fails on negative
// numbers, and where all four numbers are 0.
Result<CheckpointConfig> Normalized(CheckpointConfig config);

// Fails on a prefix that holds a '/'.
Status CheckPrefix(std::string_view prefix);

// How many trainings of this prefix have left files in a directory with these names: 0 when there
// are none, else the number that the next one puts behind the prefix.
//   "net" in {net-1_8.ckpt, net_4-1_8.ckpt, net.txt}    5
int64_t NextSuffix(const std::vector<std::string>& file_names, std::string_view prefix);
// "net", 5 -> "net_5"; "net", 0 -> "net".
std::string WithSuffix(std::string_view prefix, int64_t suffix);

// "net-2_8.ckpt".
std::string CheckpointFileName(std::string_view prefix, const TrainingProgress& progress,
                               FileFormat format);

// Times are nanoseconds of one clock.
struct SaveClock {
  int64_t now_ns = 0;
  int64_t last_save_ns = 0;  // Or when training began.
};

// Whether to save after step `step`, the last saved being `last_saved_step` (0: none).
// @pre config is normalized
bool SaveIsDue(const CheckpointConfig& config, int64_t step, int64_t last_saved_step,
               const SaveClock& clock, bool is_end);

// Which of the files of this training, saved at `saved_ns` in ascending order, go when the next one
// is saved now: ascending positions. With keep_checkpoint_max the oldest ones, until the next fits
// in. With keep_checkpoint_per_n_minutes, if the last save is less than n minutes ago: of those of
// the last n minutes all but the oldest.
// @pre config is normalized
std::vector<size_t> FilesToRemove(const CheckpointConfig& config, std::span<const int64_t> saved_ns,
                                  const SaveClock& clock);

}  // namespace relayout
