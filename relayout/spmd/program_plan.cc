// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/program_plan.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "relayout/base/check.h"
#include "relayout/base/text.h"
#include "relayout/infer/infer_strategy.h"
#include "relayout/spmd/network_facts.h"

namespace relayout {
namespace {

using Contribution = ProgramPlan::Contribution;
using Memory = ProgramPlan::Memory;
constexpr int kNone = ProgramPlan::kNone;

// A tensor with its gradient: a value in one layout.
struct Slot {
  int tensor = kNone;
  int gradient = kNone;
  bool has_gradient = false;
  Memory gradient_memory;
};

// A value as it is found, or as somebody needs it.
struct Located {
  Layout layout;
  std::vector<int> axes;  // Of a home, those of a sum of terms; of a use, those of its gradient's.
  size_t slot = 0;
};

class Planner {
 public:
  Planner(const ProgramRequest& request, const ParameterStore& parameters,
          const NetworkFacts& facts)
      : request_(request), parameters_(parameters), facts_(facts), graph_(facts.graph()) {
    homes_.resize(graph_.values().size());
    uses_.resize(graph_.values().size());
  }

  Result<ProgramPlan> Run() {
    RELAYOUT_RETURN_IF_ERROR(Receive());
    for (size_t id = 0; id < graph_.operators().size(); ++id) {
      const auto op = static_cast<OperatorId>(id);
      if (facts_.StageOf(op) == stage()) RELAYOUT_RETURN_IF_ERROR(AddRun(op));
    }
    RELAYOUT_RETURN_IF_ERROR(GiveOn());
    RELAYOUT_RETURN_IF_ERROR(MakeResults());
    if (request_.training) PlanBackward();
    return std::move(plan_);
  }

 private:
  int64_t stage() const { return request_.place.stage; }
  int64_t rank() const { return request_.place.local_rank(); }

  // ---------------------------------------------------------------------------------- memory

  size_t AddSlot(const Memory& memory, bool has_gradient) {
    plan_.tensors.push_back(memory);
    is_read_elsewhere_.push_back(false);
    return AddSlotOn(static_cast<int>(plan_.tensors.size()) - 1, memory, has_gradient);
  }
  size_t AddSlotOn(int tensor, const Memory& memory, bool has_gradient) {
    slots_.push_back({.tensor = tensor, .has_gradient = has_gradient, .gradient_memory = memory});
    return slots_.size() - 1;
  }

  Result<Box> BoxOf(ValueId id, const Layout& layout) const {
    auto partition = Partition::Create(layout, graph_.value(id).shape);
    if (!partition.ok()) return partition.status().WithContext(Describe(graph_, id));
    return partition->BoxOf(layout.CellOf(rank()));
  }

  Result<Memory> MemoryOf(ValueId id, const Layout& layout, Memory::Kind kind) const {
    RELAYOUT_ASSIGN_OR_RETURN(const Box box, BoxOf(id, layout));
    return Memory{.kind = kind, .dtype = graph_.value(id).dtype, .shape = box.shape()};
  }

  // -------------------------------------------------------------------------- homes and uses

  std::optional<Located>& HomeOf(ValueId id) { return homes_[static_cast<size_t>(id)]; }

  // Where an operator's result is for all who need it in another layout than it is made in.
  Layout HomeLayoutOf(ValueId id) const {
    const Value& value = graph_.value(id);
    const PreparedOperator& producer = facts_.prepared(value.producer);
    const auto index = static_cast<size_t>(value.output_index);
    if (producer.SumAxes(index).empty()) return producer.layout.outputs[index];
    return request_.network->layouts[static_cast<size_t>(value.producer)].outputs[index];
  }

  Layout FedLayout(const Value& value) const {
    const int64_t ranks = request_.place.stage_ranks();
    if (request_.full_batch || value.shape.empty()) {
      return Layout::Replicated(ranks, value.shape.size());
    }
    LayoutSpec spec;
    spec.mesh = {ranks};
    spec.dim_axes.resize(value.shape.size());
    spec.dim_axes[0] = {0};
    auto layout = Layout::Create(std::move(spec));
    RELAYOUT_CHECK(layout.ok());
    return *std::move(layout);
  }

