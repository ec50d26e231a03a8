// SPDX-License-Identifier: Apache-2.0
#include "relayout/format/safetensors/safetensors_types.h"

#include <array>

#include "relayout/base/check.h"

namespace relayout::safetensors {
namespace {

struct Type {
  DType dtype;
  std::string_view name;
};

// In the library's order (its enum Dtype).
constexpr std::array<Type, 15> kTypes = {{{DType::kBool, "BOOL"},
                                          {DType::kUInt8, "U8"},
                                          {DType::kInt8, "I8"},
                                          {DType::kFloat8E5M2, "F8_E5M2"},
                                          {DType::kFloat8E4M3, "F8_E4M3"},
                                          {DType::kInt16, "I16"},
                                          {DType::kUInt16, "U16"},
                                          {DType::kFloat16, "F16"},
                                          {DType::kBFloat16, "BF16"},
                                          {DType::kInt32, "I32"},
                                          {DType::kUInt32, "U32"},
                                          {DType::kFloat32, "F32"},
                                          {DType::kFloat64, "F64"},
                                          {DType::kInt64, "I64"},
                                          {DType::kUInt64, "U64"}}};

int IndexOf(DType dtype) {
  const DType stored = dtype == DType::kInt4 ? DType::kInt8 : dtype;
  for (size_t i = 0; i < kTypes.size(); ++i) {
    if (kTypes[i].dtype == stored) return static_cast<int>(i);
  }
  return -1;
}

}  // namespace

std::optional<std::string_view> TypeNameOf(DType dtype) {
  const int index = IndexOf(dtype);
  if (index < 0) return std::nullopt;
  return kTypes[static_cast<size_t>(index)].name;
}

std::optional<DType> DTypeOfTypeName(std::string_view name) {
  for (const Type& type : kTypes) {
    if (type.name == name) return type.dtype;
  }
  return std::nullopt;
}

int SortRank(DType dtype) {
  const int index = IndexOf(dtype);
  RELAYOUT_CHECK(index >= 0);
  return index;
}

}  // namespace relayout::safetensors
