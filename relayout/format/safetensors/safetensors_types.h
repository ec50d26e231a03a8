// SPDX-License-Identifier: Apache-2.0
//
// Names of element types in safetensors headers, and the metadata that MindSpore adds.
#pragma once

#include <optional>
#include <string_view>

#include "relayout/base/dtype.h"

namespace relayout::safetensors {

inline constexpr std::string_view kMetadataKey = "__metadata__";
// MindSpore: {"format":"ms"}, and "<name>":"Int4" for tensors that are Int4 stored as I8.
inline constexpr std::string_view kFormatKey = "format";
inline constexpr std::string_view kFormatValue = "ms";
inline constexpr std::string_view kInt4 = "Int4";

// "F32" and so on, "I8" for kInt4; nothing for types that the format lacks.
std::optional<std::string_view> TypeNameOf(DType dtype);
std::optional<DType> DTypeOfTypeName(std::string_view name);

// The place of a type in the order that the safetensors library sorts by when it writes; larger
// comes first. Types of larger elements have larger places.
int SortRank(DType dtype);

}  // namespace relayout::safetensors
