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
#include "relayout/infer/infer_options.h"
#include "relayout/infer/operator_axes.h"
#include "relayout/infer/parameter_layouts.h"

namespace relayout {

struct SearchResult;  // search.h

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
