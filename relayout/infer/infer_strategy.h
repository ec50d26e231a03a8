// SPDX-License-Identifier: Apache-2.0
//
// A network's strategy file, without the cluster that MindSpore needs to write it.
//
//   InferOptions options;
//   options.device_count = 8;
//   RELAYOUT_ASSIGN_OR_RETURN(const Graph graph, ReadMindir(fs, "net.mindir"));
//   RELAYOUT_ASSIGN_OR_RETURN(const InferredStrategy inferred, InferStrategy(graph, options));
//   SerializeStrategyProtobuf(inferred.stages[0])
//
// Steps: (1) the batch that all devices of a stage see together; (2) cuts for every operator:
// annotated, propagated or searched; (3) parameters lie as their users need them; (4) the optimizer
// splits what qualifies; (5) its states lie as their parameters; (6) a file a stage.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/format/strategy_file.h"
#include "relayout/graph/graph.h"
#include "relayout/infer/assignment.h"
#include "relayout/infer/auto/machine_model.h"
#include "relayout/infer/optimizer_split.h"
#include "relayout/infer/parameter_layouts.h"
#include "relayout/infer/stages.h"

namespace relayout {

struct SearchResult;  // search.h

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

struct InferredStrategy {
  // A file a stage, as MindSpore writes it.
  std::vector<StrategyFile> stages;
  // The network as it was laid out, with the batch of all devices.
  Graph graph;
  // By OperatorId: its tensors on the devices of its stage, and which that is.
  std::vector<OperatorLayout> layouts;
  std::vector<int64_t> stage_of;
  // With the optimizer's split; see LayOutParameters.
  std::vector<LaidParameter> parameters;
  // What the search found and weighed; only for kSearched.
  std::shared_ptr<const SearchResult> search;
};

// Fails when the network and the options contradict each other; the message names the operator, the
// tensor and both numbers.
Result<InferredStrategy> InferStrategy(const Graph& graph, const InferOptions& options);

}  // namespace relayout
