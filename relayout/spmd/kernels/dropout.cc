// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/kernels/dropout.h"

#include <cmath>
#include <span>

#include "relayout/base/hash.h"
#include "relayout/spmd/kernels/strides.h"
#include "relayout/spmd/kernels/threads.h"

namespace relayout::kernels {
namespace {

// splitmix64: its numbers for consecutive seeds pass for random ones.
constexpr uint64_t kGolden = 0x9E3779B97F4A7C15U;
uint64_t Mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
  return x ^ (x >> 31);
}

// As many bits of the hash are compared with the probability.
constexpr int kBits = 32;

}  // namespace

uint64_t DropoutKey(uint64_t seed, int64_t step, std::string_view name, int64_t number) {
  uint64_t key = Hash64(std::as_bytes(std::span(name)));
  for (const uint64_t part : {seed, static_cast<uint64_t>(step), static_cast<uint64_t>(number)}) {
    key = Mix((key ^ part) + kGolden);
  }
  return key;
}

void DropoutMask(uint64_t key, double keep_probability, const Dims& whole, const Dims& begin,
                 const View<float>& mask) {
  RELAYOUT_CHECK(keep_probability >= 0 && keep_probability <= 1);
  if (mask.size() == 0) return;
  const auto limit = static_cast<uint64_t>(std::llround(std::ldexp(keep_probability, kBits)));
  const auto kept = static_cast<float>(1 / keep_probability);
  const Dims strides = DenseStrides(whole);
  int64_t first = 0;
  for (size_t d = 0; d < whole.size(); ++d) first += begin[d] * strides[d];
  const Walk<1> walk = Join(Walk<1>{mask.shape, {strides}});
  const Walk<1> rows = WithoutLast(walk);
  const size_t last = walk.shape.size() - 1;
  const int64_t length = walk.shape[last];
  const int64_t stride = walk.strides[0][last];
  ForRange(SizeOf(rows.shape), RowGrain(length), [&](int64_t from, int64_t to) {
    Place<1> place(rows, from);
    for (int64_t row = from; row < to; ++row, place.Next()) {
      const int64_t number = first + place.offset(0);
      float* const target = mask.data + row * length;
      for (int64_t i = 0; i < length; ++i) {
        const uint64_t hash = Mix(key + static_cast<uint64_t>(number + i * stride) * kGolden);
        target[i] = hash >> (64 - kBits) < limit ? kept : 0;
      }
    }
  });
}

}  // namespace relayout::kernels
