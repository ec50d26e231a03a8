// SPDX-License-Identifier: Apache-2.0
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>

#include "python/src/bindings.h"
#include "python/src/set_spec.h"
#include "python/src/text.h"

namespace nb = nanobind;

namespace relayout::python {
namespace {

std::map<int64_t, std::string> FilesFromPython(const nb::dict& files) {
  std::map<int64_t, std::string> file_of_rank;
  for (const auto& [rank, path] : files) {
    file_of_rank.emplace(nb::cast<int64_t>(rank), PathFromPython(path));
  }
  return file_of_rank;
}

}  // namespace

std::optional<TrainingStep> StepFromPython(const std::optional<std::pair<int64_t, int64_t>>& step) {
  if (!step) return std::nullopt;
  return TrainingStep{.epoch = step->first, .step = step->second};
}

nb::object StepToPython(const std::optional<TrainingStep>& step) {
  if (!step) return nb::none();
  return nb::make_tuple(step->epoch, step->step);
}

void BindSets(nb::module_& module) {
  nb::class_<CheckpointSetSpec>(module, "SetSpec", "What names a checkpoint set.")
      .def(
          "__init__",
          [](CheckpointSetSpec* spec, nb::handle path, const nb::dict& files, nb::handle strategy,
             const std::optional<std::pair<int64_t, int64_t>>& step, nb::handle file_suffix) {
            new (spec)
                CheckpointSetSpec{.path = OptionalPathFromPython(path).value_or(std::string()),
                                  .files = FilesFromPython(files),
                                  .strategy_path = OptionalPathFromPython(strategy),
                                  .step = StepFromPython(step),
                                  .file_suffix = PathFromPython(file_suffix)};
          },
          nb::arg("path").none(), nb::arg("files"), nb::arg("strategy").none(),
          nb::arg("step").none(), nb::arg("file_suffix"));
}

}  // namespace relayout::python
