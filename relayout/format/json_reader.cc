// SPDX-License-Identifier: Apache-2.0
#include "relayout/format/json_reader.h"

#include <span>

#include "relayout/base/text.h"

namespace relayout {
namespace {

Status Expected(std::string_view expected, std::string_view what) {
  return InvalidInput(Format("{}: expected {}", Printable(what), expected));
}

}  // namespace

Result<JsonDocument> JsonDocument::Read(const ReadableFile& file, int64_t offset_bytes,
                                        int64_t size_bytes) {
  simdjson::padded_string text(static_cast<size_t>(size_bytes));
  if (text.data() == nullptr) return OutOfMemory("no memory for the JSON text");
  const std::span<char> buffer(text.data(), text.size());
  RELAYOUT_RETURN_IF_ERROR(file.ReadAt(offset_bytes, std::as_writable_bytes(buffer)));

  JsonDocument document;
  document.parser_ = std::make_unique<simdjson::dom::parser>();
  simdjson::error_code error = document.parser_->allocate(text.size(), kMaxJsonDepth);
  if (error == simdjson::SUCCESS) error = document.parser_->parse(text).get(document.root_);
  if (error == simdjson::MEMALLOC) return OutOfMemory("no memory to parse the JSON text");
  if (error == simdjson::DEPTH_ERROR) {
    return InvalidInput(Format("the JSON text is nested more than {} deep", kMaxJsonDepth));
  }
  if (error != simdjson::SUCCESS) {
    return InvalidInput(Format("not valid JSON: {}", simdjson::error_message(error)));
  }
  return document;
}

Result<JsonObject> JsonObject::Create(JsonValue value, std::string_view what) {
  simdjson::dom::object object;
  if (value.get(object) != simdjson::SUCCESS) return Expected("an object", what);
  JsonObject result;
  for (const auto field : object) {
    if (!result.by_key_.emplace(field.key, result.fields_.size()).second) {
      return InvalidInput(
          Format("{}: the key {} occurs twice", Printable(what), Printable(field.key)));
    }
    result.fields_.emplace_back(field.key, field.value);
  }
  return result;
}

std::optional<JsonValue> JsonObject::Find(std::string_view key) const {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return std::nullopt;
  return fields_[found->second].second;
}

Result<JsonValue> JsonObject::Require(std::string_view key) const {
  const auto value = Find(key);
  if (!value) return InvalidInput(Format("the key {} is missing", key));
  return *value;
}

Result<int64_t> JsonInteger(JsonValue value, std::string_view what, int64_t lowest,
                            int64_t highest) {
  int64_t number = 0;
  if (value.get(number) != simdjson::SUCCESS || number < lowest || number > highest) {
    return Expected(Format("an integer from {} to {}", lowest, highest), what);
  }
  return number;
}

Result<std::string_view> JsonString(JsonValue value, std::string_view what) {
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS) return Expected("a string", what);
  return text;
}

Result<std::vector<JsonValue>> JsonList(JsonValue value, std::string_view what, size_t limit) {
  simdjson::dom::array array;
  if (value.get(array) != simdjson::SUCCESS) return Expected("a list", what);
  std::vector<JsonValue> entries;
  for (const JsonValue entry : array) {
    if (entries.size() == limit) return Expected(Format("at most {} entries", limit), what);
    entries.push_back(entry);
  }
  return entries;
}

Result<std::vector<int64_t>> JsonIntegers(JsonValue value, std::string_view what, int64_t lowest,
                                          int64_t highest, size_t limit) {
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<JsonValue> entries, JsonList(value, what, limit));
  std::vector<int64_t> numbers;
  for (const JsonValue entry : entries) {
    RELAYOUT_ASSIGN_OR_RETURN(const int64_t number, JsonInteger(entry, what, lowest, highest));
    numbers.push_back(number);
  }
  return numbers;
}

}  // namespace relayout
