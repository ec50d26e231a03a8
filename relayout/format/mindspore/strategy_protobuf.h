// SPDX-License-Identifier: Apache-2.0
//
// Strategy files in protobuf (package mindspore.straspb; docs/formats.md has the messages).
//
//   08 02                       current_stage 2
//   12 .. "MatMul_w" ..         an operator: its stage and the cuts of its inputs
//   1A 26                       a layout
//     0A 01 "w"                   param_name
//     12 21
//       0A 04 08 02 08 04         dev_matrix [2,4]
//       12 0D 08 00 08 FF..01     tensor_map [0,-1]
//       1A 00  22 00              param_split_shape, indices_offset: empty, but there
//       28 00  30 04  38 FF..01   field 0, opt_weight_shard_step 4, opt_weight_shard_size -1
//
// One TensorMap message lists one axis per dim; several list the axes of one dim each, and empty
// ones among them mark a 1-D tensor and are dropped.
#pragma once

#include <string>

#include "relayout/base/status.h"
#include "relayout/format/mindspore/strategy_record.h"
#include "relayout/io/file_system.h"

namespace relayout {

// Errors name the parameter or operator, and the byte; not the file.
Result<StrategyRecords> ParseStrategyProtobuf(const ReadableFile& file);

// The bytes MindSpore writes for these records.
std::string WriteStrategyProtobuf(const StrategyRecords& records);

}  // namespace relayout
