// SPDX-License-Identifier: Apache-2.0
//
// Philox4x32-10: random numbers that are looked up rather than drawn (Salmon, Moraes, Dror, Shaw:
// "Parallel random numbers: as easy as 1, 2, 3", 2011). Four words for every key and counter,
// independent of those for all others:
//
//   Philox({0, 0}, {0, 0, 0, 0})    // 6627e8d5 e169c58d bc57ac4c 9b00dbd8
//
// So whoever needs number 1,000,000 does not need the 999,999 before it, and ranks that each make a
// part of a tensor make together what one rank would.
#pragma once

#include <array>
#include <cstdint>

namespace relayout {

using PhiloxKey = std::array<uint32_t, 2>;
using PhiloxWords = std::array<uint32_t, 4>;

// A key from 64 bits, the low ones first.
constexpr PhiloxKey PhiloxKeyOf(uint64_t bits) {
  return {static_cast<uint32_t>(bits), static_cast<uint32_t>(bits >> 32)};
}

constexpr PhiloxWords Philox(PhiloxKey key, PhiloxWords counter) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t first = uint64_t{0xD2511F53} * counter[0];
    const uint64_t second = uint64_t{0xCD9E8D57} * counter[2];
    counter = {
        static_cast<uint32_t>(second >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(second),
        static_cast<uint32_t>(first >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(first)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

}  // namespace relayout
