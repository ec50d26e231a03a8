// SPDX-License-Identifier: Apache-2.0
//
// MindSpore's checkpoint files (.ckpt).
//
// A file is a row of records, one per value, without header or magic. Each is one protobuf message
// (docs/formats.md has the message types):
//
//   0A len
//     0A len "layer1.weight"           tag: the parameter's name
//     12 len
//       08 02  08 04                   dims 2, 4; none for a 0-d tensor
//       12 07 "Float32"                tensor_type
//       1A 20 ...32 bytes...           tensor_content, little endian, C order
//
// A value of more than 512 MiB is cut into slices: consecutive records with the same tag, dims and
// type, whose contents follow one another. Text has the type "str", dims [0] and UTF-32LE content.
// A file saved with crc_check=True ends in 17 bytes: "crc_num" and the CRC-32 of all before, as a
// 10-byte big-endian number.
//
// MindSpore believes what it reads: content longer than dims overruns its heap, shorter content
// leaves memory as it was, and a repeated tag replaces the first. Here each of these is an error.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "relayout/base/status.h"
#include "relayout/format/file_index.h"
#include "relayout/io/file_system.h"

namespace relayout {

// MindSpore's SLICE_SIZE.
inline constexpr int64_t kMindSporeSliceBytes = int64_t{512} << 20;

// Walks the records of a file. Payloads of more than a few KiB are never read. Errors name the
// file, the parameter where there is one, and the byte offset.
// Older writers wrote dims [0] for 0-d tensors: that with the content of one element is 0-d.
// @post tensors and strings: TotalBytes(extents) == SizeBytes(value); all extents inside the file
// Values go to `sink` as they are found.
Result<FileIndex> ReadMindSporeCheckpointIndex(const ReadableFile& file, ValueSink& sink);

// The file that MindSpore's save_checkpoint would write for `values`, in this order; byte for byte.
// Where MindSpore drops values (tensors without elements, empty strings) they are kept, as a record
// without content. MindSpore 2.10 loads such a tensor rightly when it has two dims or more; [0] it
// takes for a 0-d tensor and an empty string it cannot load.
Result<FileImage> LayOutMindSporeCheckpoint(std::span<const StoredValue> values,
                                            int64_t slice_bytes = kMindSporeSliceBytes);
// The same for values looked at one by one; returns the file's size.
// @pre their names are distinct
Result<int64_t> LayOutMindSporeCheckpoint(size_t count,
                                          const std::function<ValueView(size_t)>& value_at,
                                          LayoutSink& sink,
                                          int64_t slice_bytes = kMindSporeSliceBytes);

}  // namespace relayout
