// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/infer_strategy.h"

#include <algorithm>
#include <map>
#include <utility>

#include "relayout/base/text.h"
#include "relayout/infer/optimizer_states.h"
#include "relayout/infer/parameter_layouts.h"

namespace relayout {
namespace {

// What MindSpore's counter stands at after one compilation.
constexpr int64_t kCurrentStage = 2;

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

class StageFiles {
 public:
  StageFiles(const Graph& graph, const InferOptions& options,
             const std::vector<OperatorLayout>& layouts, const std::vector<int64_t>& stages,
             std::vector<std::string_view> state_prefixes)
      : graph_(graph),
        options_(options),
        layouts_(layouts),
        stages_(stages),
        state_prefixes_(std::move(state_prefixes)),
        files_(static_cast<size_t>(options.stage_count)) {
    for (int64_t stage = 0; stage < options.stage_count; ++stage) {
      StrategyFile& file = files_[static_cast<size_t>(stage)];
      file.current_stage = kCurrentStage;
      file.stages.push_back({.stage = stage, .layouts = {}});
    }
  }

  std::vector<StrategyFile> Make(const std::vector<LaidParameter>& parameters) {
    for (const LaidParameter& laid : parameters) AddParameter(laid);
    AddOperators();
    return std::move(files_);
  }

 private:
  void AddParameter(const LaidParameter& laid) {
    const Value& value = graph_.value(laid.parameter);
    if (!value.trained) return;
    const Layout layout = pool_.Share(
        SplitForOptimizer(laid.layout, value.dtype, value.shape, options_.optimizer_parallel));
    const auto stage = static_cast<size_t>(stages_[static_cast<size_t>(laid.user.user)]);
    auto& entries = files_[stage].stages[0].layouts.parameters;
    entries.push_back({value.name, layout, value.shape});
    for (const std::string_view prefix : state_prefixes_) {
      entries.push_back({std::string(prefix) + value.name, layout, value.shape});
    }
  }

  // Operators that have a parameter: "MatMul_layer1.weight" and their cuts. As in MindSpore, the
  // last one of a name stands.
  void AddOperators() {
    std::vector<std::map<std::string, StrategyFile::Operator>> of_stage(files_.size());
    for (size_t id = 0; id < layouts_.size(); ++id) {
      const Operator& op = graph_.operators()[id];
      const auto parameter =
          std::find_if(op.inputs.begin(), op.inputs.end(), [this](ValueId input) {
            const Value& value = graph_.value(input);
            return value.role == ValueRole::kParameter && value.trained;
          });
      if (parameter == op.inputs.end()) continue;
      const int64_t stage = stages_[id];
      std::string name = Format("{}_{}", op.type, graph_.value(*parameter).name);
      of_stage[static_cast<size_t>(stage)][name] = {
          .name = name, .stage = stage, .strategy = layouts_[id].cuts};
    }
    for (size_t stage = 0; stage < files_.size(); ++stage) {
      for (auto& [name, op] : of_stage[stage]) files_[stage].operators.push_back(std::move(op));
    }
  }

  const Graph& graph_;
  const InferOptions& options_;
  const std::vector<OperatorLayout>& layouts_;
  const std::vector<int64_t>& stages_;
  const std::vector<std::string_view> state_prefixes_;
  std::vector<StrategyFile> files_;
  LayoutPool pool_;
};

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
      if (!graph.value(parameter).name.starts_with(prefix)) continue;
      graph.SetTrained(parameter, false);
      found = true;
    }
    if (!found) {
      return InvalidInput(
          Format("no parameter begins with '{}', which is to be frozen", Printable(prefix)));
    }
  }
  return OkStatus();
}

}  // namespace

Result<InferredStrategy> InferStrategy(const Graph& graph, const InferOptions& options) {
  RELAYOUT_RETURN_IF_ERROR(CheckOptions(options));
  RELAYOUT_ASSIGN_OR_RETURN(auto state_prefixes, StatePrefixes(options));
  InferredStrategy inferred;
  inferred.graph = graph;
  RELAYOUT_RETURN_IF_ERROR(Freeze(options.frozen, inferred.graph));
  const int64_t device_count = options.device_count / options.stage_count;
  RELAYOUT_ASSIGN_OR_RETURN(inferred.stage_of,
                            AssignStages(inferred.graph, options.stage_rules, options.stage_count));
  RELAYOUT_ASSIGN_OR_RETURN(const Assignment assignment,
                            AssignAnnotated(inferred.graph, device_count));
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<OperatorLayout> layouts,
                            LayOutAll(inferred.graph, assignment, device_count));
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<LaidParameter> parameters,
                            LayOutParameters(inferred.graph, layouts));
  for (const OperatorLayout& layout : layouts) inferred.cuts.push_back(layout.cuts);
  inferred.stages =
      StageFiles(inferred.graph, options, layouts, inferred.stage_of, std::move(state_prefixes))
          .Make(parameters);
  return inferred;
}

}  // namespace relayout
