// SPDX-License-Identifier: Apache-2.0
#include "relayout/format/file_index.h"

#include "relayout/base/check.h"
#include "relayout/base/checked_math.h"

namespace relayout {

int64_t SizeBytes(const ValueView& value) {
  const auto count = ElementCount(value.shape);
  const auto size = count ? CheckedMul(*count, ElementSize(value.dtype)) : std::nullopt;
  RELAYOUT_CHECK(size.has_value());
  return *size;
}

std::string_view Extension(FileFormat format) {
  return format == FileFormat::kMindSporeCheckpoint ? ".ckpt" : ".safetensors";
}

Status FileImage::AddHeader(int64_t offset_bytes, std::string_view bytes) {
  headers.push_back({.offset_bytes = offset_bytes, .bytes = std::string(bytes)});
  return OkStatus();
}

void FileImage::AddExtents(std::span<const Extent> value_extents) { extents.Add(value_extents); }

}  // namespace relayout
