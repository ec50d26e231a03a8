// SPDX-License-Identifier: Apache-2.0
//
// Unified sets: the whole model in a few safetensors files, as MindSpore's unified_safetensors
// writes it and as others exchange models.
//
//   part0.safetensors ...     every tensor whole; parts of about the same size
//   hyper_param.safetensors   what no strategy knows: learning rate, step, ...
//   param_name_map.json       {"metadata":{"total_size":n},"weight_map":{name:"part0.safetensors"}}
//
// To plan and executor each of these files is a target rank that holds some values whole.
//
// Values are dealt to the parts as MindSpore does: the largest first, each to the part that has the
// fewest bytes so far.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "relayout/base/status.h"

namespace relayout {

class TargetValues;

struct UnifiedOptions {
  // There are as many parts as multiples of this that the tensors fill, the last one perhaps in
  // part.
  int64_t part_bytes = int64_t{3} << 30;
  // Of `task_count` runs, on one machine or several, this is number `task` from 0 on: each writes
  // its share of the parts, the first one also the other files.
  int64_t task = 0;
  int64_t task_count = 1;
};

// Fails on sizes and numbers that make no sense.
Status CheckUnifiedOptions(const UnifiedOptions& options);

struct UnifiedSet {
  int64_t part_count = 0;
  int64_t file_count = 0;  // Parts, hyper parameters if there are any, the map.
  // The files that this task writes, ascending.
  std::vector<int64_t> my_files;
  std::string name_map;  // The text of param_name_map.json.

  int64_t map_file() const { return file_count - 1; }
};

// Deals `values` to files: afterwards each is whole on one "rank", the number of its file.
UnifiedSet DealToFiles(TargetValues& values, const UnifiedOptions& options);

}  // namespace relayout
