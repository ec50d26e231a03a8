// SPDX-License-Identifier: Apache-2.0
//
// Integer maths that notices overflow. Every product or sum of numbers that came out of a file goes
// through here before anything is believed or allocated.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

namespace relayout {

inline std::optional<int64_t> CheckedAdd(int64_t a, int64_t b) {
  int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

inline std::optional<int64_t> CheckedMul(int64_t a, int64_t b) {
  int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// Rounded up quotient of a >= 0 and b > 0.
inline constexpr int64_t CeilDiv(int64_t a, int64_t b) { return a / b + (a % b != 0 ? 1 : 0); }

}  // namespace relayout
