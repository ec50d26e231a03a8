// SPDX-License-Identifier: Apache-2.0
//
// Callbacks: what happens beside training, after each step and epoch. Called on every rank, in the
// order in which they were given, as many on each; a failure on one rank ends training on all.
#pragma once

#include <cstdint>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/comm/comm.h"
#include "relayout/train/model_state.h"

namespace relayout {

// How far training is, after a step.
struct TrainingProgress {
  int64_t epoch = 1;  // From 1.
  int64_t epoch_count = 1;
  int64_t step_in_epoch = 1;  // From 1.
  int64_t steps_per_epoch = 1;
  int64_t step = 1;  // Since training began, from 1.
  float loss = 0;    // Of that step; the same on all ranks.
};

// What callbacks see of the model. Tensors may be read, and written between steps.
struct TrainingView {
  Comm& comm;
  RankPlace place;
  // This rank's, in the order of MindSpore's checkpoints.
  const std::vector<StateTensor>& state;
};

class Callback {
 public:
  virtual ~Callback() = default;
  virtual Status OnBegin(const TrainingView& view) {
    (void)view;
    return OkStatus();
  }
  virtual Status OnStepEnd(const TrainingView& view, const TrainingProgress& progress) {
    (void)view, (void)progress;
    return OkStatus();
  }
  virtual Status OnEpochEnd(const TrainingView& view, const TrainingProgress& progress) {
    (void)view, (void)progress;
    return OkStatus();
  }
  virtual Status OnEnd(const TrainingView& view, const TrainingProgress& progress) {
    (void)view, (void)progress;
    return OkStatus();
  }
};

}  // namespace relayout
