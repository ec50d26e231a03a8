// SPDX-License-Identifier: Apache-2.0
//
// What colour a shard has in every picture: hue says which piece the mesh axes make, lightness
// which part of it the optimizer split makes.
//
//   {a:4,b:2} (a,-)          4 hues
//   {a:4,b:2} (a,-) opt:2    4 hues, a light and a dark shade of each
//   {a:8} (-,-)              one pale grey: nothing is cut
//
// The hues of up to 8 pieces differ in lightness too, so that they are told apart by people who do
// not see all of them. Beyond, neighbours differ and the numbers in the pictures do the rest. All
// are light enough for black text, on light pages and on dark ones.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "relayout/layout/layout.h"

namespace relayout {

// "#rrggbb" of shard `shard_index` of `layout`. @pre 0 <= shard_index < layout.shard_count()
std::string ShardColor(const Layout& layout, int64_t shard_index);

// The same as red, green and blue, each in [0, 256).
struct Rgb {
  int red = 0;
  int green = 0;
  int blue = 0;
};
Rgb ShardRgb(const Layout& layout, int64_t shard_index);

}  // namespace relayout
