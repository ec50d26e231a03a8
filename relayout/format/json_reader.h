// SPDX-License-Identifier: Apache-2.0
//
// JSON text from outside, with every access checked. Private to the module: the only place, with
// its users, that knows simdjson.
//
//   RELAYOUT_ASSIGN_OR_RETURN(const JsonDocument json, JsonDocument::Read(file, 0, size));
//   RELAYOUT_ASSIGN_OR_RETURN(const JsonObject root, JsonObject::Create(json.root(), "the file"));
//   RELAYOUT_ASSIGN_OR_RETURN(const JsonValue stage, root.Require("stage"));
//   RELAYOUT_ASSIGN_OR_RETURN(const int64_t n, JsonInteger(stage, "stage", 0, 100));
//
// Nesting is at most kMaxJsonDepth deep. A key that occurs twice in an object is an error: other
// readers keep one of the two, each another one. Integers are integers: 1.0 is refused.
// `what` names the value in errors, which do not name the file; the caller adds it.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/io/file_system.h"

namespace relayout {

inline constexpr size_t kMaxJsonDepth = 16;

// A view into a JsonDocument; cheap to copy.
using JsonValue = simdjson::dom::element;

class JsonDocument {
 public:
  // Parses bytes [offset_bytes, offset_bytes + size_bytes) of a file. @pre they lie inside it
  static Result<JsonDocument> Read(const ReadableFile& file, int64_t offset_bytes,
                                   int64_t size_bytes);
  JsonValue root() const { return root_; }

 private:
  JsonDocument() = default;

  std::unique_ptr<simdjson::dom::parser> parser_;  // Owns what root_ points at.
  JsonValue root_;
};

// The fields of an object, in the order of the text. Valid while the document lives.
class JsonObject {
 public:
  using Field = std::pair<std::string_view, JsonValue>;

  // Fails when `value` is no object or a key occurs twice.
  static Result<JsonObject> Create(JsonValue value, std::string_view what);

  const std::vector<Field>& fields() const { return fields_; }
  std::optional<JsonValue> Find(std::string_view key) const;
  // Fails when there is none.
  Result<JsonValue> Require(std::string_view key) const;

 private:
  JsonObject() = default;

  std::vector<Field> fields_;
  std::unordered_map<std::string_view, size_t> by_key_;
};

Result<int64_t> JsonInteger(JsonValue value, std::string_view what, int64_t lowest,
                            int64_t highest);
Result<std::string_view> JsonString(JsonValue value, std::string_view what);
// The entries of a list of at most `limit`.
Result<std::vector<JsonValue>> JsonList(JsonValue value, std::string_view what, size_t limit);
Result<std::vector<int64_t>> JsonIntegers(JsonValue value, std::string_view what, int64_t lowest,
                                          int64_t highest, size_t limit);

}  // namespace relayout
