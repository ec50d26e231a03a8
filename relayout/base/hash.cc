// SPDX-License-Identifier: Apache-2.0
#include "relayout/base/hash.h"

#include <isa-l/crc.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "relayout/base/text.h"

namespace relayout {

uint32_t Crc32(uint32_t previous, std::span<const std::byte> bytes) {
  return crc32_gzip_refl(previous, reinterpret_cast<const unsigned char*>(bytes.data()),
                         bytes.size());
}

std::string ToHex(const Hash128& hash) { return Format("{:016x}{:016x}", hash.high, hash.low); }

std::optional<Hash128> ParseHash128(std::string_view text) {
  if (text.size() != 32) return std::nullopt;
  Hash128 hash;
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t digit = std::string_view("0123456789abcdef").find(text[i]);
    if (digit == std::string_view::npos) return std::nullopt;
    uint64_t& half = i < 16 ? hash.high : hash.low;
    half = half << 4 | digit;
  }
  return hash;
}

Hash128 HashBytes(std::span<const std::byte> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {.high = hash.high64, .low = hash.low64};
}

uint64_t Hash64(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

struct StreamHash::State {
  alignas(64) XXH3_state_t xxh3;
};

StreamHash::StreamHash() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->xxh3); }
StreamHash::~StreamHash() = default;

void StreamHash::Update(std::span<const std::byte> bytes) {
  XXH3_128bits_update(&state_->xxh3, bytes.data(), bytes.size());
}

Hash128 StreamHash::Digest() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(&state_->xxh3);
  return {.high = hash.high64, .low = hash.low64};
}

}  // namespace relayout
