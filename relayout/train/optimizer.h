// SPDX-License-Identifier: Apache-2.0
//
// An optimizer with all that it remembers: states that lie as their parameters, and its own
// numbers. Calculates as MindSpore's nn.SGD, nn.Momentum and nn.Adam (spmd/optimizers/optimizer.h).
//
//   OptimizerOptions options{.type = "adam", .learning_rate = 0.001F};
//   RELAYOUT_ASSIGN_OR_RETURN(Optimizer optimizer, Optimizer::Create(options, parameters));
//   optimizer.Step(parameters);     // after gradients were made
//
// State of the tutorial's network under adam, as in a checkpoint:
//
//   global_step i32[1], learning_rate, beta1_power, beta2_power f32[]     the same on all ranks
//   moment1.layer1.weight, ..., moment2.layer1.weight, ...                as the parameters lie
//
// The numbers count when they are loaded from a checkpoint: a learning rate that was saved goes on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/spmd/parameter_store.h"
#include "relayout/train/model_state.h"
#include "relayout/train/optimizer_options.h"

namespace relayout {

// Fails for another type, or numbers out of range; the message names the option.
Status CheckOptimizer(const OptimizerOptions& options);

class Optimizer {
 public:
  // States at their beginning for each trained parameter. Fails as CheckOptimizer does.
  static Result<Optimizer> Create(const OptimizerOptions& options,
                                  const ParameterStore& parameters);

  // One step with the gradients in the store, which are used up. @pre the store it was made for
  void Step(ParameterStore& parameters);

  // global_step: the steps made, those before a loaded checkpoint included.
  int64_t step_count() const { return numbers_.front().value.i32().data[0]; }

  // In MindSpore's order; of a stage of `device_count` ranks. The tensors are the optimizer's: the
  // list is good until it is moved.
  std::vector<StateTensor> State(int64_t device_count);

 private:
  struct Companion {  // What is kept beside a parameter.
    std::string name;
    size_t parameter = 0;
    Dims shape;
    Layout layout;
    Tensor value;
  };
  struct Number {
    std::string name;
    Tensor value;
  };

  explicit Optimizer(const OptimizerOptions& options) : options_(options) {}
  void AddNumbers();
  void AddCompanions(std::string_view prefix, float begin, const ParameterStore& parameters);
  float& NumberOf(std::string_view name);
  void StepOf(ParameterShard& parameter, size_t index, float learning_rate);

  OptimizerOptions options_;
  std::vector<size_t> trained_;  // Of the store.
  std::vector<Number> numbers_;
  std::vector<Companion> companions_;  // All of the first kind, then all of the second.
};

}  // namespace relayout
