// SPDX-License-Identifier: Apache-2.0
//
// What each target rank's file holds and where in it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/convert/contents.h"
#include "relayout/format/file_index.h"

namespace relayout {

struct TargetFile {
  int64_t rank = 0;
  FileImage image;
  // Position in Contents::values -> position in image.extents.
  std::unordered_map<size_t, size_t> entry_of_value;
  int64_t payload_bytes = 0;
  std::string path;  // Where the payload is to be written; set when the file was created.

  std::span<const Extent> ExtentsOf(size_t value) const {
    return image.extents[entry_of_value.at(value)];
  }
};

// Lays out the file of one target rank. Fails when the format cannot hold one of its values.
Result<TargetFile> PlanTargetFile(const Contents& contents, int64_t rank, FileFormat format);

}  // namespace relayout
