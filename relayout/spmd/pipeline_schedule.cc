// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/pipeline_schedule.h"

#include <algorithm>
#include <utility>

#include "relayout/base/check.h"

namespace relayout {
namespace {

using Action = PipelineAction;
using Kind = PipelineAction::Kind;

// Micro batches that a stage takes forward before its first one comes back.
int64_t WarmUp(int64_t stage, int64_t stage_count, int64_t micro_batch_count) {
  return std::min(micro_batch_count, stage_count - 1 - stage);
}

// The schedule of one stage; `exchange` is asked what goes over a boundary beside one of the two.
class Scheduler {
 public:
  Scheduler(int64_t stage, int64_t stage_count, int64_t micro_batch_count)
      : stage_(stage), stage_count_(stage_count), micro_batch_count_(micro_batch_count) {}

  std::vector<Action> Run() {
    const int64_t warm_up = WarmUp(stage_, stage_count_, micro_batch_count_);
    for (int64_t i = 0; i < warm_up; ++i) Forward(i);
    for (int64_t i = warm_up; i < micro_batch_count_; ++i) {
      Forward(i);
      Backward(i - warm_up);
    }
    for (int64_t i = micro_batch_count_ - warm_up; i < micro_batch_count_; ++i) Backward(i);
    return std::move(actions_);
  }

 private:
  // On the boundary behind stage `before` the values of micro batch i travel together with the
  // gradients of i - warm up of that stage, if there are such.
  int64_t BackwardBeside(int64_t before, int64_t forward) const {
    const int64_t backward = forward - WarmUp(before, stage_count_, micro_batch_count_);
    return backward >= 0 ? backward : Action::kNone;
  }
  int64_t ForwardBeside(int64_t before, int64_t backward) const {
    const int64_t forward = backward + WarmUp(before, stage_count_, micro_batch_count_);
    return forward < micro_batch_count_ ? forward : Action::kNone;
  }

  void Forward(int64_t i) {
    // What came beside gradients that this stage gave is here already.
    if (stage_ > 0 && BackwardBeside(stage_ - 1, i) == Action::kNone) {
      actions_.push_back({Kind::kExchangePrevious, i, Action::kNone});
    }
    actions_.push_back({Kind::kForward, i, Action::kNone});
    if (stage_ + 1 < stage_count_) {
      actions_.push_back({Kind::kExchangeNext, i, BackwardBeside(stage_, i)});
    }
  }

  void Backward(int64_t i) {
    if (stage_ + 1 < stage_count_ && ForwardBeside(stage_, i) == Action::kNone) {
      actions_.push_back({Kind::kExchangeNext, Action::kNone, i});
    }
    actions_.push_back({Kind::kBackward, Action::kNone, i});
    if (stage_ > 0) {
      actions_.push_back({Kind::kExchangePrevious, ForwardBeside(stage_ - 1, i), i});
    }
  }

  const int64_t stage_;
  const int64_t stage_count_;
  const int64_t micro_batch_count_;
  std::vector<Action> actions_;
};

}  // namespace

std::vector<PipelineAction> PipelineSchedule(int64_t stage, int64_t stage_count,
                                             int64_t micro_batch_count) {
  RELAYOUT_CHECK(0 <= stage && stage < stage_count && micro_batch_count >= 1);
  return Scheduler(stage, stage_count, micro_batch_count).Run();
}

int64_t MicroBatchesInFlight(int64_t stage, int64_t stage_count, int64_t micro_batch_count) {
  return std::min(micro_batch_count, WarmUp(stage, stage_count, micro_batch_count) + 1);
}

}  // namespace relayout