  Status MakeHome(ValueId id) {
    const Value& value = graph_.value(id);
    if (value.role == ValueRole::kInput) return MakeFeed(id);
    if (value.role == ValueRole::kConstant) {
      const Layout layout = Layout::Replicated(request_.place.stage_ranks(), value.shape.size());
      RELAYOUT_ASSIGN_OR_RETURN(const Memory memory, MemoryOf(id, layout, Memory::Kind::kStep));
      HomeOf(id) = {layout, {}, AddSlot(memory, false)};
      plan_.constants.emplace_back(slots_.back().tensor, id);
      return OkStatus();
    }
    if (value.role == ValueRole::kParameter) return FindParameter(id);
    return InvalidInput(
        Format("{} is used in stage {} but made in stage {}; a pipeline only goes on",
               Describe(graph_, id), stage(), facts_.OriginOf(id)));
  }

  Status MakeFeed(ValueId id) {
    const Layout layout = FedLayout(graph_.value(id));
    RELAYOUT_ASSIGN_OR_RETURN(const Memory memory, MemoryOf(id, layout, Memory::Kind::kFrame));
    RELAYOUT_ASSIGN_OR_RETURN(const Box box, BoxOf(id, layout));
    HomeOf(id) = {layout, {}, AddSlot(memory, false)};
    plan_.feeds.push_back(
        {.value = id, .name = graph_.value(id).name, .box = box, .tensor = slots_.back().tensor});
    return OkStatus();
  }

  Status FindParameter(ValueId id) {
    const auto& shards = parameters_.shards();
    const auto found = std::ranges::find(shards, graph_.value(id).name, &ParameterShard::name);
    if (found == shards.end()) {
      return InvalidInput(
          Format("{} is used in stage {} but belongs to stage {}; the first stage that uses a "
                 "parameter must be its first user's in the order of the network",
                 Describe(graph_, id), stage(), facts_.OriginOf(id)));
    }
    const Memory memory{.kind = Memory::Kind::kParameter,
                        .dtype = found->value.dtype(),
                        .shape = found->value.shape(),
                        .parameter = static_cast<size_t>(found - shards.begin())};
    HomeOf(id) = {found->layout, {}, AddSlot(memory, facts_.HasGradient(id))};
    return OkStatus();
  }

  // The slot in which the value lies in `layout`, where its gradient is a term along `partial`.
  Result<size_t> Fetch(ValueId id, const Layout& layout, std::vector<int> partial) {
    if (!HomeOf(id)) RELAYOUT_RETURN_IF_ERROR(MakeHome(id));
    const Located& home = *HomeOf(id);
    if (!slots_[home.slot].has_gradient) partial.clear();
    const bool is_there = home.axes.empty() && HoldSameShards(home.layout, layout);
    if (is_there && partial.empty()) return home.slot;
    auto& uses = uses_[static_cast<size_t>(id)];
    for (const Located& use : uses) {
      if (use.layout == layout && use.axes == partial) return use.slot;
    }
    RELAYOUT_ASSIGN_OR_RETURN(const size_t slot,
                              AddMove(id, home, {layout, std::move(partial), 0}, is_there));
    return slot;
  }

