// SPDX-License-Identifier: Apache-2.0
//
// The callbacks of a training that Python gave, as one Callback.
//
//   callbacks on each rank   local: LossMonitor, Python's own    called
//                            shared: ModelCheckpoint             collective by themselves
//
// Ranks may have different local ones, a LossMonitor on rank 0 only, so to Model they are one
// callback, after which all ranks agree. That one that raises keeps no other rank waiting, they
// agree before each shared one too, unless no rank has a local one. The shared ones must be as many
// on all ranks; that is looked at when training begins.
#pragma once

#include <nanobind/nanobind.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "python/src/train/rank.h"
#include "relayout/train/loss_monitor.h"
#include "relayout/train/model_checkpoint.h"

namespace relayout::python {

// LossMonitor as Python makes it. `sink` takes a line.
struct MonitorSpec {
  int64_t per_print_times = 1;
  LossLineStyle style = LossLineStyle::kLossMonitor;
  nanobind::object sink;
};

class CallbackChain final : public Callback {
 public:
  // With the GIL, also when it is destroyed. Each of `callbacks` is a MonitorSpec, a
  // ModelCheckpoint, or a function of an event's name and TrainingProgress's numbers: what calls
  // Python's own. Throws for anything else.
  CallbackChain(Rank& rank, const nanobind::list& callbacks);

  Status OnBegin(const TrainingView& view) override;
  Status OnStepEnd(const TrainingView& view, const TrainingProgress& progress) override;
  Status OnEpochEnd(const TrainingView& view, const TrainingProgress& progress) override;
  Status OnEnd(const TrainingView& view, const TrainingProgress& progress) override;

 private:
  struct Link {
    Callback* callback = nullptr;
    std::unique_ptr<Callback> own = {};  // Of a local one.
    bool is_shared() const { return own == nullptr; }
  };

  Status Compare(Comm& comm);
  Status Call(Comm& comm, const std::function<Status(Callback&)>& event);

  nanobind::list callbacks_;  // Keeps what the links point to.
  std::vector<Link> links_;
  bool agrees_ = false;
};

}  // namespace relayout::python
