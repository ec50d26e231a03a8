// SPDX-License-Identifier: Apache-2.0
#include "relayout/format/mindspore/checkpoint_types.h"

#include <array>

namespace relayout::mindspore {
namespace {

// In the order of DType.
constexpr std::array<std::string_view, kDTypeCount> kTypeNames = {
    "Bool",     "Int4",    "Int8",    "UInt8",        "Int16",      "UInt16",   "Int32",
    "UInt32",   "Int64",   "UInt64",  "Float8E4M3FN", "Float8E5M2", "HiFloat8", "Float16",
    "BFloat16", "Float32", "Float64", "Complex64",    "Complex128",
};

}  // namespace

std::string_view TypeNameOf(DType dtype) { return kTypeNames[static_cast<size_t>(dtype)]; }

std::optional<DType> DTypeOfTypeName(std::string_view name) {
  for (size_t i = 0; i < kTypeNames.size(); ++i) {
    if (kTypeNames[i] == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

}  // namespace relayout::mindspore
