// SPDX-License-Identifier: Apache-2.0
//
// Training steps over the border: (epoch, step) or None.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <optional>
#include <utility>

#include "relayout/checkpoint/rank_files.h"
#include "relayout/convert/checkpoint_set.h"

namespace relayout::python {

std::optional<TrainingStep> StepFromPython(const std::optional<std::pair<int64_t, int64_t>>& step);
nanobind::object StepToPython(const std::optional<TrainingStep>& step);

}  // namespace relayout::python
