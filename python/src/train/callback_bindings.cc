// SPDX-License-Identifier: Apache-2.0
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <new>
#include <optional>
#include <utility>

#include "python/src/text.h"
#include "python/src/train/bindings.h"
#include "python/src/train/callback_chain.h"
#include "python/src/train/checkpoints.h"

namespace nb = nanobind;

namespace relayout::python {
namespace {

// As Python's CheckpointConfig has it.
CheckpointConfig ConfigOf(const nb::dict& given) {
  CheckpointConfig config;
  config.save_checkpoint_steps = nb::cast<int64_t>(given["save_checkpoint_steps"]);
  config.save_checkpoint_seconds = nb::cast<int64_t>(given["save_checkpoint_seconds"]);
  config.keep_checkpoint_max = nb::cast<int64_t>(given["keep_checkpoint_max"]);
  config.keep_checkpoint_per_n_minutes = nb::cast<int64_t>(given["keep_checkpoint_per_n_minutes"]);
  config.integrated_save = nb::cast<bool>(given["integrated_save"]);
  config.append_info.epoch_num = nb::cast<std::optional<int64_t>>(given["epoch_num"]);
  config.append_info.step_num = nb::cast<std::optional<int64_t>>(given["step_num"]);
  for (const nb::handle value : nb::cast<nb::list>(given["values"])) {
    config.append_info.values.push_back(ValueFromPython(nb::cast<nb::tuple>(value)));
  }
  config.format = nb::cast<std::string>(given["format"]) == "safetensors"
                      ? FileFormat::kSafetensors
                      : FileFormat::kMindSporeCheckpoint;
  return config;
}

}  // namespace

void BindCallbacks(nb::module_& module) {
  nb::class_<MonitorSpec>(module, "LossMonitor", "See relayout/train/loss_monitor.h.")
      .def(
          "__init__",
          [](MonitorSpec* self, int64_t per_print_times, bool is_tutorial, nb::object sink) {
            new (self) MonitorSpec{
                .per_print_times = per_print_times,
                .style = is_tutorial ? LossLineStyle::kTutorial : LossLineStyle::kLossMonitor,
                .sink = std::move(sink)};
          },
          nb::arg("per_print_times"), nb::arg("is_tutorial"), nb::arg("sink"));
  nb::class_<ModelCheckpoint>(module, "ModelCheckpoint", "See relayout/train/model_checkpoint.h.")
      .def(
          "__init__",
          [](ModelCheckpoint* self, const std::string& prefix, nb::handle directory,
             const nb::dict& config) {
            new (self)
                ModelCheckpoint(Files(), prefix, PathFromPython(directory), ConfigOf(config));
          },
          nb::arg("prefix"), nb::arg("directory"), nb::arg("config"))
      .def_prop_ro("latest_file",
                   [](const ModelCheckpoint& self) { return PathToPython(self.latest_file()); });
}

}  // namespace relayout::python
