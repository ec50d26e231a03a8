// SPDX-License-Identifier: Apache-2.0
//
// Digits as MNIST has them, 28 x 28 and white on black, drawn by a program: what the tutorial
// trains on where nothing can be downloaded. Each digit is a few strokes; each image shifts, turns,
// slants and bends them, with a pen of its own width, and adds noise. A network of three layers
// learns nine of ten in some hundred steps, and not all.
#pragma once

#include <cstdint>

#include "relayout/train/idx_file.h"

namespace relayout {

struct Digits {
  IdxArray images;  // u8[count,28,28]
  IdxArray labels;  // u8[count]
};

// The images number `first` to first + count - 1. An image depends on its number and the seed
// alone, so sets of other numbers have no image in common. @pre 0 <= first and 0 <= count < 2^32
Digits DrawDigits(int64_t first, int64_t count, uint64_t seed);

}  // namespace relayout
