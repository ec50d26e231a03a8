// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/infer_strategy.h"

#include <utility>

#include "relayout/base/text.h"
#include "relayout/graph/global_batch.h"
#include "relayout/infer/auto/propagation.h"
#include "relayout/infer/auto/search.h"
#include "relayout/infer/optimizer_states.h"
#include "relayout/infer/stage_files.h"

namespace relayout {
namespace {

Status CheckOptions(const InferOptions& options) {
  if (options.device_count < 1) {
    return InvalidInput(
        Format("a network cannot be laid out on {}", Count(options.device_count, "device")));
  }
  if (options.stage_count < 1 || options.device_count % options.stage_count != 0) {
    return InvalidInput(Format("{} cannot be dealt evenly to {}",
                               Count(options.device_count, "device"),
                               Count(options.stage_count, "stage")));
  }
  if (options.stage_count > 1 && options.stage_rules.empty()) {
    return InvalidInput(
        Format("{}, but nothing says which cell is in which", Count(options.stage_count, "stage")));
  }
  if (options.micro_batch_count < 1) {
    return InvalidInput(Format("{} micro batches", options.micro_batch_count));
  }
  constexpr int64_t kMaxDevices = int64_t{1} << 31;  // A layout's limit.
  if (options.device_count / options.stage_count > kMaxDevices) {
    return InvalidInput(Format("{} in a stage; at most 2^31 can be laid out on",
                               Count(options.device_count / options.stage_count, "device")));
  }
  const OptimizerParallel& parallel = options.optimizer_parallel;
  if (parallel.threshold_kib < 0) {
    return InvalidInput(Format("the optimizer's threshold is {} KiB", parallel.threshold_kib));
  }
  if (parallel.group != OptimizerParallel::kAllReplicas && parallel.group < 1) {
    return InvalidInput(Format("an optimizer group of {} devices", parallel.group));
  }
  const int64_t stage_devices = options.device_count / options.stage_count;
  if (parallel.enabled && parallel.group > stage_devices) {
    return InvalidInput(Format("an optimizer group of {} devices, but a stage has {}",
                               parallel.group, stage_devices));
  }
  return OkStatus();
}

Result<std::vector<std::string_view>> StatePrefixes(const InferOptions& options) {
  if (!options.training) return std::vector<std::string_view>{};
  RELAYOUT_ASSIGN_OR_RETURN(std::vector<std::string_view> prefixes,
                            OptimizerStatePrefixes(options.optimizer));
  if (options.stage_count > 1) prefixes.push_back(kAccumulatedGradientPrefix);
  return prefixes;
}

Status Freeze(const std::vector<std::string>& prefixes, Graph& graph) {
  for (const std::string& prefix : prefixes) {
    bool found = false;
    for (const ValueId parameter : graph.parameters()) {
      if (!IsUnder(graph.value(parameter).name, prefix)) continue;
      graph.SetTrained(parameter, false);
      found = true;
    }
    if (!found) {
      return InvalidInput(
          Format("no parameter is called or under '{}', which is to be frozen", Printable(prefix)));
    }
  }
  return OkStatus();
}

// Cuts for all operators of inferred.graph, by options.mode.
Result<Assignment> Assign(const InferOptions& options, int64_t device_count, double state_count,
                          InferredStrategy& inferred) {
  if (options.mode == InferMode::kAnnotated) return AssignAnnotated(inferred.graph, device_count);
  if (options.mode == InferMode::kPropagated) {
    return Propagate(inferred.graph, device_count,
                     {.training = options.training, .full_batch = options.full_batch});
  }
  SearchOptions search;
  search.cost.training = options.training;
  search.cost.full_batch = options.full_batch;
  search.cost.optimizer_parallel = options.optimizer_parallel.enabled;
  search.cost.state_bytes_per_parameter_byte = state_count;
  RELAYOUT_ASSIGN_OR_RETURN(SearchResult found,
                            Search(inferred.graph, device_count, options.machine, search));
  inferred.search = std::make_shared<const SearchResult>(std::move(found));
  return inferred.search->assignment;
}

void SplitAll(const Graph& graph, const OptimizerParallel& parallel,
              std::vector<LaidParameter>& parameters) {
  LayoutPool pool;
  for (LaidParameter& laid : parameters) {
    const Value& value = graph.value(laid.parameter);
    laid.layout = pool.Share(SplitForOptimizer(laid.layout, value.dtype, value.shape, parallel));
  }
}

}  // namespace

Result<InferredStrategy> InferStrategy(const Graph& graph, const InferOptions& options) {
  RELAYOUT_RETURN_IF_ERROR(CheckOptions(options));
  RELAYOUT_ASSIGN_OR_RETURN(const auto state_prefixes, StatePrefixes(options));
  const int64_t device_count = options.device_count / options.stage_count;
  InferredStrategy inferred;
  RELAYOUT_ASSIGN_OR_RETURN(inferred.graph,
                            WithGlobalBatch(graph, options.full_batch ? 1 : device_count));
  if (options.training && options.stage_count > 1) {
    RELAYOUT_ASSIGN_OR_RETURN(inferred.graph,
                              WithMicroBatches(inferred.graph, options.micro_batch_count));
  }
  RELAYOUT_RETURN_IF_ERROR(Freeze(options.frozen, inferred.graph));
  RELAYOUT_ASSIGN_OR_RETURN(inferred.stage_of,
                            AssignStages(inferred.graph, options.stage_rules, options.stage_count));
  const auto state_count = static_cast<double>(state_prefixes.size());
  RELAYOUT_ASSIGN_OR_RETURN(const Assignment assignment,
                            Assign(options, device_count, state_count, inferred));
  RELAYOUT_ASSIGN_OR_RETURN(inferred.layouts, LayOutAll(inferred.graph, assignment, device_count));
  const std::vector<int64_t> one_group(inferred.layouts.size(), 0);
  RELAYOUT_ASSIGN_OR_RETURN(inferred.parameters,
                            LayOutParameters(inferred.graph, inferred.layouts,
                                             options.training ? one_group : inferred.stage_of));
  SplitAll(inferred.graph, options.optimizer_parallel, inferred.parameters);
  inferred.stages = MakeStageFiles({.graph = inferred.graph,
                                    .stage_count = options.stage_count,
                                    .training = options.training,
                                    .layouts = inferred.layouts,
                                    .stage_of = inferred.stage_of,
                                    .parameters = inferred.parameters,
                                    .state_prefixes = state_prefixes});
  return inferred;
}

}  // namespace relayout
