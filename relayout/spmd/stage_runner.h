// SPDX-License-Identifier: Apache-2.0
//
// StageRunner: steps of a whole network on all ranks of a Comm, each rank with its stage's program:
// micro batches through the pipeline (pipeline_schedule.h), gradients summed where they belong.
//
//   StageRunnerRequest request{.network = &inferred, .place = RankPlace::Of(5, 8, 2),
//                              .micro_batch_count = 4};
//   RELAYOUT_ASSIGN_OR_RETURN(const auto runner, StageRunner::Create(request, parameters));
//   RELAYOUT_ASSIGN_OR_RETURN(const float loss, runner->Train(comm, {&x, &label}, options));
//   // Gradients of the mean loss lie in `parameters`: an optimizer's turn.
//
// A rank gives, for each input of the network, the rows that are its own of the step's batch:
// micro_batch_count times those of its part of the network's input (of the whole of it with
// full_batch), micro batch after micro batch.
//
// The loss of a step is the mean over its micro batches, so that it does not depend on their
// number. (MindSpore's PipelineCell adds them up: its losses and gradients are micro_batch_count
// times these.)
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/comm/comm.h"
#include "relayout/spmd/rank_place.h"
#include "relayout/spmd/tensor.h"

namespace relayout {

class ParameterStore;     // parameter_store.h
class Program;            // program.h
struct InferredStrategy;  // infer_strategy.h
struct RankContext;       // operator_kernel.h

struct StageRunnerRequest {
  const InferredStrategy* network = nullptr;
  RankPlace place;
  bool training = true;
  bool full_batch = false;
  // 1 where there are no stages or nothing is trained.
  int64_t micro_batch_count = 1;
};

struct StepOptions {
  int64_t step = 0;   // From 0: what is random depends on it.
  uint64_t seed = 0;  // The same on all ranks, as the step.
};

class StageRunner {
 public:
  // The network and `parameters` must outlive it. Fails as Program::Create does.
  static Result<std::unique_ptr<StageRunner>> Create(const StageRunnerRequest& request,
                                                     ParameterStore& parameters);

  ~StageRunner();

  // Collective among all ranks. `inputs` in the order of the network's; those that this stage does
  // not read may be null. Fails, before anything is sent, when one has another type or shape than
  // the network needs, naming it and both; and as kernels and Comm do.
  //
  // Train: the loss, and the gradients in the parameter store. @pre one result, a scalar
  Result<float> Train(Comm& comm, std::span<const Tensor* const> inputs,
                      const StepOptions& options);
  // The network's results, whole, on every rank.
  Result<std::vector<Tensor>> Predict(Comm& comm, std::span<const Tensor* const> inputs);

  Program& program() { return *program_; }

 private:
  StageRunner(const StageRunnerRequest& request, std::unique_ptr<Program> program);

  Status CheckInputs(std::span<const Tensor* const> inputs) const;
  void Feed(std::span<const Tensor* const> inputs, int64_t micro_batch);
  int FrameOf(int64_t micro_batch) const;
  int NeighbourRank(int64_t stage_offset) const;

  Status ExchangeParameters(Comm& comm, bool gradients);
  Status ExchangeNext(Comm& comm, int64_t forward, int64_t backward);
  Status ExchangePrevious(Comm& comm, int64_t forward, int64_t backward);
  Status TrainMicroBatches(const RankContext& context, std::span<const Tensor* const> inputs,
                           double& loss);
  // The same bytes on all ranks, from those of the stage that made the result.
  Status ShareResult(Comm& comm, size_t index, std::span<std::byte> bytes) const;

  StageRunnerRequest request_;
  std::unique_ptr<Program> program_;
  int64_t frame_count_ = 1;
};

}  // namespace relayout
