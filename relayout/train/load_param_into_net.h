// SPDX-License-Identifier: Apache-2.0
//
// Puts the values of a checkpoint into the model, on all ranks or on none; MindSpore's
// load_param_into_net.
//
//   RELAYOUT_ASSIGN_OR_RETURN(const LoadReport report,
//                             LoadCheckpointIntoNet(view, fs, "rank_5/net-2_20.ckpt"));
//   report.param_not_load    // {"moments.w"}: the model has it, the file does not
//   report.ckpt_not_load     // {"epoch_num"}: the other way round
//
// Each rank reads its own file, which holds its shards. A value must have the type and shape of the
// shard: rank 5 of 8 with w f32[784,512] @ {a:2,b:2,c:2} (-,b) takes f32[784,256]. Ones at the end
// of the shape do not count, as in MindSpore: [1] goes into [], [12,2048,1,1] into [12,2048].
//
//   the file has w as    what happens
//   f32[784,256]         copied
//   f32[784,512]         the whole tensor: refused, or with slice_whole rank 5 takes its part, so
//                        that all ranks may read one merged file
//   f32[196,512]         refused: saved under another strategy; `relayout transform` converts it
//   f16[784,256]         refused: MindSpore would convert it, which is not asked for here
//
// Names are equal or they are not. MindSpore, when one is missing, goes on to look for any value
// whose name ends in it, which can put moments.w into w.
//
// What the model has and the file lacks stays as it is. That is for the caller to judge, and the
// same on all ranks of a stage, or else a failure: replicas would go on with different values.
// Names beginning with accu_grads are not reported: gradient accumulators of pipelines are nobody's
// state, and are not saved here.
#pragma once

#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/io/file_system.h"
#include "relayout/train/callback.h"
#include "relayout/train/load_checkpoint.h"

namespace relayout {

struct LoadIntoNetOptions {
  // Where a value has the shape of the whole tensor, take this rank's part of it.
  bool slice_whole = false;
};

struct LoadReport {
  std::vector<std::string> param_not_load;  // In the order of the state.
  std::vector<std::string> ckpt_not_load;   // In the order of the file.
};

// Collective: all ranks of view.comm, each with its checkpoint. Fails on all ranks where one cannot
// take a value, naming the tensor, the file, both types and what to do; then the state of no rank
// was touched.
Result<LoadReport> LoadParamIntoNet(const TrainingView& view, const LoadedCheckpoint& checkpoint,
                                    const LoadIntoNetOptions& options = {});

// Collective: LoadCheckpoint and the above. Fails on all ranks where one cannot read its file.
Result<LoadReport> LoadCheckpointIntoNet(const TrainingView& view, FileSystem& fs,
                                         const std::string& path,
                                         const LoadCheckpointOptions& load_options = {},
                                         const LoadIntoNetOptions& options = {});

}  // namespace relayout
