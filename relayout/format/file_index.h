// SPDX-License-Identifier: Apache-2.0
//
// What every checkpoint format gives and takes: an index of a file (names, types, shapes and where
// the bytes are; never the bytes), and the image of a file to be written (everything but the
// bytes).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/dims.h"
#include "relayout/base/dtype.h"
#include "relayout/base/index_iterator.h"
#include "relayout/io/byte_range.h"

namespace relayout {

enum class ValueKind {
  kTensor,
  kString,     // MindSpore's "str": UTF-32LE text. shape = [bytes], dtype kUInt8, as raw bytes.
  kMapTensor,  // A hash-table parameter: indexed so that it can be named, never converted.
};

// One named value of a file.
struct StoredValue {
  std::string name;
  ValueKind kind = ValueKind::kTensor;
  DType dtype = DType::kFloat32;
  Dims shape;
  // The value's bytes in C order, little endian, in order. Several when the format slices it; none
  // when it has no bytes.
  // @post for tensors and strings TotalBytes(extents) == SizeBytes(*this)
  std::vector<Extent> extents;
};

// The same, seen where it is stored; valid as long as that.
struct ValueView {
  ValueView(std::string_view value_name, ValueKind value_kind, DType value_dtype,
            const Dims& value_shape, std::span<const Extent> value_extents)
      : name(value_name),
        kind(value_kind),
        dtype(value_dtype),
        shape(value_shape),
        extents(value_extents) {}
  // Implicit on purpose: what reads values takes both.
  ValueView(const StoredValue& value)
      : ValueView(value.name, value.kind, value.dtype, value.shape, value.extents) {}

  std::string_view name;
  ValueKind kind;
  DType dtype;
  const Dims& shape;
  std::span<const Extent> extents;
};

// Element count times element size. @pre the shape was checked by a reader
int64_t SizeBytes(const ValueView& value);

// Takes the values of a file one by one, so that nobody has to hold all of them.
class ValueSink {
 public:
  virtual ~ValueSink() = default;
  // False when a value of this name was there before.
  virtual bool Add(const StoredValue& value) = 0;
};

enum class FileFormat { kMindSporeCheckpoint, kSafetensors };

// ".ckpt" or ".safetensors".
std::string_view Extension(FileFormat format);

struct FileIndex {
  FileFormat format = FileFormat::kMindSporeCheckpoint;
  // In file order. Names are unique, well-formed UTF-8 and not empty. Empty when a sink took them.
  std::vector<StoredValue> values;
  // safetensors' __metadata__; empty for other formats.
  std::map<std::string, std::string> metadata;
  // MindSpore's crc_num trailer: the CRC-32 of the first crc_covers_bytes bytes of the file.
  std::optional<uint32_t> crc32;
  int64_t crc_covers_bytes = 0;
};

// A file about to be written: its size, its bytes that are not payload, and where each payload
// goes.
struct FileImage {
  struct Segment {
    int64_t offset_bytes = 0;
    std::string_view bytes;
  };

  // Packed: a header costs 16 bytes beside its own.
  class Headers {
   public:
    // Ascending. A header that begins where the last one ends mostly becomes a part of it.
    void Add(int64_t offset_bytes, std::string_view bytes);

    size_t size() const { return begins_.size(); }
    // Valid until the next Add.
    Segment operator[](size_t i) const;
    IndexIterator<Headers> begin() const { return {this, 0}; }
    IndexIterator<Headers> end() const { return {this, size()}; }

   private:
    struct Begin {
      int64_t in_file = 0;
      uint32_t block = 0;
      uint32_t in_block = 0;
    };
    std::vector<std::string> blocks_;  // That never grow: no second copy of everything.
    std::deque<Begin> begins_;
  };

  // What to make of an image. Its size is always there.
  enum class Parts { kAll, kHeaders, kExtents };

  int64_t size_bytes = 0;
  // Ascending and disjoint from all extents. Headers and extents tile [0, size_bytes).
  Headers headers;
  // Of value i of those asked for.
  ExtentLists extents;
};

}  // namespace relayout
