// SPDX-License-Identifier: Apache-2.0
//
// Strategy files in JSON.
//
//   {"current_stage":2,
//    "parallel_strategy_item":{"MatMul_w":{"stage":0,"parallel_strategy":[[2,1],[1,2]]}},
//    "parallel_layout_item":{"w":{"dev_matrix":[2,4],"tensor_map":[0,-1],"tensor_shape":[8,8],
//                                 "field":0,"opt_weight_shard_step":4,"opt_weight_shard_size":-1,
//                                 "param_split_shape":[],"indices_offset":[]}}}
//
// Every key of a layout but tensor_shape, param_split_shape and indices_offset is required. An
// entry of tensor_map may be a list of axes; MindSpore neither writes nor reads that.
#pragma once

#include <string>

#include "relayout/base/status.h"
#include "relayout/format/mindspore/strategy_record.h"
#include "relayout/io/file_system.h"

namespace relayout {

// Errors name the parameter or operator and the key; not the file.
Result<StrategyRecords> ParseStrategyJson(const ReadableFile& file);

// Operators of one name, which an object cannot hold, get "_1", "_2" ... after the first.
std::string WriteStrategyJson(const StrategyRecords& records);

}  // namespace relayout
