// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/program.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "relayout/base/check.h"
#include "relayout/base/text.h"
#include "relayout/comm/all_reduce.h"
#include "relayout/infer/infer_strategy.h"
#include "relayout/spmd/kernels/elementwise.h"
#include "relayout/spmd/redistribute.h"

namespace relayout {
namespace {

using Memory = ProgramPlan::Memory;
constexpr int kNone = ProgramPlan::kNone;

// Adds a tensor to those that were made before it: an empty one where it is not wanted.
void MakeIf(bool wanted, const Memory& memory, std::vector<Tensor>& made) {
  if (!wanted) {
    made.emplace_back();
  } else if (memory.shares == kNone) {
    made.emplace_back(memory.dtype, memory.shape);
  } else {
    made.push_back(Tensor::Sharing(made[static_cast<size_t>(memory.shares)], memory.shape));
  }
}

// What two of one shape have in common: adds `term` to `sum`.
void AddTo(const Tensor& term, Tensor& sum) {
  kernels::Add(std::as_const(sum).f32(), term.f32(), sum.f32());
}

}  // namespace

Program::Program(ProgramPlan plan, ParameterStore& parameters, int frame_count)
    : plan_(std::move(plan)), parameters_(parameters) {
  for (int frame = 0; frame < frame_count; ++frame) {
    std::vector<Tensor>& tensors = frames_.emplace_back();
    for (const Memory& memory : plan_.tensors) {
      MakeIf(memory.kind == Memory::Kind::kFrame, memory, tensors);
    }
    kept_.emplace_back(plan_.runs.size());
  }
  for (const Memory& memory : plan_.tensors) {
    MakeIf(memory.kind == Memory::Kind::kStep, memory, step_tensors_);
  }
  for (const Memory& memory : plan_.gradients) {
    MakeIf(memory.kind != Memory::Kind::kParameter, memory, gradients_);
  }
}

Result<std::unique_ptr<Program>> Program::Create(const ProgramRequest& request,
                                                 ParameterStore& parameters, int frame_count) {
  RELAYOUT_ASSIGN_OR_RETURN(ProgramPlan plan, PlanProgram(request, parameters));
  std::unique_ptr<Program> program(new Program(std::move(plan), parameters, frame_count));
  RELAYOUT_RETURN_IF_ERROR(program->FillConstants(request.network->graph));
  return program;
}

Status Program::FillConstants(const Graph& graph) {
  for (const auto& [tensor, id] : plan_.constants) {
    const Value& value = graph.value(id);
    std::span<std::byte> bytes = step_tensors_[static_cast<size_t>(tensor)].bytes();
    if (value.bytes == nullptr) {
      return InvalidInput(
          Format("the network has a constant {}{} whose value is not known; it can be laid out but "
                 "not run",
                 ShortName(value.dtype), ToText(value.shape)));
    }
    RELAYOUT_CHECK(value.bytes->size() == bytes.size());
    std::ranges::copy(std::as_bytes(std::span(*value.bytes)), bytes.begin());
  }
  return OkStatus();
}

Tensor& Program::TensorOf(int tensor, int frame) {
  const auto index = static_cast<size_t>(tensor);
  const Memory& memory = plan_.tensors[index];
  switch (memory.kind) {
    case Memory::Kind::kFrame:
      return frames_[static_cast<size_t>(frame)][index];
    case Memory::Kind::kStep:
      return step_tensors_[index];
    case Memory::Kind::kParameter:
      break;
  }
  return parameters_.shards()[memory.parameter].value;
}

Tensor& Program::GradientOf(int gradient) {
  const auto index = static_cast<size_t>(gradient);
  const Memory& memory = plan_.gradients[index];
  if (memory.kind != Memory::Kind::kParameter) return gradients_[index];
  return parameters_.shards()[memory.parameter].gradient;
}

void Program::TakeGradient(const ProgramPlan::Contribution& contribution, std::string_view bytes) {
  Tensor& gradient = GradientOf(contribution.gradient);
  RELAYOUT_CHECK(bytes.size() == gradient.bytes().size());
  if (contribution.adds) {
    AddFloats(bytes, gradient.f32().elements());
  } else if (!bytes.empty()) {
    std::memcpy(gradient.bytes().data(), bytes.data(), bytes.size());
  }
}

const Tensor* Program::ResultOf(size_t index, int frame) {
  const auto found = std::ranges::find(plan_.results, index, &ProgramPlan::Result::index);
  return found == plan_.results.end() ? nullptr : &TensorOf(found->tensor, frame);
}

// --------------------------------------------------------------------------------------- steps

Status Program::BeginStep(const RankContext& context) {
  for (const ProgramPlan::Step& step : plan_.parameter_steps) {
    RELAYOUT_RETURN_IF_ERROR(MoveForward(context, plan_.moves[static_cast<size_t>(step.move)], 0));
  }
  return OkStatus();
}

Status Program::Forward(const RankContext& context, int frame) {
  for (const ProgramPlan::Step& step : plan_.steps) {
    RELAYOUT_RETURN_IF_ERROR(
        step.run != kNone
            ? RunForward(context, static_cast<size_t>(step.run), frame)
            : MoveForward(context, plan_.moves[static_cast<size_t>(step.move)], frame));
  }
  return OkStatus();
}

Status Program::Backward(const RankContext& context, int frame, const BackwardOptions& options) {
  for (const ProgramPlan::Result& result : plan_.results) {
    if (result.gradient.gradient == kNone) continue;
    RELAYOUT_CHECK(!result.gradient.adds);
    std::ranges::fill(GradientOf(result.gradient.gradient).f32().elements(), options.loss_gradient);
  }
  for (size_t i = plan_.steps.size(); i-- > 0;) {
    const ProgramPlan::Step& step = plan_.steps[i];
    RELAYOUT_RETURN_IF_ERROR(
        step.run != kNone
            ? RunBackward(context, static_cast<size_t>(step.run), frame, options.first)
            : MoveBackward(context, plan_.moves[static_cast<size_t>(step.move)], options.first));
  }
  return OkStatus();
}

Status Program::EndStep(const RankContext& context) {
  for (size_t i = plan_.parameter_steps.size(); i-- > 0;) {
    const auto move = static_cast<size_t>(plan_.parameter_steps[i].move);
    RELAYOUT_RETURN_IF_ERROR(MoveBackward(context, plan_.moves[move], true));
  }
  return OkStatus();
}

// --------------------------------------------------------------------------------------- moves

Status Program::MoveForward(const RankContext& context, const ProgramPlan::Move& move, int frame) {
  if (move.to == kNone) return OkStatus();
  return Redistribute(*context.comm, move.forward,
                      std::as_const(TensorOf(move.from, frame)).bytes(),
                      TensorOf(move.to, frame).bytes());
}

Status Program::MoveBackward(const RankContext& context, const ProgramPlan::Move& move,
                             bool first) {
  if (move.result_gradient == kNone || move.source_gradient.gradient == kNone) return OkStatus();
  const Tensor& from = GradientOf(move.result_gradient);
  Tensor& to = GradientOf(move.source_gradient.gradient);
  if (!Adds(move.source_gradient, first)) {
    return Redistribute(*context.comm, move.backward, from.bytes(), to.bytes());
  }
  Tensor& term = ScratchLike(to, {});
  RELAYOUT_RETURN_IF_ERROR(Redistribute(*context.comm, move.backward, from.bytes(), term.bytes()));
  AddTo(term, to);
  return OkStatus();
}

// ----------------------------------------------------------------------------------- operators

Status Program::RunForward(const RankContext& context, size_t number, int frame) {
  const ProgramPlan::Run& run = plan_.runs[number];
  std::vector<const Tensor*> inputs;
  std::vector<Tensor*> outputs;
  for (const int input : run.inputs) inputs.push_back(&TensorOf(input, frame));
  for (const int output : run.outputs) outputs.push_back(&TensorOf(output, frame));
  return run.kernel->forward({.at = run.at,
                              .context = context,
                              .inputs = inputs,
                              .outputs = outputs,
                              .kept = kept_[static_cast<size_t>(frame)][number]});
}

Status Program::RunBackward(const RankContext& context, size_t number, int frame, bool first) {
  const ProgramPlan::Run& run = plan_.runs[number];
  if (!run.has_backward) return OkStatus();
  std::vector<const Tensor*> inputs;
  std::vector<const Tensor*> outputs;
  std::vector<const Tensor*> output_gradients;
  for (const int input : run.inputs) inputs.push_back(&TensorOf(input, frame));
  for (const int output : run.outputs) outputs.push_back(&TensorOf(output, frame));
  for (const int gradient : run.output_gradients) {
    output_gradients.push_back(gradient == kNone ? nullptr : &GradientOf(gradient));
  }
  // Of those that add, the terms first.
  std::vector<Tensor*> terms(run.inputs.size(), nullptr);
  for (size_t i = 0; i < terms.size(); ++i) {
    const ProgramPlan::Contribution& contribution = run.input_gradients[i];
    if (contribution.gradient == kNone) continue;
    Tensor& gradient = GradientOf(contribution.gradient);
    terms[i] = Adds(contribution, first) ? &ScratchLike(gradient, terms) : &gradient;
  }
  RELAYOUT_RETURN_IF_ERROR(run.kernel->backward({.at = run.at,
                                                 .context = context,
                                                 .inputs = inputs,
                                                 .outputs = outputs,
                                                 .kept = kept_[static_cast<size_t>(frame)][number],
                                                 .output_gradients = output_gradients,
                                                 .input_gradients = terms}));
  for (size_t i = 0; i < terms.size(); ++i) {
    if (terms[i] == nullptr) continue;
    Tensor& gradient = GradientOf(run.input_gradients[i].gradient);
    if (terms[i] != &gradient) AddTo(*terms[i], gradient);
  }
  return OkStatus();
}

bool Program::Adds(const ProgramPlan::Contribution& contribution, bool first) const {
  const Memory& memory = plan_.gradients[static_cast<size_t>(contribution.gradient)];
  return contribution.adds || (!first && memory.kind != Memory::Kind::kFrame);
}

Tensor& Program::ScratchLike(const Tensor& gradient, std::span<Tensor* const> taken) {
  const auto found = std::ranges::find_if(scratch_, [&](const Tensor& tensor) {
    return tensor.shape() == gradient.shape() && std::ranges::find(taken, &tensor) == taken.end();
  });
  if (found != scratch_.end()) return *found;
  return scratch_.emplace_back(DType::kFloat32, gradient.shape());
}

}  // namespace relayout
