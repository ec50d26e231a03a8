// SPDX-License-Identifier: Apache-2.0
//
// Writes JSON text: strategy files, safetensors headers, --json output.
//
//   JsonWriter json;
//   json.BeginObject().Key("shape").BeginArray().Int(2).Int(4).EndArray().EndObject();
//   json.text()   // {"shape":[2,4]}
//
// Strings are written as UTF-8; bytes that are not UTF-8 become U+FFFD, so the text is always
// valid. Unbalanced calls are a CHECK failure at text().
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "relayout/base/dims.h"

namespace relayout {

class JsonWriter {
 public:
  JsonWriter& BeginObject() { return Begin('{'); }
  JsonWriter& EndObject() { return End('}'); }
  JsonWriter& BeginArray() { return Begin('['); }
  JsonWriter& EndArray() { return End(']'); }
  JsonWriter& Key(std::string_view key);
  JsonWriter& String(std::string_view value);
  JsonWriter& Int(int64_t value);
  JsonWriter& Double(double value);
  JsonWriter& Bool(bool value);
  JsonWriter& Null();
  // [2,4]
  JsonWriter& Array(const Dims& values);

  // @pre every object and array is closed
  const std::string& text() const;

 private:
  JsonWriter& Begin(char bracket);
  JsonWriter& End(char bracket);
  void Separate();
  void Quote(std::string_view value);

  std::string text_;
  int depth_ = 0;
  bool needs_comma_ = false;
};

}  // namespace relayout
