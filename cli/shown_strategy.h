// SPDX-License-Identifier: Apache-2.0
//
// A strategy that is only looked at.
#pragma once

#include <cstdint>
#include <string>

#include "relayout/base/status.h"
#include "relayout/io/file_system.h"
#include "relayout/layout/strategy.h"

namespace relayout::cli {

struct ShownStrategy {
  Strategy strategy;
  int64_t first_stage = 0;  // What the file calls the strategy's stage 0.
};

// Reads a strategy file or a folder of stage files. The file of one stage of a pipeline says too
// little for a conversion, but can be shown; its ranks are then counted within the stage.
Result<ShownStrategy> LoadStrategyToShow(FileSystem& fs, const std::string& path);

}  // namespace relayout::cli
