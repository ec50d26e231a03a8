// SPDX-License-Identifier: Apache-2.0
//
// What every checkpoint format gives and takes: an index of a file (names, types, shapes and where
// the bytes are; never the bytes), and the layout of a file to be written (everything but the
// bytes).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/dims.h"
#include "relayout/base/dtype.h"
#include "relayout/base/status.h"
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

// Texts about a whole file.
using FileMetadata = std::map<std::string, std::string>;

enum class FileFormat { kMindSporeCheckpoint, kSafetensors };

// ".ckpt" or ".safetensors".
std::string_view Extension(FileFormat format);

struct FileIndex {
  FileFormat format = FileFormat::kMindSporeCheckpoint;
  // In file order. Names are unique, well-formed UTF-8 and not empty. Empty when a sink took them.
  std::vector<StoredValue> values;
  // safetensors' __metadata__; empty for other formats.
  FileMetadata metadata;
  // MindSpore's crc_num trailer: the CRC-32 of the first crc_covers_bytes bytes of the file.
  std::optional<uint32_t> crc32;
  int64_t crc_covers_bytes = 0;
};

// Takes the layout of a new file as it is made, so that nobody has to hold all of it. Headers and
// extents tile the file.
class LayoutSink {
 public:
  virtual ~LayoutSink() = default;
  // Bytes that are not payload; ascending. A failure ends the layout.
  virtual Status AddHeader(int64_t offset_bytes, std::string_view bytes) = 0;
  // Where the payload of the next of the values asked for goes.
  virtual void AddExtents(std::span<const Extent> extents) = 0;
};

// A file about to be created: everything but its payload, made anew each time it is asked for.
struct FileFrame {
  int64_t size_bytes = 0;
  int64_t payload_bytes = 0;
  std::function<Status(LayoutSink&)> lay_out;
};

// A layout that is held, where values are few.
class FileImage final : public LayoutSink {
 public:
  struct Segment {
    int64_t offset_bytes = 0;
    std::string bytes;
  };

  Status AddHeader(int64_t offset_bytes, std::string_view bytes) override;
  void AddExtents(std::span<const Extent> extents) override;

  int64_t size_bytes = 0;
  std::vector<Segment> headers;
  ExtentLists extents;  // Of value i of those asked for.
};

}  // namespace relayout
