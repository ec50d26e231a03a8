// SPDX-License-Identifier: Apache-2.0
//
// Sums and maxima of rows, for the compiler to make vector instructions of. A float sum in order
// cannot be vectorized; these sum in kLanes lanes, always the same way, so that the result depends
// on the row alone.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace relayout::kernels {

inline constexpr int64_t kLanes = 16;

// Sum of term(0) ... term(count - 1). Lanes stay short, so that the error of long rows does too.
template <typename Term>
inline double SumTerms(int64_t count, const Term& term) {
  constexpr int64_t kBlock = 256 * kLanes;
  double total = 0;
  int64_t begin = 0;
  while (count - begin >= kLanes) {
    const int64_t end = begin + std::min(kBlock, (count - begin) / kLanes * kLanes);
    std::array<float, kLanes> lanes{};
    for (int64_t i = begin; i < end; i += kLanes) {
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        lanes[static_cast<size_t>(lane)] += term(i + lane);
      }
    }
    for (const float lane : lanes) total += static_cast<double>(lane);
    begin = end;
  }
  for (; begin < count; ++begin) total += static_cast<double>(term(begin));
  return total;
}

inline double SumRow(const float* row, int64_t count) {
  return SumTerms(count, [row](int64_t i) { return row[i]; });
}

inline double DotRows(const float* a, const float* b, int64_t count) {
  return SumTerms(count, [a, b](int64_t i) { return a[i] * b[i]; });
}

// -infinity of an empty row. A NaN may be passed over.
inline float MaxRow(const float* row, int64_t count) {
  std::array<float, kLanes> lanes{};
  lanes.fill(-std::numeric_limits<float>::infinity());
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    // As the vector instruction has it, and the lane's new value on every path.
    for (size_t lane = 0; lane < static_cast<size_t>(kLanes); ++lane) {
      const float value = row[i + static_cast<int64_t>(lane)];
      const float largest = lanes[lane];
      lanes[lane] = value > largest ? value : largest;
    }
  }
  for (; i < count; ++i) lanes[0] = std::max(lanes[0], row[i]);
  return *std::max_element(lanes.begin(), lanes.end());
}

}  // namespace relayout::kernels
