// SPDX-License-Identifier: Apache-2.0
//
// Where bytes are in a file, and how a tensor's flat bytes map onto the places that hold them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "relayout/base/index_iterator.h"

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

// Lists of extents, packed: 4 bytes a list and 16 an extent.
//
//   ExtentLists lists;
//   lists.Add({{100, 10}});
//   lists.Add({});
//   lists[0].size()   // 1
class ExtentLists {
 public:
  // @pre fewer than 2^32 extents in all
  void Add(std::span<const Extent> extents);
  void Add(const Extent& extent) { Add(std::span(&extent, 1)); }
  // For `list_count` lists of one extent, so that growing needs no second copy.
  void Reserve(size_t list_count);
  // Gives back what growing has reserved.
  void Shrink();

  size_t size() const { return ends_.size(); }
  std::span<const Extent> operator[](size_t i) const {
    const size_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::span(extents_).subspan(begin, ends_[i] - begin);
  }

  IndexIterator<ExtentLists> begin() const { return {this, 0}; }
  IndexIterator<ExtentLists> end() const { return {this, size()}; }

  friend bool operator==(const ExtentLists&, const ExtentLists&) = default;

 private:
  std::vector<uint32_t> ends_;
  std::vector<Extent> extents_;
};

inline bool Equal(std::span<const Extent> a, std::span<const Extent> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

}  // namespace relayout
