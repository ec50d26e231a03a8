// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/checkpoint_value.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "relayout/base/check.h"
#include "relayout/base/text.h"

namespace relayout {
namespace {

constexpr uint32_t kReplacement = 0xFFFD;

template <typename T>
CheckpointValue OfOne(std::string name, DType dtype, T value) {
  CheckpointValue made;
  made.name = std::move(name);
  made.dtype = dtype;
  made.bytes.resize(sizeof(T));
  std::memcpy(made.bytes.data(), &value, sizeof(T));
  return made;
}

template <typename T>
int64_t Read(const CheckpointValue& value) {
  T number;
  RELAYOUT_CHECK(value.bytes.size() == sizeof(T));
  std::memcpy(&number, value.bytes.data(), sizeof(T));
  return static_cast<int64_t>(number);
}

// How many bytes of UTF-8 follow one that begins with these bits.
int FollowingBytes(unsigned char first) {
  if (first < 0x80) return 0;
  return first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
}

// Takes a character off the front. @pre text is UTF-8 and not empty
uint32_t TakeCharacter(std::string_view& text) {
  const auto first = static_cast<unsigned char>(text.front());
  const int following = FollowingBytes(first);
  uint32_t character = following == 0 ? first : first & (0x3FU >> following);
  for (int i = 1; i <= following; ++i) {
    character = character << 6 | (static_cast<unsigned char>(text[static_cast<size_t>(i)]) & 0x3FU);
  }
  text.remove_prefix(static_cast<size_t>(following) + 1);
  return character;
}

void AppendUtf8(std::string& text, uint32_t character) {
  const bool is_surrogate = 0xD800 <= character && character < 0xE000;
  if (character > 0x10FFFF || is_surrogate) character = kReplacement;
  const auto tail = [&](int shift) {
    text += static_cast<char>(0x80U | (character >> shift & 0x3FU));
  };
  if (character < 0x80) {
    text += static_cast<char>(character);
  } else if (character < 0x800) {
    text += static_cast<char>(0xC0U | character >> 6);
    tail(0);
  } else if (character < 0x10000) {
    text += static_cast<char>(0xE0U | character >> 12);
    tail(6), tail(0);
  } else {
    text += static_cast<char>(0xF0U | character >> 18);
    tail(12), tail(6), tail(0);
  }
}

std::vector<uint32_t> Characters(const CheckpointValue& value) {
  std::vector<uint32_t> characters(value.bytes.size() / sizeof(uint32_t));
  std::memcpy(characters.data(), value.bytes.data(), characters.size() * sizeof(uint32_t));
  // numpy, which MindSpore writes and reads texts with, fills them up with zeros.
  while (!characters.empty() && characters.back() == 0) characters.pop_back();
  return characters;
}

}  // namespace

CheckpointValue IntegerValue(std::string name, int64_t value) {
  return OfOne(std::move(name), DType::kInt64, value);
}

CheckpointValue NumberValue(std::string name, float value) {
  return OfOne(std::move(name), DType::kFloat32, value);
}

CheckpointValue BoolValue(std::string name, bool value) {
  return OfOne(std::move(name), DType::kBool, static_cast<uint8_t>(value));
}

CheckpointValue TextValue(std::string name, std::string_view text) {
  RELAYOUT_CHECK(IsUtf8(text));
  CheckpointValue value;
  value.name = std::move(name);
  value.kind = ValueKind::kString;
  value.dtype = DType::kUInt8;
  const auto append = [&](uint32_t character) {
    const auto* bytes = reinterpret_cast<const std::byte*>(&character);
    value.bytes.insert(value.bytes.end(), bytes, bytes + sizeof(character));
  };
  // An empty text is one zero, in numpy and so in MindSpore's files.
  if (text.empty()) append(0);
  while (!text.empty()) append(TakeCharacter(text));
  value.shape.push_back(std::ssize(value.bytes));
  return value;
}

std::optional<int64_t> IntegerOf(const CheckpointValue& value) {
  if (value.kind != ValueKind::kTensor || ElementCount(value.shape) != 1) return std::nullopt;
  switch (value.dtype) {
    case DType::kBool:
    case DType::kUInt8:
      return Read<uint8_t>(value);
    case DType::kInt8:
      return Read<int8_t>(value);
    case DType::kInt16:
      return Read<int16_t>(value);
    case DType::kUInt16:
      return Read<uint16_t>(value);
    case DType::kInt32:
      return Read<int32_t>(value);
    case DType::kUInt32:
      return Read<uint32_t>(value);
    case DType::kInt64:
      return Read<int64_t>(value);
    default:
      return std::nullopt;
  }
}

std::optional<std::string> TextOf(const CheckpointValue& value) {
  if (value.kind != ValueKind::kString) return std::nullopt;
  std::string text;
  for (const uint32_t character : Characters(value)) AppendUtf8(text, character);
  return text;
}

SavedValue ViewOf(const CheckpointValue& value) {
  return {value.name, value.kind, value.dtype, value.shape, value.bytes};
}

SavedValue ViewOf(const StateTensor& tensor) {
  return {tensor.name, ValueKind::kTensor, tensor.value->dtype(), tensor.value->shape(),
          std::as_const(*tensor.value).bytes()};
}

std::string TypeText(const CheckpointValue& value) {
  if (value.kind == ValueKind::kString) return "text";
  return Format("{}{}", ShortName(value.dtype), ToText(value.shape));
}

}  // namespace relayout
