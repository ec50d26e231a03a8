// SPDX-License-Identifier: Apache-2.0
//
// The field numbers of MindSpore's checkpoint messages and its names of element types.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "relayout/base/dtype.h"

namespace relayout::mindspore {

// message Checkpoint { repeated Value value = 1; }
inline constexpr int kCheckpointValue = 1;
// message Value { required string tag = 1; oneof { TensorProto tensor = 2; MapTensorProto = 3; } }
inline constexpr int kValueTag = 1;
inline constexpr int kValueTensor = 2;
inline constexpr int kValueMapTensor = 3;
// message TensorProto { repeated int64 dims = 1; required string tensor_type = 2;
//                       required bytes tensor_content = 3; }
inline constexpr int kTensorDims = 1;
inline constexpr int kTensorType = 2;
inline constexpr int kTensorContent = 3;

// The tensor_type of text.
inline constexpr std::string_view kStringType = "str";
// Bytes of one UTF-32 character.
inline constexpr int64_t kCharacterBytes = 4;

// "Float32" and so on.
std::string_view TypeNameOf(DType dtype);
std::optional<DType> DTypeOfTypeName(std::string_view name);

}  // namespace relayout::mindspore
