// SPDX-License-Identifier: Apache-2.0
//
// Program: a rank's stage of a network, run forward and backward as its plan (program_plan.h) says.
//
//   RELAYOUT_ASSIGN_OR_RETURN(const auto program, Program::Create(request, parameters));
//   program->BeginStep(context)                    // parameters to where they are used
//   program->Forward(context, 0)
//   program->ResultOf(0, 0)                        // result 0: the loss
//   program->Backward(context, 0, {.loss_gradient = 1, .first = true})
//   program->EndStep(context)                      // gradients are in the parameter store
//
// A *frame* is the memory of one micro batch in flight. Memory is taken once, at Create.
//
// Begin, Forward, Backward and End are collective among the ranks of the stage; the order of a
// pipeline's is pipeline_schedule.h's. Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/spmd/operator_kernel.h"
#include "relayout/spmd/parameter_store.h"
#include "relayout/spmd/program_plan.h"
#include "relayout/spmd/tensor.h"

namespace relayout {

class Program {
 public:
  // `parameters` and the request's network must outlive it. Fails as PlanProgram does, and where
  // the value of a constant is not known.
  // @pre frame_count >= 1
  static Result<std::unique_ptr<Program>> Create(const ProgramRequest& request,
                                                 ParameterStore& parameters, int frame_count);

  const ProgramPlan& plan() const { return plan_; }

  // A tensor of the plan. `frame` counts for those of frames only.
  Tensor& TensorOf(int tensor, int frame);
  Tensor& GradientOf(int gradient);
  // Takes in a contribution that came from the next stage.
  void TakeGradient(const ProgramPlan::Contribution& contribution, std::string_view bytes);
  // Null when this stage does not make that result.
  const Tensor* ResultOf(size_t index, int frame);

  struct BackwardOptions {
    float loss_gradient = 1;  // Of each result.
    bool first = true;        // Of the step's micro batches: earlier gradients are forgotten.
  };

  Status BeginStep(const RankContext& context);
  Status Forward(const RankContext& context, int frame);
  // The gradients of what the next stage was given are in place (plan().next).
  Status Backward(const RankContext& context, int frame, const BackwardOptions& options);
  Status EndStep(const RankContext& context);

 private:
  Program(ProgramPlan plan, ParameterStore& parameters, int frame_count);
  Status FillConstants(const Graph& graph);

  Status MoveForward(const RankContext& context, const ProgramPlan::Move& move, int frame);
  Status MoveBackward(const RankContext& context, const ProgramPlan::Move& move, bool first);
  Status RunForward(const RankContext& context, size_t run, int frame);
  Status RunBackward(const RankContext& context, size_t run, int frame, bool first);

  // Whether a contribution adds to what is there.
  bool Adds(const ProgramPlan::Contribution& contribution, bool first) const;
  // A tensor to make a contribution in before it is added; none of `taken`.
  Tensor& ScratchLike(const Tensor& gradient, std::span<Tensor* const> taken);

  ProgramPlan plan_;
  ParameterStore& parameters_;
  std::vector<std::vector<Tensor>> frames_;  // Empty tensors where they are not of frames.
  std::vector<Tensor> step_tensors_;
  std::vector<Tensor> gradients_;
  std::vector<std::vector<std::vector<Tensor>>> kept_;  // By frame and run.
  std::deque<Tensor> scratch_;
};

}  // namespace relayout
