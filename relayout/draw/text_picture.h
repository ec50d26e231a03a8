// SPDX-License-Identifier: Apache-2.0
//
// The device grid of one layout in text, for terminals: the twin of the page's picture.
//
//            b=0     b=1     b=2     b=3
//        +-------+-------+-------+-------+
//    a=0 |  0 #0 |  1 #2 |  2 #4 |  3 #6 |
//        +-------+-------+-------+-------+
//    a=1 |  4 #1 |  5 #3 |  6 #5 |  7 #7 |
//        +-------+-------+-------+-------+
//
// "5 #3": rank 5 holds shard 3. On terminals with colours the cells have those of the shards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "relayout/layout/layout.h"

namespace relayout {

enum class TextColors { kNone, k256, kTrueColor };

struct TextPictureOptions {
  int64_t first_rank = 0;
  TextColors colors = TextColors::kNone;
  size_t width = 100;  // Characters a line, as far as one column of devices fits.
};

// Lines without newlines.
std::vector<std::string> DrawDevices(const Layout& layout, const TextPictureOptions& options = {});

// A line a shard, at most `limit` and how many more: its box (a part of each dim, where the shape
// is not known or does not fit) and the ranks that hold it.
//
//   #3  [98:196,0:512]              rank 5
//   #3  rows 3/8 to 4/8             rank 5
std::vector<std::string> ListShards(const Layout& layout, const std::optional<Dims>& shape,
                                    int64_t first_rank, size_t limit = 16);

}  // namespace relayout
