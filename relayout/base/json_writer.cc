// SPDX-License-Identifier: Apache-2.0
#include "relayout/base/json_writer.h"

#include <algorithm>

#include "relayout/base/text.h"

namespace relayout {

JsonWriter& JsonWriter::Begin(char bracket) {
  Separate();
  text_ += bracket;
  ++depth_;
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::End(char bracket) {
  RELAYOUT_CHECK(depth_ > 0);
  text_ += bracket;
  --depth_;
  needs_comma_ = true;
  return *this;
}

void JsonWriter::Separate() {
  if (needs_comma_) text_ += ',';
  needs_comma_ = true;
}

void JsonWriter::Quote(std::string_view value) {
  text_ += '"';
  while (!value.empty()) {
    const char c = value[0];
    const auto byte = static_cast<unsigned char>(c);
    size_t length = 1;
    if (c == '"' || c == '\\') {
      text_ += '\\';
      text_ += c;
    } else if (byte < 0x20) {
      text_ += Format("\\u{:04x}", byte);
    } else if (byte < 0x80) {
      text_ += c;
    } else {
      // The shortest prefix that is well-formed is one code point.
      for (length = 2; length <= 4 && length <= value.size(); ++length) {
        if (IsUtf8(value.substr(0, length))) break;
      }
      if (length > 4 || length > value.size()) {
        text_ += "\xEF\xBF\xBD";
        length = 1;
      } else {
        text_ += value.substr(0, length);
      }
    }
    value.remove_prefix(length);
  }
  text_ += '"';
}

JsonWriter& JsonWriter::Key(std::string_view key) {
  Separate();
  Quote(key);
  text_ += ':';
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::String(std::string_view value) {
  Separate();
  Quote(value);
  return *this;
}

JsonWriter& JsonWriter::Int(int64_t value) {
  Separate();
  text_ += std::to_string(value);
  return *this;
}

JsonWriter& JsonWriter::Double(double value) {
  Separate();
  text_ += Format("{:.6g}", value);
  return *this;
}

JsonWriter& JsonWriter::Bool(bool value) {
  Separate();
  text_ += value ? "true" : "false";
  return *this;
}

JsonWriter& JsonWriter::Null() {
  Separate();
  text_ += "null";
  return *this;
}

JsonWriter& JsonWriter::Array(const Dims& values) {
  BeginArray();
  for (const int64_t value : values) Int(value);
  return EndArray();
}

const std::string& JsonWriter::text() const {
  RELAYOUT_CHECK(depth_ == 0);
  return text_;
}

}  // namespace relayout
