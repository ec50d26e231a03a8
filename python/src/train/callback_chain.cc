// SPDX-License-Identifier: Apache-2.0
#include "python/src/train/callback_chain.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "relayout/base/text.h"

namespace nb = nanobind;

namespace relayout::python {
namespace {

// A function of Python that is told events.
class PythonCallback final : public Callback {
 public:
  PythonCallback(Rank& rank, nb::handle function) : rank_(rank), function_(function) {}

  Status OnBegin(const TrainingView& /*view*/) override {
    return rank_.Guard([&] { function_("on_begin"); });
  }
  Status OnStepEnd(const TrainingView& /*view*/, const TrainingProgress& progress) override {
    return Tell("on_step_end", progress);
  }
  Status OnEpochEnd(const TrainingView& /*view*/, const TrainingProgress& progress) override {
    return Tell("on_epoch_end", progress);
  }
  Status OnEnd(const TrainingView& /*view*/, const TrainingProgress& progress) override {
    return Tell("on_end", progress);
  }

 private:
  Status Tell(const char* event, const TrainingProgress& progress) {
    return rank_
        .Guard([&] {
          function_(event, progress.epoch, progress.epoch_count, progress.step_in_epoch,
                    progress.steps_per_epoch, progress.step, progress.loss);
        })
        .WithContext(event);
  }

  Rank& rank_;
  const nb::handle function_;
};

// LossMonitor, whose lines go to a function of Python.
class PythonMonitor final : public Callback {
 public:
  PythonMonitor(Rank& rank, const MonitorSpec& spec)
      : rank_(rank),
        sink_(spec.sink),
        monitor_([this](std::string_view line) { lines_.emplace_back(line); }, spec.per_print_times,
                 spec.style) {}

  Status OnBegin(const TrainingView& view) override { return monitor_.OnBegin(view); }
  Status OnStepEnd(const TrainingView& view, const TrainingProgress& progress) override {
    RELAYOUT_RETURN_IF_ERROR(monitor_.OnStepEnd(view, progress));
    for (const std::string& line : std::exchange(lines_, {})) {
      RELAYOUT_RETURN_IF_ERROR(rank_.Guard([&] { sink_(nb::str(line.c_str())); }));
    }
    return OkStatus();
  }

 private:
  Rank& rank_;
  const nb::handle sink_;
  std::vector<std::string> lines_;
  LossMonitor monitor_;
};

}  // namespace

CallbackChain::CallbackChain(Rank& rank, const nb::list& callbacks) : callbacks_(callbacks) {
  for (const nb::handle callback : callbacks) {
    Link link;
    if (nb::isinstance<ModelCheckpoint>(callback)) {
      link.callback = nb::cast<ModelCheckpoint*>(callback);
    } else {
      if (nb::isinstance<MonitorSpec>(callback)) {
        link.own = std::make_unique<PythonMonitor>(rank, *nb::cast<MonitorSpec*>(callback));
      } else {
        link.own = std::make_unique<PythonCallback>(rank, callback);
      }
      link.callback = link.own.get();
    }
    links_.push_back(std::move(link));
  }
}

// Collective: whether the shared ones are as many everywhere, and anybody has local ones.
Status CallbackChain::Compare(Comm& comm) {
  const auto shared = std::ranges::count_if(links_, &Link::is_shared);
  const bool has_local = shared != std::ssize(links_);
  RELAYOUT_ASSIGN_OR_RETURN(const auto all,
                            comm.AllGather(Format("{}{}", has_local ? '+' : '-', shared)));
  agrees_ = false;
  for (size_t rank = 0; rank < all.size(); ++rank) {
    agrees_ = agrees_ || all[rank].front() == '+';
    if (all[rank].substr(1) == all[0].substr(1)) continue;
    return InvalidInput(
        Format("rank 0 has {} ModelCheckpoint callbacks and rank {} has {}; it saves on all ranks "
               "together, so give one on each",
               all[0].substr(1), rank, all[rank].substr(1)));
  }
  return OkStatus();
}

Status CallbackChain::Call(Comm& comm, const std::function<Status(Callback&)>& event) {
  Status local;
  for (const Link& link : links_) {
    if (!link.is_shared()) {
      if (local.ok()) local = event(*link.callback);
      continue;
    }
    if (agrees_) RELAYOUT_RETURN_IF_ERROR(Agree(comm, local));
    RELAYOUT_RETURN_IF_ERROR(event(*link.callback));
  }
  return local;
}

Status CallbackChain::OnBegin(const TrainingView& view) {
  RELAYOUT_RETURN_IF_ERROR(Compare(view.comm));
  return Call(view.comm, [&](Callback& callback) { return callback.OnBegin(view); });
}

Status CallbackChain::OnStepEnd(const TrainingView& view, const TrainingProgress& progress) {
  return Call(view.comm, [&](Callback& callback) { return callback.OnStepEnd(view, progress); });
}

Status CallbackChain::OnEpochEnd(const TrainingView& view, const TrainingProgress& progress) {
  return Call(view.comm, [&](Callback& callback) { return callback.OnEpochEnd(view, progress); });
}

Status CallbackChain::OnEnd(const TrainingView& view, const TrainingProgress& progress) {
  return Call(view.comm, [&](Callback& callback) { return callback.OnEnd(view, progress); });
}

}  // namespace relayout::python
