// SPDX-License-Identifier: Apache-2.0
//
// What a network's strategy is worked out for: how many devices, who chooses the cuts, and what
// MindSpore's set_auto_parallel_context says. See infer_strategy.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "relayout/infer/auto/machine_model.h"
#include "relayout/infer/optimizer_split.h"
#include "relayout/infer/stages.h"

namespace relayout {

enum class InferMode {
  kAnnotated,   // Semi-auto parallel: as annotated, the batch cut by all devices elsewhere.
  kPropagated,  // Auto parallel, search_mode sharding_propagation.
  kSearched,    // Auto parallel by our own cost model.
};

struct InferOptions {
  int64_t device_count = 1;
  // False: a network for inference, whose strategy has no optimizer's states.
  bool training = true;
  std::string optimizer = "sgd";  // See OptimizerNames().
  OptimizerParallel optimizer_parallel;
  // True: each device is fed the whole batch, and the network was exported for that. False: each is
  // fed its part, the network was exported for that part, and all devices together see a batch so
  // many times as large.
  bool full_batch = false;
  int64_t stage_count = 1;
  std::vector<StageRule> stage_rules;
  // Into how many parts a pipeline deals the batch in training. No shard depends on it, only which
  // mesh of equal shards is written where a part's rows do not divide by the devices.
  int64_t micro_batch_count = 1;
  // Parameters, or cells of parameters, that are not trained (requires_grad=False), which a
  // network's file does not say. They are in no strategy.
  std::vector<std::string> frozen;
  InferMode mode = InferMode::kAnnotated;
  // What cuts are priced by, for kSearched.
  MachineModel machine;
};

}  // namespace relayout
