// SPDX-License-Identifier: Apache-2.0
#include "relayout/base/content_hash.h"

#include <algorithm>
#include <cstring>

#include "relayout/base/check.h"

namespace relayout {

uint64_t StreamId(std::string_view name) { return Hash64(std::as_bytes(std::span(name))); }

Hash128 BlockTerm(uint64_t stream_id, int64_t block, std::span<const std::byte> bytes) {
  const Hash128 content = HashBytes(bytes);
  const std::array<uint64_t, 4> words = {content.low, content.high, stream_id,
                                         static_cast<uint64_t>(block)};
  return HashBytes(std::as_bytes(std::span(words)));
}

Hash128& operator+=(Hash128& sum, const Hash128& term) {
  sum.low += term.low;
  sum.high += term.high + (sum.low < term.low ? 1 : 0);
  return sum;
}

void BlockHasher::Add(int64_t offset_bytes, std::span<const std::byte> bytes) {
  RELAYOUT_CHECK(offset_bytes + std::ssize(bytes) <= stream_bytes_);
  if (offset_bytes != position_) has_block_begin_ = false;
  position_ = offset_bytes;
  while (!bytes.empty()) {
    const int64_t block = position_ / kHashBlockBytes;
    const int64_t begin = block * kHashBlockBytes;
    const int64_t end = std::min(begin + kHashBlockBytes, stream_bytes_);
    const auto piece =
        bytes.first(static_cast<size_t>(std::min(std::ssize(bytes), end - position_)));
    if (position_ == begin) has_block_begin_ = true;
    const bool has_block_end = position_ + std::ssize(piece) == end;
    if (!has_block_begin_) {
      if (has_block_end) torn_blocks_.push_back(block);
    } else if (position_ == begin && has_block_end) {
      sum_ += BlockTerm(stream_id_, block, piece);
    } else {
      std::memcpy(partial_.data() + (position_ - begin), piece.data(), piece.size());
      const auto whole =
          std::span<const std::byte>(partial_).first(static_cast<size_t>(end - begin));
      if (has_block_end) sum_ += BlockTerm(stream_id_, block, whole);
    }
    position_ += std::ssize(piece);
    bytes = bytes.subspan(piece.size());
  }
}

}  // namespace relayout
