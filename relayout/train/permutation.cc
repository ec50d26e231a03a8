// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/permutation.h"

#include <cstddef>

#include "relayout/base/check.h"
#include "relayout/base/philox.h"

namespace relayout {
namespace {

uint64_t Mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
  x = (x ^ x >> 27) * 0x94D049BB133111EB;
  return x ^ x >> 31;
}

// The least number whose square is not below `size`.
uint64_t RootOf(uint64_t size) {
  uint64_t low = 1;
  uint64_t high = uint64_t{1} << 32;
  while (low < high) {
    const uint64_t middle = (low + high) / 2;
    if (middle * middle >= size) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

}  // namespace

Permutation::Permutation(int64_t size, uint64_t seed, int64_t epoch)
    : size_(static_cast<uint64_t>(size)) {
  RELAYOUT_CHECK(size >= 1 && epoch >= 0);
  width_ = RootOf(size_);
  height_ = (size_ + width_ - 1) / width_;
  const auto low = static_cast<uint32_t>(epoch);
  const auto high = static_cast<uint32_t>(epoch >> 32);
  for (uint32_t i = 0; i < keys_.size(); i += 2) {
    const PhiloxWords words = Philox(PhiloxKeyOf(seed), {low, high, i / 2, 1});
    keys_[i] = words[0] | uint64_t{words[1]} << 32;
    keys_[i + 1] = words[2] | uint64_t{words[3]} << 32;
  }
}

int64_t Permutation::At(int64_t position) const {
  RELAYOUT_CHECK(0 <= position && static_cast<uint64_t>(position) < size_);
  auto x = static_cast<uint64_t>(position);
  do {
    x = Once(x);
  } while (x >= size_);
  return static_cast<int64_t>(x);
}

uint64_t Permutation::Once(uint64_t x) const {
  uint64_t first = x / height_;
  uint64_t second = x % height_;
  for (size_t r = 0; r < keys_.size(); r += 2) {
    first = (first + Mix(keys_[r] + second) % width_) % width_;
    second = (second + Mix(keys_[r + 1] + first) % height_) % height_;
  }
  return first * height_ + second;
}

}  // namespace relayout
