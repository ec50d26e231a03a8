// SPDX-License-Identifier: Apache-2.0
//
// Helpers of this module's tests and fuzzers; not part of the library.
#pragma once

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "relayout/base/check.h"
#include "relayout/base/hash.h"
#include "relayout/base/text.h"
#include "relayout/format/file_index.h"
#include "relayout/io/memory_file.h"

namespace relayout::testing_support {

// Name, type and shape of each value: "w:f32[2,4] str s[8] map m".
inline std::string TypeText(const StoredValue& value) {
  if (value.kind == ValueKind::kMapTensor) return "map " + value.name;
  if (value.kind == ValueKind::kString) return "str " + value.name + ToText(value.shape);
  return Format("{}:{}{}", value.name, ShortName(value.dtype), ToText(value.shape));
}

inline std::string Types(const FileIndex& index) {
  std::string text;
  for (const StoredValue& value : index.values) {
    if (!text.empty()) text += ' ';
    text += TypeText(value);
  }
  return text;
}

// With offset and size of each extent: "w:f32[2,4]@24+32".
inline std::string Summary(const FileIndex& index) {
  std::string text;
  for (const StoredValue& value : index.values) {
    if (!text.empty()) text += ' ';
    text += TypeText(value);
    for (const Extent& extent : value.extents) {
      text += Format("@{}+{}", extent.offset_bytes, extent.size_bytes);
    }
  }
  return text;
}

// What readers promise of the index of a file of `size_bytes`; a CHECK failure otherwise.
inline void CheckIndex(const FileIndex& index, int64_t size_bytes) {
  std::unordered_set<std::string> names;
  for (const StoredValue& value : index.values) {
    RELAYOUT_CHECK(!value.name.empty() && IsUtf8(value.name) && names.insert(value.name).second);
    RELAYOUT_CHECK(TotalBytes(value.extents) == SizeBytes(value));
    for (const Extent& extent : value.extents) {
      RELAYOUT_CHECK(extent.offset_bytes >= 0 && extent.size_bytes > 0);
      RELAYOUT_CHECK(extent.size_bytes <= size_bytes - extent.offset_bytes);
    }
  }
}

// The file of an image, its payload 'p' bytes. A CHECK failure unless headers and extents tile it.
inline std::string Fill(const FileImage& image) {
  std::string bytes(static_cast<size_t>(image.size_bytes), 'p');
  std::vector<Extent> parts;
  for (const auto& extents : image.extents)
    parts.insert(parts.end(), extents.begin(), extents.end());
  for (const FileImage::Segment& header : image.headers) {
    parts.push_back({header.offset_bytes, std::ssize(header.bytes)});
  }
  std::sort(parts.begin(), parts.end(),
            [](const Extent& a, const Extent& b) { return a.offset_bytes < b.offset_bytes; });
  int64_t position = 0;
  for (const Extent& part : parts) {
    RELAYOUT_CHECK(part.offset_bytes == position && part.size_bytes > 0);
    position += part.size_bytes;
  }
  RELAYOUT_CHECK(position == image.size_bytes);
  for (const FileImage::Segment& header : image.headers) {
    bytes.replace(static_cast<size_t>(header.offset_bytes), header.bytes.size(), header.bytes);
  }
  return bytes;
}

// The bytes of a value.
inline std::string Gather(const std::string& file, std::span<const Extent> extents) {
  std::string bytes;
  for (const Extent& extent : extents) {
    bytes += file.substr(static_cast<size_t>(extent.offset_bytes),
                         static_cast<size_t>(extent.size_bytes));
  }
  return bytes;
}

// The file of an image of the values of `index`, with their payload from `source`.
inline std::string Fill(const FileImage& image, const FileIndex& index, const std::string& source) {
  std::string bytes = Fill(image);
  for (size_t i = 0; i < image.extents.size(); ++i) {
    std::string payload = Gather(source, index.values[i].extents);
    for (const Extent& extent : image.extents[i]) {
      const auto size = static_cast<size_t>(extent.size_bytes);
      bytes.replace(static_cast<size_t>(extent.offset_bytes), size, payload.substr(0, size));
      payload.erase(0, size);
    }
  }
  return bytes;
}

inline uint32_t CrcOf(const std::string& bytes) {
  return Crc32(0, std::as_bytes(std::span(bytes)));
}

// A file that counts what is read of it.
class CountingFile final : public ReadableFile {
 public:
  CountingFile(std::string path, std::string bytes) : file_(std::move(path), std::move(bytes)) {}
  int64_t size_bytes() const override { return file_.size_bytes(); }
  const std::string& path() const override { return file_.path(); }
  Status ReadAt(int64_t offset_bytes, std::span<std::byte> buffer) const override {
    bytes_read_ += std::ssize(buffer);
    return file_.ReadAt(offset_bytes, buffer);
  }
  int64_t bytes_read() const { return bytes_read_; }

 private:
  MemoryFile file_;
  mutable int64_t bytes_read_ = 0;
};

#ifdef RELAYOUT_TEST_DATA
// A file of tests/data.
inline std::string ReadTestData(const std::string& name) {
  std::ifstream file(std::string(RELAYOUT_TEST_DATA) + "/" + name, std::ios::binary);
  RELAYOUT_CHECK(file.good());
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}
#endif

}  // namespace relayout::testing_support
