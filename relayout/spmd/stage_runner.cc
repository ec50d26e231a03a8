// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/stage_runner.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "relayout/base/check.h"
#include "relayout/base/text.h"
#include "relayout/infer/infer_strategy.h"
#include "relayout/spmd/parameter_store.h"
#include "relayout/spmd/pipeline_schedule.h"
#include "relayout/spmd/program.h"

namespace relayout {
namespace {

using Passage = ProgramPlan::Passage;
constexpr int kNone = ProgramPlan::kNone;

std::string_view TextOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Exchanges one message each with one other rank, on either side. `take` reads what came.
template <typename Take>
Status ExchangeWith(Comm& comm, int other, std::string_view mine, const Take& take) {
  const int rank = comm.rank();
  const std::array<int, 2> group = {std::min(rank, other), std::max(rank, other)};
  const size_t member = other < rank ? 0 : 1;
  std::array<std::string_view, 2> give;
  give[member] = mine;
  Status outcome;
  RELAYOUT_RETURN_IF_ERROR(comm.Exchange(group, give, [&](size_t from, std::string_view bytes) {
    if (from == member) outcome = take(bytes);
  }));
  return outcome;
}

// Tensors one behind the other.
template <typename TensorAt>
std::string Pack(const std::vector<Passage>& passages, const TensorAt& tensor_at) {
  std::string packed;
  for (const Passage& passage : passages) {
    if (const Tensor* const tensor = tensor_at(passage)) packed.append(TextOf(tensor->bytes()));
  }
  return packed;
}

// Takes apart what the other rank packed; `place(passage, bytes)` of each.
template <typename TensorAt, typename Place>
Status Unpack(std::string_view packed, const std::vector<Passage>& passages,
              const TensorAt& tensor_at, const Place& place) {
  size_t expected = 0;
  for (const Passage& passage : passages) {
    if (const Tensor* const tensor = tensor_at(passage)) expected += tensor->bytes().size();
  }
  if (packed.size() != expected) {
    return InvalidInput(
        Format("a neighbouring stage gave {} bytes where {} are expected; all ranks must run the "
               "same network",
               packed.size(), expected));
  }
  for (const Passage& passage : passages) {
    const Tensor* const tensor = tensor_at(passage);
    if (tensor == nullptr) continue;
    place(passage, packed.substr(0, tensor->bytes().size()));
    packed.remove_prefix(tensor->bytes().size());
  }
  return OkStatus();
}

void CopyInto(std::string_view bytes, Tensor& tensor) {
  if (!bytes.empty()) std::memcpy(tensor.bytes().data(), bytes.data(), bytes.size());
}

}  // namespace

StageRunner::StageRunner(const StageRunnerRequest& request, std::unique_ptr<Program> program)
    : request_(request), program_(std::move(program)) {}

StageRunner::~StageRunner() = default;

Result<std::unique_ptr<StageRunner>> StageRunner::Create(const StageRunnerRequest& request,
                                                         ParameterStore& parameters) {
  const int64_t frames = request.training
                             ? MicroBatchesInFlight(request.place.stage, request.place.stage_count,
                                                    request.micro_batch_count)
                             : 1;
  RELAYOUT_ASSIGN_OR_RETURN(auto program, Program::Create({.network = request.network,
                                                           .place = request.place,
                                                           .training = request.training,
                                                           .full_batch = request.full_batch},
                                                          parameters, static_cast<int>(frames)));
  std::unique_ptr<StageRunner> runner(new StageRunner(request, std::move(program)));
  runner->frame_count_ = frames;
  return runner;
}

// -------------------------------------------------------------------------------------- inputs

Status StageRunner::CheckInputs(std::span<const Tensor* const> inputs) const {
  const Graph& graph = request_.network->graph;
  if (inputs.size() != graph.inputs().size()) {
    return InvalidInput(Format("the network has {}, but {} given",
                               Count(std::ssize(graph.inputs()), "input"),
                               Count(std::ssize(inputs), "tensor")));
  }
  for (const ProgramPlan::Feed& feed : program_->plan().feeds) {
    const auto input = std::ranges::find(graph.inputs(), feed.value) - graph.inputs().begin();
    const Tensor* const tensor = inputs[static_cast<size_t>(input)];
    const DType dtype = graph.value(feed.value).dtype;
    Dims wanted = feed.box.shape();
    if (!wanted.empty()) wanted[0] *= request_.micro_batch_count;
    if (tensor == nullptr || tensor->dtype() != dtype || tensor->shape() != wanted) {
      return InvalidInput(Format(
          "input '{}' is {}, but a rank of this network is fed {}{}", Printable(feed.name),
          tensor == nullptr ? "missing"
                            : Format("{}{}", ShortName(tensor->dtype()), ToText(tensor->shape())),
          ShortName(dtype), ToText(wanted)));
    }
  }
  return OkStatus();
}

void StageRunner::Feed(std::span<const Tensor* const> inputs, int64_t micro_batch) {
  const Graph& graph = request_.network->graph;
  for (const ProgramPlan::Feed& feed : program_->plan().feeds) {
    const auto input = std::ranges::find(graph.inputs(), feed.value) - graph.inputs().begin();
    const std::span<const std::byte> all = inputs[static_cast<size_t>(input)]->bytes();
    const std::span<std::byte> part = program_->TensorOf(feed.tensor, FrameOf(micro_batch)).bytes();
    const size_t begin =
        feed.box.shape().empty() ? 0 : static_cast<size_t>(micro_batch) * part.size();
    if (!part.empty()) std::memcpy(part.data(), all.data() + begin, part.size());
  }
}

int StageRunner::FrameOf(int64_t micro_batch) const {
  return static_cast<int>(micro_batch % frame_count_);
}

// --------------------------------------------------------------------------- between the stages

int StageRunner::NeighbourRank(int64_t stage_offset) const {
  return static_cast<int>(request_.place.rank + stage_offset * request_.place.stage_ranks());
}

// Parameters that later stages use go on from stage to stage, once a step; their gradients back.
Status StageRunner::ExchangeParameters(Comm& comm, bool gradients) {
  const ProgramPlan& plan = program_->plan();
  const auto tensor_at = [&](const Passage& passage) -> const Tensor* {
    if (!gradients) return &program_->TensorOf(passage.tensor, 0);
    const int gradient = passage.gradient.gradient;
    return gradient == kNone ? nullptr : &program_->GradientOf(gradient);
  };
  const auto give = [&](const ProgramPlan::Boundary& boundary, int64_t stage_offset) {
    if (boundary.parameters.empty()) return OkStatus();
    return ExchangeWith(comm, NeighbourRank(stage_offset), Pack(boundary.parameters, tensor_at),
                        [](std::string_view) { return OkStatus(); });
  };
  const auto take = [&](const ProgramPlan::Boundary& boundary, int64_t stage_offset) {
    if (boundary.parameters.empty()) return OkStatus();
    return ExchangeWith(comm, NeighbourRank(stage_offset), {}, [&](std::string_view bytes) {
      return Unpack(bytes, boundary.parameters, tensor_at,
                    [&](const Passage& passage, std::string_view part) {
                      if (!gradients) {
                        CopyInto(part, program_->TensorOf(passage.tensor, 0));
                      } else {
                        program_->TakeGradient(passage.gradient, part);
                      }
                    });
    });
  };
  if (!gradients) {
    RELAYOUT_RETURN_IF_ERROR(take(plan.previous, -1));
    return give(plan.next, 1);
  }
  RELAYOUT_RETURN_IF_ERROR(take(plan.next, 1));
  RELAYOUT_RETURN_IF_ERROR(program_->EndStep({.comm = &comm, .first_rank = 0}));
  return give(plan.previous, -1);
}

Status StageRunner::ExchangeNext(Comm& comm, int64_t forward, int64_t backward) {
  const auto& passages = program_->plan().next.values;
  if (passages.empty()) return OkStatus();
  const auto gradient_at = [&](const Passage& passage) -> const Tensor* {
    const int gradient = passage.gradient.gradient;
    if (backward == PipelineAction::kNone || gradient == kNone) return nullptr;
    return &program_->GradientOf(gradient);
  };
  const std::string mine =
      forward == PipelineAction::kNone ? "" : Pack(passages, [&](const Passage& passage) {
        return &program_->TensorOf(passage.tensor, FrameOf(forward));
      });
  return ExchangeWith(comm, NeighbourRank(1), mine, [&](std::string_view bytes) {
    return Unpack(bytes, passages, gradient_at, [&](const Passage& passage, std::string_view part) {
      program_->TakeGradient(passage.gradient, part);
    });
  });
}

Status StageRunner::ExchangePrevious(Comm& comm, int64_t forward, int64_t backward) {
  const auto& passages = program_->plan().previous.values;
  if (passages.empty()) return OkStatus();
  const auto value_at = [&](const Passage& passage) -> const Tensor* {
    if (forward == PipelineAction::kNone) return nullptr;
    return &program_->TensorOf(passage.tensor, FrameOf(forward));
  };
  const std::string mine =
      backward == PipelineAction::kNone
          ? ""
          : Pack(passages, [&](const Passage& passage) -> const Tensor* {
              const int gradient = passage.gradient.gradient;
              return gradient == kNone ? nullptr : &program_->GradientOf(gradient);
            });
  return ExchangeWith(comm, NeighbourRank(-1), mine, [&](std::string_view bytes) {
    return Unpack(bytes, passages, value_at, [&](const Passage& passage, std::string_view part) {
      CopyInto(part, program_->TensorOf(passage.tensor, FrameOf(forward)));
    });
  });
}

// --------------------------------------------------------------------------------------- steps

Status StageRunner::TrainMicroBatches(const RankContext& context,
                                      std::span<const Tensor* const> inputs, double& loss) {
  using Kind = PipelineAction::Kind;
  const int64_t count = request_.micro_batch_count;
  for (const PipelineAction& action :
       PipelineSchedule(request_.place.stage, request_.place.stage_count, count)) {
    RankContext here = context;
    switch (action.kind) {
      case Kind::kForward:
        here.step = context.step * count + action.forward;
        Feed(inputs, action.forward);
        RELAYOUT_RETURN_IF_ERROR(program_->Forward(here, FrameOf(action.forward)));
        if (const Tensor* const result = program_->ResultOf(0, FrameOf(action.forward))) {
          loss += static_cast<double>(result->f32().data[0]) / static_cast<double>(count);
        }
        break;
      case Kind::kBackward:
        here.step = context.step * count + action.backward;
        RELAYOUT_RETURN_IF_ERROR(program_->Backward(
            here, FrameOf(action.backward),
            {.loss_gradient = 1 / static_cast<float>(count), .first = action.backward == 0}));
        break;
      case Kind::kExchangePrevious:
        RELAYOUT_RETURN_IF_ERROR(ExchangePrevious(*context.comm, action.forward, action.backward));
        break;
      case Kind::kExchangeNext:
        RELAYOUT_RETURN_IF_ERROR(ExchangeNext(*context.comm, action.forward, action.backward));
        break;
    }
  }
  return OkStatus();
}

Result<float> StageRunner::Train(Comm& comm, std::span<const Tensor* const> inputs,
                                 const StepOptions& options) {
  RELAYOUT_RETURN_IF_ERROR(CheckInputs(inputs));
  const RankContext context{.comm = &comm,
                            .first_rank = request_.place.first_rank(),
                            .training = true,
                            .seed = options.seed,
                            .step = options.step};
  RELAYOUT_RETURN_IF_ERROR(ExchangeParameters(comm, /*gradients=*/false));
  RELAYOUT_RETURN_IF_ERROR(program_->BeginStep(context));
  double sum = 0;
  RELAYOUT_RETURN_IF_ERROR(TrainMicroBatches(context, inputs, sum));
  RELAYOUT_RETURN_IF_ERROR(ExchangeParameters(comm, /*gradients=*/true));
  auto loss = static_cast<float>(sum);
  RELAYOUT_RETURN_IF_ERROR(ShareResult(comm, 0, std::as_writable_bytes(std::span(&loss, 1))));
  return loss;
}

Result<std::vector<Tensor>> StageRunner::Predict(Comm& comm,
                                                 std::span<const Tensor* const> inputs) {
  RELAYOUT_RETURN_IF_ERROR(CheckInputs(inputs));
  const RankContext context{
      .comm = &comm, .first_rank = request_.place.first_rank(), .training = false};
  RELAYOUT_RETURN_IF_ERROR(program_->BeginStep(context));
  if (request_.place.stage > 0) {
    RELAYOUT_RETURN_IF_ERROR(ExchangePrevious(comm, 0, PipelineAction::kNone));
  }
  Feed(inputs, 0);
  RELAYOUT_RETURN_IF_ERROR(program_->Forward(context, 0));
  if (request_.place.stage + 1 < request_.place.stage_count) {
    RELAYOUT_RETURN_IF_ERROR(ExchangeNext(comm, 0, PipelineAction::kNone));
  }
  const Graph& graph = request_.network->graph;
  std::vector<Tensor> results;
  for (size_t i = 0; i < graph.results().size(); ++i) {
    const Value& value = graph.value(graph.results()[i]);
    const Tensor* const mine = program_->ResultOf(i, 0);
    Tensor& result =
        results.emplace_back(mine != nullptr ? mine->Clone() : Tensor(value.dtype, value.shape));
    RELAYOUT_RETURN_IF_ERROR(ShareResult(comm, i, result.bytes()));
  }
  return results;
}

Status StageRunner::ShareResult(Comm& comm, size_t index, std::span<std::byte> bytes) const {
  if (request_.place.stage_count == 1) return OkStatus();
  const Graph& graph = request_.network->graph;
  const OperatorId producer = graph.value(graph.results()[index]).producer;
  const int64_t stage = request_.network->stage_of[static_cast<size_t>(producer)];
  std::string shared(TextOf(bytes));
  RELAYOUT_RETURN_IF_ERROR(
      comm.Broadcast(shared, static_cast<int>(stage * request_.place.stage_ranks())));
  if (shared.size() != bytes.size()) {
    return InvalidInput(
        Format("result {} has {} bytes on its stage's ranks, {} here; all ranks "
               "must run the same network",
               index, shared.size(), bytes.size()));
  }
  std::memcpy(bytes.data(), shared.data(), shared.size());
  return OkStatus();
}

}  // namespace relayout
