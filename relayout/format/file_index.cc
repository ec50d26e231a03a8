// SPDX-License-Identifier: Apache-2.0
#include "relayout/format/file_index.h"

#include <algorithm>

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

void FileImage::Headers::Add(int64_t offset_bytes, std::string_view bytes) {
  constexpr size_t kBlockBytes = size_t{1} << 20;
  const bool fits =
      !blocks_.empty() && blocks_.back().capacity() - blocks_.back().size() >= bytes.size();
  bool touches = false;
  if (fits && !begins_.empty()) {
    const Segment last = (*this)[size() - 1];
    touches = last.offset_bytes + std::ssize(last.bytes) == offset_bytes;
  }
  if (!fits) blocks_.emplace_back().reserve(std::max(kBlockBytes, bytes.size()));
  if (!touches) {
    begins_.push_back({.in_file = offset_bytes,
                       .block = static_cast<uint32_t>(blocks_.size() - 1),
                       .in_block = static_cast<uint32_t>(blocks_.back().size())});
  }
  blocks_.back() += bytes;
}

FileImage::Segment FileImage::Headers::operator[](size_t i) const {
  const Begin& begin = begins_[i];
  const std::string_view block = blocks_[begin.block];
  const bool is_last = i + 1 == begins_.size() || begins_[i + 1].block != begin.block;
  const size_t end = is_last ? block.size() : begins_[i + 1].in_block;
  return {begin.in_file, block.substr(begin.in_block, end - begin.in_block)};
}

}  // namespace relayout
