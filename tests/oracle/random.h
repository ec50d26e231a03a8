// SPDX-License-Identifier: Apache-2.0
//
// Random numbers that are the same on every machine and with every standard library, so that a
// seed in a failure report is enough to repeat it.
#pragma once

#include <cstdint>
#include <iterator>
#include <vector>

namespace relayout::oracle {

// splitmix64's finalizer: a different, well-mixed number for every number.
inline uint64_t Mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15U;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
  return x ^ (x >> 31);
}

class Random {
 public:
  explicit Random(uint64_t seed) : state_(Mix(seed)) {}

  uint64_t Next() { return Mix(state_ += 0x9E3779B97F4A7C15U); }
  // In [0, limit).
  int64_t Below(int64_t limit) {
    return static_cast<int64_t>(Next() % static_cast<uint64_t>(limit));
  }
  // In [lowest, highest].
  int64_t Between(int64_t lowest, int64_t highest) { return lowest + Below(highest - lowest + 1); }
  bool OneIn(int64_t n) { return Below(n) == 0; }
  template <typename T>
  const T& Pick(const std::vector<T>& items) {
    return items[static_cast<size_t>(Below(std::ssize(items)))];
  }

 private:
  uint64_t state_;
};

}  // namespace relayout::oracle