  Result<size_t> AddMove(ValueId id, const Located& home, Located use, bool is_there) {
    const Slot from = slots_[home.slot];
    const bool step_wide = from.gradient_memory.kind != Memory::Kind::kFrame;
    const Memory::Kind kind = step_wide ? Memory::Kind::kStep : Memory::Kind::kFrame;
    RELAYOUT_ASSIGN_OR_RETURN(const Memory memory, MemoryOf(id, use.layout, kind));
    // The same elements for users with gradients of another kind.
    int tensor = is_there ? from.tensor : kNone;
    auto& uses = uses_[static_cast<size_t>(id)];
    for (const Located& other : uses) {
      if (tensor == kNone && other.layout == use.layout) tensor = slots_[other.slot].tensor;
    }
    const bool moves = tensor == kNone;
    use.slot =
        moves ? AddSlot(memory, from.has_gradient) : AddSlotOn(tensor, memory, from.has_gradient);
    const RedistributionRequest request{.shape = graph_.value(id).shape,
                                        .from = home.layout,
                                        .to = use.layout,
                                        .first_rank = request_.place.first_rank(),
                                        .sum_axes = home.axes};
    ProgramPlan::Move& made = plan_.moves.emplace_back();
    if (moves) {
      RELAYOUT_ASSIGN_OR_RETURN(made.forward, Plan(id, request));
      made.from = from.tensor;
      made.to = slots_[use.slot].tensor;
    }
    if (from.has_gradient) {
      RELAYOUT_ASSIGN_OR_RETURN(made.backward, Plan(id, Backward(request, use.axes)));
    }
    pending_moves_.push_back({.from_slot = home.slot, .to_slot = use.slot});
    auto& steps = step_wide ? plan_.parameter_steps : plan_.steps;
    steps.push_back({.move = static_cast<int>(plan_.moves.size()) - 1});
    uses.push_back(use);
    return use.slot;
  }

  Result<RedistributionPlan> Plan(ValueId id, const RedistributionRequest& request) const {
    auto plan = PlanRedistribution(request, rank());
    if (!plan.ok()) return plan.status().WithContext(Describe(graph_, id));
    return plan;
  }

  // ------------------------------------------------------------------------------- operators

  Status AddRun(OperatorId id) {
    const Operator& op = graph_.op(id);
    const PreparedOperator& prepared = facts_.prepared(id);
    ProgramPlan::Run run{.kernel = prepared.kernel};
    run.at = {.graph = &graph_, .op = &op, .layout = prepared.layout, .local_rank = rank()};
    PendingRun pending;
    for (size_t i = 0; i < op.inputs.size(); ++i) {
      const Layout& layout = prepared.layout.inputs[i];
      RELAYOUT_ASSIGN_OR_RETURN(Box box, BoxOf(op.inputs[i], layout));
      run.at.input_boxes.push_back(std::move(box));
      RELAYOUT_ASSIGN_OR_RETURN(
          const size_t slot, Fetch(op.inputs[i], layout, PartialAxesOfInput(prepared.layout, i)));
      pending.input_slots.push_back(slot);
      run.inputs.push_back(slots_[slot].tensor);
    }
    for (size_t i = 0; i < op.outputs.size(); ++i) {
      RELAYOUT_ASSIGN_OR_RETURN(Box box, BoxOf(op.outputs[i], prepared.layout.outputs[i]));
      run.at.output_boxes.push_back(std::move(box));
    }
    const Sharing sharing = SharingOf(op, prepared, run.at, pending.input_slots);
    pending.shares_gradient = sharing.gradient;
    const auto number = static_cast<int>(plan_.runs.size());
    for (size_t i = 0; i < op.outputs.size(); ++i) {
      RELAYOUT_ASSIGN_OR_RETURN(
          const Memory memory,
          MemoryOf(op.outputs[i], prepared.layout.outputs[i], Memory::Kind::kFrame));
      const bool has_gradient = facts_.HasGradient(op.outputs[i]);
      const size_t slot = i == 0 && sharing.memory
                              ? AddSharedSlot(run.inputs[0], sharing, memory, has_gradient)
                              : AddSlot(memory, has_gradient);
      pending.output_slots.push_back(slot);
      run.outputs.push_back(slots_[slot].tensor);
      HomeOf(op.outputs[i]) = {prepared.layout.outputs[i], prepared.SumAxes(i), slot};
    }
    plan_.runs.push_back(std::move(run));
    pending_runs_.push_back(std::move(pending));
    plan_.steps.push_back({.run = number});
    for (const ValueId output : op.outputs) RELAYOUT_RETURN_IF_ERROR(SumWhereNeeded(output));
    return OkStatus();
  }

