// SPDX-License-Identifier: Apache-2.0
//
// Content hash: what a file's bytes hash to, no matter who wrote which of them in which order.
//
// Threads and processes write parts of one file at the same time and nobody should read it again to
// hash it. So the hash is a sum modulo 2^128, and everybody adds what he wrote:
//
//   sum over all streams s of the file, over all blocks b of the stream, of
//       XXH3-128( XXH3-128(bytes of block b) | id of s | b )
//
// A file's streams are its values, each with XXH3-64 of its name as id, and what stands around them
// (headers). A block is kHashBlockBytes bytes of a stream, the last one of a stream may be shorter;
// a stream without bytes adds nothing. Numbers are 64 bits, little endian.
//
// A block of which one writer has the first part and another one the rest is *torn*: neither can
// add it. Whoever writes its last byte says so, and it is read back once all is written.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "relayout/base/hash.h"

namespace relayout {

// Small, so that reading torn blocks back costs nothing; XXH3 is at full speed already.
inline constexpr int64_t kHashBlockBytes = 1024;

// The id of the stream of this name.
uint64_t StreamId(std::string_view name);

// What one block adds to the sum. @pre 1 <= bytes.size() <= kHashBlockBytes
Hash128 BlockTerm(uint64_t stream_id, int64_t block, std::span<const std::byte> bytes);

// Modulo 2^128.
Hash128& operator+=(Hash128& sum, const Hash128& term);

// Adds up the blocks of one stream. Pieces that follow one another are one piece; a piece that does
// not continue the last one begins anew, and blocks are then torn at both ends.
class BlockHasher {
 public:
  BlockHasher(uint64_t stream_id, int64_t stream_bytes)
      : stream_id_(stream_id), stream_bytes_(stream_bytes) {}

  // The bytes of the stream from offset_bytes on. @pre they lie inside it
  void Add(int64_t offset_bytes, std::span<const std::byte> bytes);

  // Of the blocks that came whole.
  const Hash128& sum() const { return sum_; }
  // Blocks whose last byte came and whose first did not, in the order of arrival.
  const std::vector<int64_t>& torn_blocks() const { return torn_blocks_; }

 private:
  uint64_t stream_id_;
  int64_t stream_bytes_;
  int64_t position_ = 0;
  bool has_block_begin_ = true;  // Of the block that position_ lies in.
  std::array<std::byte, kHashBlockBytes> partial_{};
  Hash128 sum_;
  std::vector<int64_t> torn_blocks_;
};

}  // namespace relayout
