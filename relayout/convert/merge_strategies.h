// SPDX-License-Identifier: Apache-2.0
//
// MindSpore's merge_pipeline_strategys: the strategy files of all pipeline stages as one.
#pragma once

#include <string>

#include "relayout/base/status.h"
#include "relayout/io/file_system.h"

namespace relayout {

struct MergeReport {
  int64_t stage_count = 0;
  int64_t parameter_count = 0;
  int64_t rank_count = 0;
};

// Merges the *.ckpt or *.json files of `directory` (see MergeStageFiles) into `output_path`, JSON
// when it ends in .json, else protobuf; its folder is created. The file appears whole or not at
// all. An existing one is replaced only with `overwrite`.
Result<MergeReport> MergeStrategies(FileSystem& fs, const std::string& directory,
                                    const std::string& output_path, bool overwrite);

}  // namespace relayout