  // What output 0 shares with input 0.
  struct Sharing {
    bool memory = false;
    bool gradient = false;
    bool may_overwrite = false;  // Nobody else reads that memory, now or backward.
  };

  Sharing SharingOf(const Operator& op, const PreparedOperator& prepared, const RankOperator& at,
                    const std::vector<size_t>& input_slots) const {
    const OperatorKernel& kernel = *prepared.kernel;
    if (!(kernel.in_place || kernel.is_view) || input_slots.empty()) return {};
    const auto tensor = static_cast<size_t>(slots_[input_slots[0]].tensor);
    const Memory& memory = plan_.tensors[tensor];
    const bool fits = kernel.is_view || at.input_boxes[0].shape() == at.output_boxes[0].shape();
    if (!fits || memory.kind != Memory::Kind::kFrame ||
        memory.dtype != graph_.value(op.outputs[0]).dtype) {
      return {};
    }
    const ValueId input = op.inputs[0];
    const bool is_alone = graph_.value(input).role == ValueRole::kResult &&
                          facts_.UseCountOf(input) == 1 && facts_.OriginOf(input) == stage();
    const bool may_overwrite = is_alone && !is_read_elsewhere_[tensor] && !IsRead(prepared, input);
    if (!kernel.is_view && !may_overwrite) return {};
    return {.memory = true, .gradient = is_alone, .may_overwrite = may_overwrite};
  }

  // Whether backward reads a value, of its producer or of its only user.
  bool IsRead(const PreparedOperator& user, ValueId id) const {
    if (!request_.training) return false;
    const Value& value = graph_.value(id);
    const uint32_t read = facts_.prepared(value.producer).kernel->reads_outputs;
    return (user.kernel->reads_inputs & 1U) != 0 || ((read >> value.output_index) & 1U) != 0;
  }

  // A slot in the memory of a tensor; a tensor of its own where it has another shape.
  size_t AddSharedSlot(int tensor, const Sharing& sharing, Memory memory, bool has_gradient) {
    const auto index = static_cast<size_t>(tensor);
    const bool is_read_elsewhere = is_read_elsewhere_[index] || !sharing.may_overwrite;
    if (plan_.tensors[index].shape == memory.shape &&
        is_read_elsewhere_[index] == is_read_elsewhere) {
      return AddSlotOn(tensor, memory, has_gradient);
    }
    memory.shares = tensor;
    const size_t slot = AddSlot(memory, has_gradient);
    slots_[slot].gradient_memory.shares = kNone;
    is_read_elsewhere_.back() = is_read_elsewhere;
    return slot;
  }

  // A sum of terms that several need, perhaps in several layouts, is made first.
  Status SumWhereNeeded(ValueId id) {
    const Located home = *HomeOf(id);
    const bool has_several_uses = facts_.LastUseOf(id) > stage() || facts_.UseCountOf(id) > 1;
    if (home.axes.empty() || !has_several_uses) return OkStatus();
    RELAYOUT_ASSIGN_OR_RETURN(const size_t slot, Fetch(id, HomeLayoutOf(id), {}));
    HomeOf(id) = {HomeLayoutOf(id), {}, slot};
    return OkStatus();
  }

  // ------------------------------------------------------------------------ between the stages

  Status Receive() {
    for (size_t v = 0; v < graph_.values().size(); ++v) {
      const auto id = static_cast<ValueId>(v);
      if (!facts_.Crosses(id, stage())) continue;
      const bool is_parameter = graph_.value(id).role == ValueRole::kParameter;
      const Layout layout =
          is_parameter ? *facts_.StoredLayoutOf(id, facts_.OriginOf(id)) : HomeLayoutOf(id);
      RELAYOUT_ASSIGN_OR_RETURN(
          const Memory memory,
          MemoryOf(id, layout, is_parameter ? Memory::Kind::kStep : Memory::Kind::kFrame));
      HomeOf(id) = {layout, {}, AddSlot(memory, facts_.HasGradient(id))};
      auto& passages = is_parameter ? plan_.previous.parameters : plan_.previous.values;
      passages.push_back({.value = id, .tensor = slots_.back().tensor});
    }
    return OkStatus();
  }

