// SPDX-License-Identifier: Apache-2.0
//
// What each target rank's file holds and where in it.
//
// Ranks whose files hold the same values in the same shapes share one plan: it does not say which
// slice of a value a file holds, only where. So 10,000 ranks have a handful of plans, each of 24
// bytes a value. The bytes of headers are made whenever a file is created, and never held.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/convert/contents.h"
#include "relayout/format/file_index.h"
#include "relayout/io/byte_range.h"

namespace relayout {

// The layout of all files that hold the same values in the same shapes.
struct FilePlan {
  FileFormat format = FileFormat::kMindSporeCheckpoint;
  FileMetadata metadata;
  std::vector<uint32_t> values;  // Positions in Contents::values, ascending.
  // Of each form in Contents its shape in the file; nothing where the file has no value of it.
  std::vector<std::optional<Dims>> shape_of_form;
  ExtentLists extents;  // Of each of `values`.
  int64_t size_bytes = 0;
  int64_t payload_bytes = 0;
  // A text file instead: this is all that it holds.
  std::string text;
};

struct TargetFile {
  int64_t rank = 0;
  std::shared_ptr<const FilePlan> plan;
  std::string path;  // Where the payload is to be written; set when the file was created.

  // Where in the file value `value` of Contents::values goes. @pre the file holds it
  std::span<const Extent> ExtentsOf(size_t value) const;
};

// Lays out the files of `ranks`. Fails when the format cannot hold one of their values.
Result<std::vector<TargetFile>> PlanTargetFiles(const Contents& contents,
                                                const std::vector<int64_t>& ranks,
                                                FileFormat format, const FileMetadata& metadata,
                                                int thread_count);

// A file of `text` alone. @pre text is not empty
TargetFile PlanTextFile(int64_t rank, std::string text);

// To create the file with. `contents` and the file's plan must outlive it.
FileFrame FrameOf(const Contents& contents, const TargetFile& file);

}  // namespace relayout
