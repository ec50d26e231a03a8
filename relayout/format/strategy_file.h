// SPDX-License-Identifier: Apache-2.0
//
// Strategy files, protobuf and JSON, of one stage or merged. The one door for all of them.
#pragma once

#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/io/file_system.h"
#include "relayout/layout/strategy.h"

namespace relayout {

class StrategyRecords;

// What one strategy file says, names as they are meant (without the stage prefix of merged files).
struct StrategyFile {
  struct Operator {
    std::string name;
    int64_t stage = 0;
    std::vector<std::vector<int64_t>> strategy;  // Cuts of each input.
  };
  struct StageLayouts {
    int64_t stage = 0;
    StageStrategy layouts;
  };
  // True when every parameter was named "<stage>-<name>": written by a merge.
  bool merged = false;
  // MindSpore's save counter; carries no meaning.
  int64_t current_stage = 0;
  std::vector<Operator> operators;
  // Ascending stages. Not merged: one entry, whose stage is that of the first operator (0 if none).
  std::vector<StageLayouts> stages;
};

// "x.json" is JSON, any other name protobuf, as in MindSpore. Errors name the file and the
// parameter.
Result<StrategyFile> ReadStrategyFile(FileSystem& fs, const std::string& path);
// The same in MindSpore's words, uninterpreted: see mindspore/strategy_record.h.
Result<StrategyRecords> ReadStrategyRecords(FileSystem& fs, const std::string& path);

// The files of all stages as one, in merged form. A stage without parameters and operators gets an
// operator that tells a reader that it is there.
// @pre file i is of stage i and not merged
StrategyFile MergedStages(std::vector<StrategyFile> stage_files);

// The bytes of a strategy file; merged form ("<stage>-<name>") if `file.merged`. For a file that
// MindSpore wrote these are its own bytes again, unless it used the notation for dims cut by
// several axes where no dim is.
std::string SerializeStrategyProtobuf(const StrategyFile& file);
// JSON cannot say that a dimension is cut by several axes: such tensor_map entries become lists,
// which relayout reads back and MindSpore does not.
std::string SerializeStrategyJson(const StrategyFile& file);

}  // namespace relayout
