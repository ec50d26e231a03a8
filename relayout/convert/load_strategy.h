// SPDX-License-Identifier: Apache-2.0
//
// A strategy as a user names it: one file, or a folder with one file a stage (or a rank).
#pragma once

#include <memory>
#include <string>

#include "relayout/base/status.h"
#include "relayout/format/strategy_file.h"
#include "relayout/io/file_system.h"
#include "relayout/layout/strategy.h"

namespace relayout {

// Reads `path`. A folder is merged in memory as MergeStrategies does. Fails on a file of one stage
// of several: it says nothing about the others' ranks. Names are added to `names` (null: its own).
Result<Strategy> LoadStrategy(FileSystem& fs, const std::string& path,
                              std::shared_ptr<NameTable> names = nullptr);

// Files of all stages in a folder of stage files. MindFormers leaves merged_ckpt_strategy.ckpt
// beside the others.
enum class MergedFiles { kRefuse, kMustAgree };

// Reads all *.ckpt or all *.json of `directory` but `excluded_path` and merges them: one stage
// each.
//
// Files of one stage must agree (a file a rank is what training leaves). A stage that owns no
// parameter writes a file without layouts; its stage then comes from its operators, or from its
// name when the numbers that the other names end in are their stages or their ranks. Fails when
// both kinds are there, none is, two files of a stage differ, a stage is missing, or a file is
// merged already, unless `merged_files` lets it be there.
Result<StrategyFile> MergeStageFiles(FileSystem& fs, const std::string& directory,
                                     const std::string& excluded_path, MergedFiles merged_files);

}  // namespace relayout
