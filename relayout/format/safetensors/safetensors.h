// SPDX-License-Identifier: Apache-2.0
//
// Safetensors files, as MindSpore writes them and as others do.
//
//   u64 LE  length of the header
//   header  JSON, padded with spaces to a multiple of 8 bytes:
//             {"__metadata__":{"format":"ms"},
//              "w":{"dtype":"F32","shape":[2,4],"data_offsets":[0,32]}}
//   data    the tensors; offsets count from here and tile it without gap or overlap
//
// MindSpore stores Int4 as I8 and says so in the metadata: "<name>":"Int4". That is read back as
// Int4. Its crc_num is kept in the metadata like any other text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "relayout/base/status.h"
#include "relayout/format/file_index.h"
#include "relayout/io/file_system.h"

namespace relayout {

// Reads the header only (at most 100 MB, the format's limit). Values are in order of their data.
// Errors name the file and the tensor. Duplicate keys, which other readers drop in silence, are
// errors, as are tensors whose bytes overlap, leave a gap or end elsewhere than the file does.
// @post TotalBytes(extents) == SizeBytes(value); all extents inside the file
// Values go to `sink` once all are known to tile the file.
Result<FileIndex> ReadSafetensorsIndex(const ReadableFile& file, ValueSink& sink);

// The file that MindSpore's save_checkpoint(format="safetensors") would write for `values`, byte
// for byte where that is determined: large element types first, then by name. kUnsupported, naming
// the value, for what the format cannot hold: strings, complex numbers, HiFloat8, map tensors.
Result<FileImage> LayOutSafetensors(std::span<const StoredValue> values);
// The same into `sink`, with `metadata` beside MindSpore's own; returns the file's size. One header
// names all values, sorted, so views of all of them are held.
Result<int64_t> LayOutSafetensors(size_t count, const std::function<ValueView(size_t)>& value_at,
                                  LayoutSink& sink, const FileMetadata& metadata = {});

}  // namespace relayout
