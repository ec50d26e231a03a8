// SPDX-License-Identifier: Apache-2.0
//
// Callbacks that look at the loss.
//
//   LossMonitor monitor([](std::string_view line) { std::cout << line << '\n'; });
//
//   epoch: 1 step: 20, loss is 0.10617773979902267
//
// This is the line of MindSpore 2.10's LossMonitor: the step counted within the epoch, the float
// with the digits that Python gives it as a double. MindSpore's tutorial prints its own, with
// numpy's digits:
//
//   epoch: 1, step: 20, loss is 0.10617774
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/train/callback.h"

namespace relayout {

enum class LossLineStyle { kLossMonitor, kTutorial };

// The line, without a line feed.
std::string LossLine(const TrainingProgress& progress,
                     LossLineStyle style = LossLineStyle::kLossMonitor);

// As Python prints a float, and as numpy prints a float32: the fewest digits that read back as the
// same number, "1e-05" below 0.0001 and from 1e16 on.
std::string PythonDigits(double value);
std::string PythonDigits(float value);

// Hands a line to `sink` every `per_print_times` steps (0: never), counted through all epochs. A
// loss that is NaN or infinite is a failure in any case.
class LossMonitor final : public Callback {
 public:
  using Sink = std::function<void(std::string_view line)>;
  explicit LossMonitor(Sink sink, int64_t per_print_times = 1,
                       LossLineStyle style = LossLineStyle::kLossMonitor);

  Status OnBegin(const TrainingView& view) override;
  Status OnStepEnd(const TrainingView& view, const TrainingProgress& progress) override;

 private:
  const Sink sink_;
  const int64_t per_print_times_;
  const LossLineStyle style_;
  int64_t last_print_step_ = 0;
};

// Keeps the loss of each step, for a curve. Trainings one after the other are kept one after the
// other.
class LossRecorder final : public Callback {
 public:
  Status OnStepEnd(const TrainingView& view, const TrainingProgress& progress) override;

  // In the order of the steps.
  const std::vector<float>& losses() const { return losses_; }
  // "step,loss", then a line a step: "1,2.302585". Steps count from first_step.
  std::string Csv(int64_t first_step = 1) const;

 private:
  std::vector<float> losses_;
};

}  // namespace relayout
