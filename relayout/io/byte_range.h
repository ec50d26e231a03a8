// SPDX-License-Identifier: Apache-2.0
//
// Where bytes are in a file, and how a tensor's flat bytes map onto the places that hold them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace relayout {

// size_bytes bytes of a file from offset_bytes on.
struct Extent {
  int64_t offset_bytes = 0;
  int64_t size_bytes = 0;
  friend bool operator==(const Extent&, const Extent&) = default;
};

int64_t TotalBytes(std::span<const Extent> extents);

// Bytes [begin_bytes, begin_bytes + size_bytes) of the concatenation of `extents`, as pieces of the
// file in order. Adjacent pieces are joined.
//   extents {100,10} {200,10}; MapRange(extents, 8, 4) -> {108,2} {200,2}
// @pre the range lies inside the concatenation
std::vector<Extent> MapRange(std::span<const Extent> extents, int64_t begin_bytes,
                             int64_t size_bytes);

}  // namespace relayout
