// SPDX-License-Identifier: Apache-2.0
//
// What every checkpoint format gives and takes: an index of a file (names, types, shapes and where
// the bytes are; never the bytes), and the image of a file to be written (everything but the
// bytes).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "relayout/base/dims.h"
#include "relayout/base/dtype.h"
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

// Element count times element size. @pre the shape was checked by a reader
int64_t SizeBytes(const StoredValue& value);

enum class FileFormat { kMindSporeCheckpoint, kSafetensors };

// ".ckpt" or ".safetensors".
std::string_view Extension(FileFormat format);

struct FileIndex {
  FileFormat format = FileFormat::kMindSporeCheckpoint;
  // In file order. Names are unique, well-formed UTF-8 and not empty.
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
    std::string bytes;
  };
  int64_t size_bytes = 0;
  // Headers, ascending and disjoint from all extents. Headers and extents tile [0, size_bytes).
  std::vector<Segment> headers;
  // Of value i of those asked for.
  std::vector<std::vector<Extent>> extents;
};

}  // namespace relayout
