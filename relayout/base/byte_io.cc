// SPDX-License-Identifier: Apache-2.0
#include "relayout/base/byte_io.h"

#include <algorithm>
#include <limits>

#include "relayout/base/check.h"

namespace relayout {

void ByteWriter::Int(int64_t value) {
  // Small numbers of both signs become small: 0, -1, 1, -2 -> 0, 1, 2, 3.
  uint64_t rest = (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
  while (rest >= 0x80) {
    bytes_ += static_cast<char>(rest | 0x80);
    rest >>= 7;
  }
  bytes_ += static_cast<char>(rest);
}

void ByteWriter::Text(std::string_view text) {
  Int(static_cast<int64_t>(text.size()));
  bytes_ += text;
}

int64_t ByteReader::Int() {
  uint64_t value = 0;
  for (size_t i = 0; i < rest_.size() && i < 10; ++i) {
    const auto byte = static_cast<uint8_t>(rest_[i]);
    if (i == 9 && byte > 1) break;  // Beyond 64 bits.
    value |= static_cast<uint64_t>(byte & 0x7F) << (7 * i);
    if (byte < 0x80) {
      rest_.remove_prefix(i + 1);
      return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
    }
  }
  Fail();
  return 0;
}

int64_t ByteReader::IntIn(int64_t low, int64_t high) {
  const int64_t value = Int();
  if (value >= low && value <= high) return value;
  Fail();
  return 0;
}

size_t ByteReader::Count(size_t item_bytes) {
  RELAYOUT_CHECK(item_bytes > 0);
  const auto most = static_cast<int64_t>(rest_.size() / item_bytes);
  const auto count = static_cast<size_t>(IntIn(0, most));
  if (count * item_bytes <= rest_.size()) return count;
  Fail();
  return 0;
}

std::string_view ByteReader::Text() {
  const size_t size = Count();
  const std::string_view text = rest_.substr(0, size);
  rest_.remove_prefix(text.size());
  return text;
}

void WriteDims(ByteWriter& writer, const Dims& dims) {
  writer.Int(static_cast<int64_t>(dims.size()));
  for (const int64_t dim : dims) writer.Int(dim);
}

Dims ReadDims(ByteReader& reader) {
  Dims dims;
  for (int64_t left = reader.IntIn(0, kMaxDims); left > 0; --left) {
    dims.push_back(reader.IntIn(0, std::numeric_limits<int64_t>::max()));
  }
  return dims;
}

}  // namespace relayout
