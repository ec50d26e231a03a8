// SPDX-License-Identifier: Apache-2.0
//
// Box: a half-open n-d range of a logical tensor, [begin, end) in every dimension.
//
//   Box{{0, 4}, {2, 8}}            // rows 0 and 1, columns 4 to 7
//
// The box of a 0-d tensor has no dimensions and one element.
#pragma once

#include <cstdint>
#include <string>

#include "relayout/base/dims.h"

namespace relayout {

struct Box {
  Dims begin;
  Dims end;

  // The box of all elements of a tensor.
  static Box Whole(const Dims& shape) { return {Dims::Filled(shape.size(), 0), shape}; }

  Dims shape() const;
  // The number of elements. @pre begin <= end and the product fits, as in any box inside a tensor
  // whose size was checked.
  int64_t volume() const;

  friend bool operator==(const Box&, const Box&) = default;
};

// The common elements of two boxes of one tensor; a box of volume 0 (begin == end in some
// dimension) when there are none.
Box Intersect(const Box& a, const Box& b);

// "[0:2,4:8]".
std::string ToText(const Box& box);

// The number of elements before `index` when `box` is stored densely in C order.
// @pre index lies in box
int64_t OffsetIn(const Box& box, const Dims& index);

}  // namespace relayout
