// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/stage_files.h"

#include <map>
#include <string>
#include <utility>

#include "relayout/base/text.h"

namespace relayout {
namespace {

// What MindSpore's counter stands at after one compilation.
constexpr int64_t kCurrentStage = 2;

// MindSpore names what feeds these, a tuple, instead of them.
std::string_view NameInFiles(std::string_view type) {
  return type == "Concat" || type == "Stack" || type == "AddN" ? "MakeTuple" : type;
}

class Maker {
 public:
  explicit Maker(const LaidNetwork& network)
      : network_(network),
        uses_(network.graph.Uses()),
        owner_(network.graph.values().size(), kNobody),
        operators_(static_cast<size_t>(network.stage_count)),
        files_(static_cast<size_t>(network.stage_count)) {
    for (int64_t stage = 0; stage < network.stage_count; ++stage) {
      StrategyFile& file = files_[static_cast<size_t>(stage)];
      file.current_stage = kCurrentStage;
      file.stages.push_back({.stage = stage, .layouts = {}});
    }
  }

  std::vector<StrategyFile> Make() {
    for (const LaidParameter& laid : network_.parameters) AddParameter(laid);
    const auto count = static_cast<OperatorId>(network_.layouts.size());
    for (OperatorId id = 0; id < count; ++id) AddOperator(id);
    if (network_.training) {
      for (OperatorId id = 0; id < count; ++id) AddReceives(id);
    }
    for (size_t stage = 0; stage < files_.size(); ++stage) {
      for (auto& [name, op] : operators_[stage]) files_[stage].operators.push_back(std::move(op));
    }
    return std::move(files_);
  }

 private:
  static constexpr int64_t kNobody = -1;

  int64_t StageOf(OperatorId id) const { return network_.stage_of[static_cast<size_t>(id)]; }
  const Cuts& CutsOf(OperatorId id) const { return network_.layouts[static_cast<size_t>(id)].cuts; }

  void AddParameter(const LaidParameter& laid) {
    const Value& value = network_.graph.value(laid.parameter);
    if (!value.trained) return;
    const int64_t stage = StageOf(laid.user.user);
    owner_[static_cast<size_t>(laid.parameter)] = stage;
    auto& entries = files_[static_cast<size_t>(stage)].stages[0].layouts.parameters;
    const StatedShape shape(value.shape);
    entries.push_back({value.name, laid.layout, shape});
    for (const std::string_view prefix : network_.state_prefixes) {
      entries.push_back({std::string(prefix) + value.name, laid.layout, shape});
    }
  }

  void AddEntry(std::string_view type, ValueId parameter, int64_t stage, const Cuts& cuts) {
    std::string name = Format("{}_{}", type, network_.graph.value(parameter).name);
    operators_[static_cast<size_t>(stage)][name] = {.name = name, .stage = stage, .strategy = cuts};
  }

  void AddOperator(OperatorId id) {
    const Operator& op = network_.graph.op(id);
    const ValueId parameter = TrainedInput(op);
    if (parameter == kNoId || op.type == "Cast") return;
    const int64_t stage = StageOf(id);
    const int64_t owner = owner_[static_cast<size_t>(parameter)];
    if (owner == stage || !network_.training) {
      AddEntry(NameInFiles(op.type), parameter, stage, CutsOf(id));
    } else {
      AddEntry("Receive", parameter, stage, CutsOf(id));
      AddEntry("Send", parameter, owner, CutsOf(id));
    }
  }

  // The first trained parameter among an operator's inputs, also behind Casts; kNoId for none.
  ValueId TrainedInput(const Operator& op) const {
    for (ValueId input : op.inputs) {
      const Value* value = &network_.graph.value(input);
      while (value->role == ValueRole::kResult &&
             network_.graph.op(value->producer).type == "Cast") {
        input = network_.graph.op(value->producer).inputs[0];
        value = &network_.graph.value(input);
      }
      if (value->role == ValueRole::kParameter && value->trained) return input;
    }
    return kNoId;
  }

  // For the results of an operator that later stages read.
  void AddReceives(OperatorId sender) {
    for (const ValueId result : network_.graph.op(sender).outputs) {
      std::vector<bool> done(files_.size(), false);
      for (const Graph::Use& use : uses_[static_cast<size_t>(result)]) {
        const auto stage = static_cast<size_t>(StageOf(use.user));
        if (StageOf(use.user) == StageOf(sender) || done[stage]) continue;
        std::vector<bool> visited(network_.layouts.size(), false);
        const ValueId parameter = FirstParameterFrom(result, StageOf(use.user), visited);
        if (parameter != kNoId) {
          AddEntry("Receive", parameter, StageOf(use.user), CutsOf(sender));
        }
        done[stage] = true;
      }
    }
  }

  // The first trained parameter that an operator of `stage` has on the way on from `value`, or that
  // goes into such an operator's other inputs.
  ValueId FirstParameterFrom(ValueId value, int64_t stage, std::vector<bool>& visited) const {
    std::vector<ValueId> way = {value};
    while (!way.empty()) {
      const ValueId next = way.back();
      way.pop_back();
      for (const Graph::Use& use : uses_[static_cast<size_t>(next)]) {
        if (StageOf(use.user) != stage || visited[static_cast<size_t>(use.user)]) continue;
        visited[static_cast<size_t>(use.user)] = true;
        const Operator& op = network_.graph.op(use.user);
        ValueId parameter = TrainedInput(op);
        if (parameter == kNoId) parameter = ParameterBehind(op, next, stage, visited);
        if (parameter != kNoId) return parameter;
        way.insert(way.end(), op.outputs.begin(), op.outputs.end());
      }
    }
    return kNoId;
  }

  // The first trained parameter from which `stage` makes another input of `op` than `received`.
  ValueId ParameterBehind(const Operator& op, ValueId received, int64_t stage,
                          std::vector<bool>& visited) const {
    std::vector<ValueId> way(op.inputs.rbegin(), op.inputs.rend());
    while (!way.empty()) {
      const ValueId next = way.back();
      way.pop_back();
      const OperatorId producer = network_.graph.value(next).producer;
      if (next == received || producer == kNoId || StageOf(producer) != stage ||
          visited[static_cast<size_t>(producer)]) {
        continue;
      }
      visited[static_cast<size_t>(producer)] = true;
      const Operator& maker = network_.graph.op(producer);
      const ValueId parameter = TrainedInput(maker);
      if (parameter != kNoId) return parameter;
      way.insert(way.end(), maker.inputs.rbegin(), maker.inputs.rend());
    }
    return kNoId;
  }

  const LaidNetwork& network_;
  std::vector<std::vector<Graph::Use>> uses_;
  std::vector<int64_t> owner_;  // Of each value, the stage that has it.
  std::vector<std::map<std::string, StrategyFile::Operator>> operators_;  // By stage.
  std::vector<StrategyFile> files_;
};

}  // namespace

std::vector<StrategyFile> MakeStageFiles(const LaidNetwork& network) {
  return Maker(network).Make();
}

}  // namespace relayout
