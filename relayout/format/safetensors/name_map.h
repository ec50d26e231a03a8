// SPDX-License-Identifier: Apache-2.0
//
// The index beside a model in several safetensors files: which file holds which tensor. MindSpore
// calls it param_name_map.json, Hugging Face NAME.safetensors.index.json:
//
//   {"metadata": {"total_size": 64}, "weight_map": {"w": "part0.safetensors"}}
//
// Older MindSpore writes the weight_map alone.
#pragma once

#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/io/file_system.h"

namespace relayout {

struct NameMapEntry {
  std::string name;
  std::string file;  // A name without folders.
};

// Entries in the order of the file. Fails on anything but such a map, on names that occur twice and
// on files outside the map's folder; errors name the file.
Result<std::vector<NameMapEntry>> ReadNameMap(FileSystem& fs, const std::string& path);

}  // namespace relayout
