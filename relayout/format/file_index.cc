// SPDX-License-Identifier: Apache-2.0
#include "relayout/format/file_index.h"

#include "relayout/base/check.h"
#include "relayout/base/checked_math.h"

namespace relayout {

int64_t SizeBytes(const StoredValue& value) {
  const auto count = ElementCount(value.shape);
  const auto size = count ? CheckedMul(*count, ElementSize(value.dtype)) : std::nullopt;
  RELAYOUT_CHECK(size.has_value());
  return *size;
}

std::string_view Extension(FileFormat format) {
  return format == FileFormat::kMindSporeCheckpoint ? ".ckpt" : ".safetensors";
}

}  // namespace relayout
