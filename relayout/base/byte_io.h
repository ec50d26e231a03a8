// SPDX-License-Identifier: Apache-2.0
//
// Bytes for another process of the same program: what one reads from files, the others receive.
//
//   ByteWriter writer;
//   writer.Int(7);
//   writer.Text("w");
//   ByteReader reader(bytes);
//   const int64_t n = reader.Int();        // 7
//   const std::string_view t = reader.Text();
//   if (!reader.AtEnd()) ...               // Damaged, or not ours.
//
// Integers take one byte below 64 and at most ten (zigzag varints), so that lists of small or close
// numbers are small. A reader never reads beyond its bytes: after the first thing that does not
// fit, every read gives 0 or "" and ok() is false. So a message is read to the end and judged once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "relayout/base/dims.h"

namespace relayout {

class ByteWriter {
 public:
  void Int(int64_t value);
  // Length and bytes.
  void Text(std::string_view text);

  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class ByteReader {
 public:
  // `bytes` must outlive the reader and the texts that it gives.
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  int64_t Int();
  // Fails when the number lies outside [low, high].
  int64_t IntIn(int64_t low, int64_t high);
  // How many items follow, each of at least `item_bytes` bytes (1 or more): never more than the
  // rest of the bytes can hold, so it may be reserved for.
  size_t Count(size_t item_bytes = 1);
  std::string_view Text();
  // For contents that make no sense.
  void Fail() {
    ok_ = false;
    rest_ = {};
  }

  bool ok() const { return ok_; }
  // All is read, and nothing was wrong.
  bool AtEnd() const { return ok_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

void WriteDims(ByteWriter& writer, const Dims& dims);
// Fails on more than kMaxDims dims and on negative ones.
Dims ReadDims(ByteReader& reader);

}  // namespace relayout
