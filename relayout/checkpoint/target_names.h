// SPDX-License-Identifier: Apache-2.0
//
// How the files of a set are called, below its directory.
//
//   by rank   rank_0/checkpoint_0.ckpt, rank_1/checkpoint_1.ckpt, ...
//   unified   part0.safetensors, part1.safetensors, hyper_param.safetensors, param_name_map.json
//
// A unified set has no ranks: each of its files holds some values whole. To the writer they are
// numbered like ranks: the parts, then the other two.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "relayout/base/status.h"
#include "relayout/format/file_index.h"

namespace relayout {

// MindSpore's names.
inline constexpr char kHyperParamFile[] = "hyper_param.safetensors";
inline constexpr char kParamNameMapFile[] = "param_name_map.json";
// Hugging Face's maps of names end so.
inline constexpr std::string_view kModelIndexEnding = ".safetensors.index.json";

struct TargetNames {
  // Rank r is rank_<r>/<prefix><r><extension> ...
  std::string prefix = "checkpoint_";
  // ... or rank_<r>/<file_name><extension>.
  std::string file_name = {};
  // The number of files of a unified set, the map of names being the last.
  std::optional<int64_t> unified_file_count = {};
  int64_t part_count = 0;  // The first files of a unified set.
};

// Fails on a prefix or name that leads out of its folder.
Status CheckTargetNames(const TargetNames& names);

// "rank_3/checkpoint_3.ckpt".
std::string RelativePath(const TargetNames& names, FileFormat format, int64_t rank);

// Is a file of this name, directly in a set's directory, one of a unified set?
bool IsUnifiedName(std::string_view file_name);

}  // namespace relayout
