// SPDX-License-Identifier: Apache-2.0
//
// Permutation: the numbers 0 to size - 1 in an order that a seed decides, a different one for each
// epoch. No list is made: what stands at a position is worked out when it is asked for, so that
// threads and ranks share one without a word between them.
//
//   const Permutation order(10, /*seed=*/1, /*epoch=*/0);
//   order.At(0), order.At(1), ...     // each of 0 to 9 once
//
// # How
//
// A number x < width * height is a pair (x / height, x % height), where width is the least whole
// number whose square is not below size, and height = size / width, rounded up. In round r of
// eight, one of the two gets (for even r the first, for odd r the second) Mix(key_r + the other)
// added, modulo width or height: each round can be undone, so all are together a permutation of
// the pairs. It is repeated while the result is not below size. The keys are words 2i and 2i + 1
// (the low half first) of Philox(seed, {low, high half of the epoch, r / 2, 1}), i = r % 2. Mix is
// the last step of SplitMix64.
//
// That is a Feistel network over numbers that need not be powers of two. Each number is as probable
// as any other at each position; permutations of a few elements are not all equally so.
#pragma once

#include <array>
#include <cstdint>

namespace relayout {

class Permutation {
 public:
  // @pre size >= 1 and epoch >= 0
  Permutation(int64_t size, uint64_t seed, int64_t epoch);

  // @pre 0 <= position < size
  // @post 0 <= At(position) < size, and different for different positions
  int64_t At(int64_t position) const;

 private:
  uint64_t Once(uint64_t x) const;

  uint64_t size_;
  uint64_t width_;
  uint64_t height_;
  std::array<uint64_t, 8> keys_{};
};

}  // namespace relayout
