// SPDX-License-Identifier: Apache-2.0
//
// IDX files, the format of MNIST: an array of bytes behind a header of big-endian numbers.
//
//   00 00 08 03  00 00 EA 60  00 00 00 1C  00 00 00 1C  ...     images u8[60000,28,28]
//   00 00 08 01  00 00 EA 60  ...                               labels u8[60000]
//
// The first four bytes are 0, 0, the type of the elements (8: u8) and the number of dims; then each
// dim in four bytes, then the elements in C order, and nothing behind them. Files may be gzip,
// under any name. Only u8 is read.
//
//   ReadIdxFile(fs, "train-images-idx3-ubyte", 3)    // {{60000,28,28}, 47040000 values}
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "relayout/base/dims.h"
#include "relayout/base/status.h"
#include "relayout/io/file_system.h"

namespace relayout {

struct IdxArray {
  Dims shape;
  std::vector<uint8_t> values;  // In C order.

  friend bool operator==(const IdxArray&, const IdxArray&) = default;
};

// Reads an array of `dim_count` dims: 3 for images, 1 for labels. Memory is taken for what the file
// holds, whatever its header claims. Fails, as kInvalidInput and naming the file, when it is
// another format, another type or number of dims, when it is shorter or longer than its header
// says, and when it is damaged gzip. @pre 1 <= dim_count <= kMaxDims
Result<IdxArray> ReadIdxFile(FileSystem& fs, const std::string& path, size_t dim_count);
Result<IdxArray> ReadIdx(const ReadableFile& file, size_t dim_count);

// The bytes of a file that holds `array`, not compressed.
// @pre 1 to kMaxDims dims, each less than 2^32, and as many values as they say
std::string IdxBytes(const IdxArray& array);

struct IdxWriteOptions {
  bool gzip = false;
  bool overwrite = false;  // Else kAlreadyExists where there is such a file.
};

// Writes a file whole or not at all; its folder is created. @pre as of IdxBytes
Status WriteIdxFile(FileSystem& fs, const std::string& path, const IdxArray& array,
                    const IdxWriteOptions& options = {});

}  // namespace relayout