  Status GiveOn() {
    for (size_t v = 0; v < graph_.values().size(); ++v) {
      const auto id = static_cast<ValueId>(v);
      if (!facts_.Crosses(id, stage() + 1)) continue;
      if (!HomeOf(id)) RELAYOUT_RETURN_IF_ERROR(MakeHome(id));
      const bool is_parameter = graph_.value(id).role == ValueRole::kParameter;
      auto& passages = is_parameter ? plan_.next.parameters : plan_.next.values;
      passages.push_back({.value = id, .tensor = slots_[HomeOf(id)->slot].tensor});
    }
    return OkStatus();
  }

  Status MakeResults() {
    for (size_t i = 0; i < graph_.results().size(); ++i) {
      const ValueId id = graph_.results()[i];
      if (facts_.OriginOf(id) != stage()) continue;
      const Layout whole =
          Layout::Replicated(request_.place.stage_ranks(), graph_.value(id).shape.size());
      RELAYOUT_ASSIGN_OR_RETURN(const size_t slot, Fetch(id, whole, {}));
      plan_.results.push_back({.index = i, .tensor = slots_[slot].tensor});
      result_slots_.push_back(slot);
    }
    return OkStatus();
  }

  // -------------------------------------------------------------------------------- backward

  Contribution Contribute(size_t slot_number) {
    Slot& slot = slots_[slot_number];
    if (!slot.has_gradient) return {};
    const bool adds = slot.gradient != kNone;
    if (!adds) {
      plan_.gradients.push_back(slot.gradient_memory);
      slot.gradient = static_cast<int>(plan_.gradients.size()) - 1;
    }
    return {slot.gradient, adds};
  }

  void PlanBackward() {
    for (size_t i = 0; i < plan_.results.size(); ++i) {
      plan_.results[i].gradient = Contribute(result_slots_[i]);
    }
    for (auto& passage : plan_.next.values) {
      passage.gradient = Contribute(HomeOf(passage.value)->slot);
    }
    for (size_t i = plan_.steps.size(); i-- > 0;) PlanBackward(plan_.steps[i]);
    for (auto& passage : plan_.next.parameters) {
      passage.gradient = Contribute(HomeOf(passage.value)->slot);
    }
    for (size_t i = plan_.parameter_steps.size(); i-- > 0;) PlanBackward(plan_.parameter_steps[i]);
    for (auto* passages : {&plan_.previous.values, &plan_.previous.parameters}) {
      for (auto& passage : *passages) passage.gradient = Contribute(HomeOf(passage.value)->slot);
    }
  }

  void PlanBackward(const ProgramPlan::Step& step) {
    if (step.move != kNone) {
      PlanBackwardMove(static_cast<size_t>(step.move));
    } else {
      PlanBackwardRun(static_cast<size_t>(step.run));
    }
  }

  void PlanBackwardMove(size_t number) {
    const PendingMove& pending = pending_moves_[number];
    ProgramPlan::Move& move = plan_.moves[number];
    move.result_gradient = slots_[pending.to_slot].gradient;
    if (move.result_gradient != kNone) move.source_gradient = Contribute(pending.from_slot);
  }

  void PlanBackwardRun(size_t number) {
    const PendingRun& pending = pending_runs_[number];
    ProgramPlan::Run& run = plan_.runs[number];
    for (const size_t slot : pending.output_slots) {
      run.output_gradients.push_back(slots_[slot].gradient);
      run.has_backward |= slots_[slot].gradient != kNone;
    }
    run.input_gradients.resize(pending.input_slots.size());
    if (!run.has_backward) return;
    for (size_t i = 0; i < pending.input_slots.size(); ++i) {
      Slot& slot = slots_[pending.input_slots[i]];
      // Where values lie in one memory, so may their gradients if nobody else contributes.
      if (i == 0 && pending.shares_gradient && slot.has_gradient &&
          run.output_gradients[0] != kNone) {
        slot.gradient = ShareGradient(run.output_gradients[0], slot.gradient_memory);
        run.input_gradients[0] = {slot.gradient, false};
      } else {
        run.input_gradients[i] = Contribute(pending.input_slots[i]);
      }
    }
  }

