// SPDX-License-Identifier: Apache-2.0
//
// The values of a checkpoint file in memory: what load_checkpoint gives, and what is saved beside
// parameters. A value is a name, an element type, a shape and bytes; bytes are kept as they are in
// the file, since files hold types that nothing here calculates with: epoch_num is an int64.
//
//   IntegerValue("epoch_num", 2)    epoch_num i64[]  02 00 00 00 00 00 00 00
//   NumberValue("best", 0.5F)       best f32[]       00 00 00 3F
//   TextValue("note", "hé")         note, text       'h' 'é' as UTF-32LE
//
// These are what MindSpore writes for the int, float, bool and str of its append_info and
// append_dict.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/dims.h"
#include "relayout/base/dtype.h"
#include "relayout/format/file_index.h"
#include "relayout/train/model_state.h"

namespace relayout {

struct CheckpointValue {
  std::string name;
  ValueKind kind = ValueKind::kTensor;
  DType dtype = DType::kFloat32;
  Dims shape;
  // C order, little endian. @post as many as dtype and shape say
  std::vector<std::byte> bytes;
};

CheckpointValue IntegerValue(std::string name, int64_t value);
CheckpointValue NumberValue(std::string name, float value);
CheckpointValue BoolValue(std::string name, bool value);
// @pre text is UTF-8
CheckpointValue TextValue(std::string name, std::string_view text);

// The number in a value of one element of an integer type or bool; the text in one of text, as
// UTF-8, where what is no character becomes U+FFFD. Nothing for other values.
std::optional<int64_t> IntegerOf(const CheckpointValue& value);
std::optional<std::string> TextOf(const CheckpointValue& value);

// A value where it lies; valid as long as that. What is saved.
struct SavedValue {
  std::string_view name;
  ValueKind kind = ValueKind::kTensor;
  DType dtype = DType::kFloat32;
  Dims shape;
  std::span<const std::byte> bytes;
};

SavedValue ViewOf(const CheckpointValue& value);
// This rank's shard.
SavedValue ViewOf(const StateTensor& tensor);

// "f32[784,512]"; "text" for text.
std::string TypeText(const CheckpointValue& value);

}  // namespace relayout
