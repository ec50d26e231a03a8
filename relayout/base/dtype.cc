// SPDX-License-Identifier: Apache-2.0
#include "relayout/base/dtype.h"

#include <array>

namespace relayout {
namespace {

struct DTypeInfo {
  std::string_view short_name;
  int64_t element_size_bytes;
};

// In the order of DType.
constexpr std::array<DTypeInfo, kDTypeCount> kInfo = {{
    {"bool", 1}, {"i4", 1},  {"i8", 1},  {"u8", 1},     {"i16", 2},    {"u16", 2},  {"i32", 4},
    {"u32", 4},  {"i64", 8}, {"u64", 8}, {"f8e4m3", 1}, {"f8e5m2", 1}, {"hif8", 1}, {"f16", 2},
    {"bf16", 2}, {"f32", 4}, {"f64", 8}, {"c64", 8},    {"c128", 16},
}};

}  // namespace

int64_t ElementSize(DType dtype) { return kInfo[static_cast<size_t>(dtype)].element_size_bytes; }

std::string_view ShortName(DType dtype) { return kInfo[static_cast<size_t>(dtype)].short_name; }

std::optional<DType> DTypeFromShortName(std::string_view name) {
  for (size_t i = 0; i < kInfo.size(); ++i) {
    if (kInfo[i].short_name == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

}  // namespace relayout
