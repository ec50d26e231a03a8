// SPDX-License-Identifier: Apache-2.0
//
// Any checkpoint file, whatever its format: the one door through which the rest of relayout reads
// and lays out checkpoint files.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>

#include "relayout/base/status.h"
#include "relayout/format/file_index.h"
#include "relayout/io/file_system.h"

namespace relayout {

// The format a file name stands for: ".ckpt" or ".safetensors" (case sensitive); nothing else.
std::optional<FileFormat> FormatOfName(std::string_view file_name);

// Reads the index of a file whose name says its format. Only headers are read. Errors name the
// file.
Result<FileIndex> ReadFileIndex(const ReadableFile& file);
// The same, with the values going to `sink` in file order, one at a time where the format allows
// it. After a failure the sink has had some of them.
Result<FileIndex> ReadFileIndex(const ReadableFile& file, ValueSink& sink);

// Where everything goes in a new file that holds `values` (whose extents are ignored) in this order
// (safetensors: in the order that format wants; extents stay in the order of `values`).
// Fails when the format cannot hold a value (a string or a complex number in safetensors, a
// MapTensor in any), naming it.
Result<FileImage> LayOutFile(FileFormat format, std::span<const StoredValue> values);

// The same, piece by piece, for `count` values that are looked at when they are asked for, in any
// order and any number of times. Returns the size of the file. Formats without metadata leave
// `metadata` out.
// @pre their names are distinct, and what the views show stays until the end
Result<int64_t> LayOutFile(FileFormat format, size_t count,
                           const std::function<ValueView(size_t)>& value_at, LayoutSink& sink,
                           const FileMetadata& metadata = {});

}  // namespace relayout
