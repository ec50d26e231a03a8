// SPDX-License-Identifier: Apache-2.0
//
// Reads one checkpoint file into memory, as MindSpore's load_checkpoint.
//
//   RELAYOUT_ASSIGN_OR_RETURN(const LoadedCheckpoint checkpoint,
//                             LoadCheckpoint(fs, "rank_0/net-2_20.ckpt"));
//   IntegerOf(*checkpoint.Find("epoch_num"))    // 2
//
// The name says the format: .ckpt or .safetensors. Values of any element type, and text, are kept
// as they are. A .ckpt that ends in MindSpore's CRC-32 is held against it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/io/file_system.h"
#include "relayout/train/checkpoint_value.h"

namespace relayout {

struct LoadedCheckpoint {
  std::string path;
  std::vector<CheckpointValue> values;  // In file order; names are unique.

  // Null when there is none.
  const CheckpointValue* Find(std::string_view name) const;
};

// Which values to read; the others cost nothing. As in MindSpore, choice_func counts only where no
// prefix is given; unlike there, prefixes choose in safetensors files too.
struct LoadCheckpointOptions {
  // Not empty: only names that begin with one of these.
  std::vector<std::string> specify_prefix = {};
  // No names that begin with one of these.
  std::vector<std::string> filter_prefix = {};
  // Not null: only names for which it is true.
  std::function<bool(std::string_view name)> choice_func = {};
};

// Errors name the file. Fails also when no value is chosen, on a chosen value that is a hash table
// (MapTensor: leave it out), and on an empty prefix.
Result<LoadedCheckpoint> LoadCheckpoint(FileSystem& fs, const std::string& path,
                                        const LoadCheckpointOptions& options = {});

}  // namespace relayout
