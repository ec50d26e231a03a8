// SPDX-License-Identifier: Apache-2.0
//
// A model in several safetensors files of one folder, each of which holds some tensors whole:
// MindSpore's unified sets, Hugging Face's sharded models, or one file alone.
//
//   model/part0.safetensors              model/model-00001-of-00002.safetensors
//   model/part1.safetensors              model/model-00002-of-00002.safetensors
//   model/hyper_param.safetensors        model/model.safetensors.index.json
//   model/param_name_map.json
//
// The map says which files belong to the model. To the rest of relayout they are numbered like
// ranks.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/checkpoint/catalog.h"
#include "relayout/format/safetensors/name_map.h"
#include "relayout/io/file_system.h"

namespace relayout {

struct UnifiedFiles {
  std::map<int64_t, std::string> path_of_rank;  // By name.
  std::string map_path;                         // Empty: one file, which needs no map.
  std::vector<NameMapEntry> map;
};

// Nothing when `directory` holds no such model but, say, rank folders. Fails when it holds both,
// several files without a map, two maps, or not all files of its map.
// `entries` are those of `directory`.
Result<std::optional<UnifiedFiles>> FindUnifiedFiles(FileSystem& fs, const std::string& directory,
                                                     const std::vector<DirectoryEntry>& entries);

// Are the tensors where the map says, and each in one file only?
Status CheckUnifiedFiles(const UnifiedFiles& files, const Catalog& catalog);

}  // namespace relayout
