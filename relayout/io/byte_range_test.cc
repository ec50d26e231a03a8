// SPDX-License-Identifier: Apache-2.0
#include "relayout/io/byte_range.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "relayout/base/text.h"

namespace relayout {
namespace {

std::string ToText(const std::vector<Extent>& extents) {
  std::string text;
  for (const Extent& extent : extents) {
    if (!text.empty()) text += " ";
    text += Format("{}+{}", extent.offset_bytes, extent.size_bytes);
  }
  return text;
}

TEST(MapRangeTest, FindsThePiecesOfARange) {
  const std::vector<Extent> apart = {{100, 10}, {200, 10}, {300, 0}, {400, 5}};
  const std::vector<Extent> adjacent = {{100, 10}, {110, 10}, {50, 10}};
  struct Case {
    std::vector<Extent> extents;
    int64_t begin_bytes;
    int64_t size_bytes;
    const char* pieces;
  };
  const Case cases[] = {
      {apart, 0, 25, "100+10 200+10 400+5"},
      {apart, 8, 4, "108+2 200+2"},
      {apart, 10, 10, "200+10"},
      {apart, 19, 2, "209+1 400+1"},
      {apart, 24, 1, "404+1"},
      {apart, 25, 0, ""},
      {apart, 0, 0, ""},
      {adjacent, 0, 30, "100+20 50+10"},
      {adjacent, 5, 10, "105+10"},
      {{}, 0, 0, ""},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(ToText(MapRange(c.extents, c.begin_bytes, c.size_bytes)), c.pieces)
        << c.begin_bytes << "+" << c.size_bytes;
  }
  EXPECT_EQ(TotalBytes(apart), 25);
}

// Every range of every pair of short extents, against the bytes one by one.
TEST(MapRangeTest, AgreesWithTheBytesOneByOne) {
  const auto bytes_of = [](const std::vector<Extent>& extents) {
    std::vector<int64_t> bytes;
    for (const Extent& extent : extents) {
      for (int64_t i = 0; i < extent.size_bytes; ++i) bytes.push_back(extent.offset_bytes + i);
    }
    return bytes;
  };
  for (int64_t first = 0; first <= 3; ++first) {
    for (int64_t second = 0; second <= 3; ++second) {
      for (int64_t gap = 0; gap <= 1; ++gap) {
        const std::vector<Extent> extents = {{10, first}, {10 + first + gap, second}};
        const std::vector<int64_t> all = bytes_of(extents);
        for (size_t begin = 0; begin <= all.size(); ++begin) {
          for (size_t end = begin; end <= all.size(); ++end) {
            const auto pieces =
                MapRange(extents, static_cast<int64_t>(begin), static_cast<int64_t>(end - begin));
            const auto at = [&all](size_t i) { return all.begin() + static_cast<ptrdiff_t>(i); };
            EXPECT_EQ(bytes_of(pieces), std::vector<int64_t>(at(begin), at(end)));
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace relayout