  // A gradient in the memory of another one.
  int ShareGradient(int gradient, Memory memory) {
    if (plan_.gradients[static_cast<size_t>(gradient)].shape == memory.shape) return gradient;
    memory.shares = gradient;
    plan_.gradients.push_back(memory);
    return static_cast<int>(plan_.gradients.size()) - 1;
  }

  struct PendingMove {
    size_t from_slot = 0;
    size_t to_slot = 0;
  };
  struct PendingRun {
    std::vector<size_t> input_slots;
    std::vector<size_t> output_slots;
    bool shares_gradient = false;
  };

  const ProgramRequest& request_;
  const ParameterStore& parameters_;
  const NetworkFacts& facts_;
  const Graph& graph_;
  ProgramPlan plan_;
  std::vector<bool> is_read_elsewhere_;  // Of tensors: by users of the value whose view it is.
  std::vector<Slot> slots_;
  std::vector<std::optional<Located>> homes_;  // By ValueId.
  std::vector<std::vector<Located>> uses_;
  std::vector<PendingMove> pending_moves_;  // As plan_.moves and plan_.runs.
  std::vector<PendingRun> pending_runs_;
  std::vector<size_t> result_slots_;
};

}  // namespace

namespace {

std::string TensorText(const ProgramPlan& plan, int tensor) {
  const Memory& memory = plan.tensors[static_cast<size_t>(tensor)];
  return Format("%{} {}{}", tensor, ShortName(memory.dtype), ToText(memory.shape));
}

std::string ToText(const ProgramPlan& plan, const ProgramPlan::Move& move) {
  std::string text = "move";
  if (move.to == kNone) {
    text += " gradient only";
  } else {
    text += Format(" {} -> {}", TensorText(plan, move.from), TensorText(plan, move.to));
    if (!move.forward.reduce_group.empty()) text += " summed";
  }
  if (move.result_gradient != kNone) {
    text += Format(" back d%{} -> d%{}", move.result_gradient, move.source_gradient.gradient);
    if (!move.backward.reduce_group.empty()) text += " summed";
  }
  return text;
}

std::string ToText(const ProgramPlan& plan, const ProgramPlan::Run& run) {
  std::string text = Format("run {} (", run.at.op->type);
  for (size_t i = 0; i < run.inputs.size(); ++i) {
    text += Format("{}{}", i == 0 ? "" : ", ", TensorText(plan, run.inputs[i]));
  }
  text += ") ->";
  for (const int output : run.outputs) {
    text += Format(" {}", TensorText(plan, output));
    const int shares = plan.tensors[static_cast<size_t>(output)].shares;
    if (shares != kNone) text += Format(" in %{}", shares);
  }
  return text;
}

}  // namespace

std::string ToText(const ProgramPlan& plan) {
  std::string text;
  for (const auto* steps : {&plan.parameter_steps, &plan.steps}) {
    for (const ProgramPlan::Step& step : *steps) {
      text += step.move != kNone ? ToText(plan, plan.moves[static_cast<size_t>(step.move)])
                                 : ToText(plan, plan.runs[static_cast<size_t>(step.run)]);
      text += '\n';
    }
  }
  return text;
}

Result<ProgramPlan> PlanProgram(const ProgramRequest& request, const ParameterStore& parameters) {
  RELAYOUT_ASSIGN_OR_RETURN(const NetworkFacts facts,
                            NetworkFacts::Of(*request.network, request.training));
  return Planner(request, parameters, facts).Run();
}

}  // namespace relayout
