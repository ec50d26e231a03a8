// SPDX-License-Identifier: Apache-2.0
//
// Element types. relayout moves bits and never computes with them, so a type is a size and a name.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace relayout {

enum class DType : uint8_t {
  kBool,
  kInt4,  // Two values in a byte; shapes count bytes, as in the files (MindSpore's qint4x2).
  kInt8,
  kUInt8,
  kInt16,
  kUInt16,
  kInt32,
  kUInt32,
  kInt64,
  kUInt64,
  kFloat8E4M3,
  kFloat8E5M2,
  kHiFloat8,
  kFloat16,
  kBFloat16,
  kFloat32,
  kFloat64,
  kComplex64,
  kComplex128,
};
inline constexpr int kDTypeCount = static_cast<int>(DType::kComplex128) + 1;

// Bytes of one stored element (1 for kInt4).
int64_t ElementSize(DType dtype);

// The short name of our notation: "bool", "i4", "i8", "u8", "bf16", "f32", "f8e4m3", "c64", ...
std::string_view ShortName(DType dtype);
std::optional<DType> DTypeFromShortName(std::string_view name);

}  // namespace relayout
