// SPDX-License-Identifier: Apache-2.0
#include "relayout/io/byte_range.h"

#include <algorithm>
#include <limits>

#include "relayout/base/check.h"

namespace relayout {

int64_t TotalBytes(std::span<const Extent> extents) {
  int64_t total = 0;
  for (const Extent& extent : extents) total += extent.size_bytes;
  return total;
}

std::vector<Extent> MapRange(std::span<const Extent> extents, int64_t begin_bytes,
                             int64_t size_bytes) {
  std::vector<Extent> pieces;
  for (const Extent& extent : extents) {
    if (size_bytes == 0) break;
    if (begin_bytes >= extent.size_bytes) {
      begin_bytes -= extent.size_bytes;
      continue;
    }
    const Extent piece = {extent.offset_bytes + begin_bytes,
                          std::min(size_bytes, extent.size_bytes - begin_bytes)};
    const bool adjacent =
        !pieces.empty() &&
        pieces.back().offset_bytes + pieces.back().size_bytes == piece.offset_bytes;
    if (adjacent) {
      pieces.back().size_bytes += piece.size_bytes;
    } else {
      pieces.push_back(piece);
    }
    size_bytes -= piece.size_bytes;
    begin_bytes = 0;
  }
  RELAYOUT_CHECK(size_bytes == 0);
  return pieces;
}

void ExtentLists::Add(std::span<const Extent> extents) {
  extents_.insert(extents_.end(), extents.begin(), extents.end());
  RELAYOUT_CHECK(extents_.size() <= std::numeric_limits<uint32_t>::max());
  ends_.push_back(static_cast<uint32_t>(extents_.size()));
}

void ExtentLists::Reserve(size_t list_count) {
  ends_.reserve(list_count);
  extents_.reserve(list_count);
}

void ExtentLists::Shrink() {
  ends_.shrink_to_fit();
  extents_.shrink_to_fit();
}

}  // namespace relayout
