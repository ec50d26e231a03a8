// SPDX-License-Identifier: Apache-2.0
//
// Two hashes: CRC-32 (MindSpore's trailer, zlib's polynomial) and XXH3-128 (comparing contents).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace relayout {

// CRC-32 of `bytes` after those that gave `previous` (0 at the start).
uint32_t Crc32(uint32_t previous, std::span<const std::byte> bytes);

struct Hash128 {
  uint64_t high = 0;
  uint64_t low = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
};

// 32 hexadecimal digits, and back; nothing for any other text.
std::string ToHex(const Hash128& hash);
std::optional<Hash128> ParseHash128(std::string_view text);

// XXH3-128 and XXH3-64 of bytes in memory.
Hash128 HashBytes(std::span<const std::byte> bytes);
uint64_t Hash64(std::span<const std::byte> bytes);

// XXH3-128 of a stream of pieces; the result does not depend on where the pieces are cut.
class StreamHash {
 public:
  StreamHash();
  ~StreamHash();
  StreamHash(const StreamHash&) = delete;
  StreamHash& operator=(const StreamHash&) = delete;

  void Update(std::span<const std::byte> bytes);
  Hash128 Digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace relayout
