// SPDX-License-Identifier: Apache-2.0
#include "relayout/base/content_hash.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <utility>

namespace relayout {
namespace {

constexpr uint64_t kStream = 7;

std::string Noise(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

// By the definition.
Hash128 WholeSum(std::string_view text) {
  Hash128 sum;
  for (size_t i = 0; i * kHashBlockBytes < text.size(); ++i) {
    sum += BlockTerm(kStream, static_cast<int64_t>(i),
                     Bytes(text.substr(i * kHashBlockBytes, kHashBlockBytes)));
  }
  return sum;
}

TEST(ContentHash, SumsCarryOver) {
  Hash128 sum = {.high = 1, .low = ~uint64_t{0}};
  sum += Hash128{.high = 2, .low = 2};
  EXPECT_EQ(sum, (Hash128{.high = 4, .low = 1}));
}

TEST(ContentHash, TermsDependOnEverything) {
  const std::string text = Noise(kHashBlockBytes, 1);
  const Hash128 term = BlockTerm(kStream, 3, Bytes(text));
  EXPECT_EQ(BlockTerm(kStream, 3, Bytes(text)), term);
  EXPECT_NE(BlockTerm(kStream + 1, 3, Bytes(text)), term);
  EXPECT_NE(BlockTerm(kStream, 4, Bytes(text)), term);
  EXPECT_NE(BlockTerm(kStream, 3, Bytes(text).first(kHashBlockBytes - 1)), term);
  EXPECT_NE(StreamId("a"), StreamId("b"));
}

TEST(ContentHash, PiecesInOrderMakeTheWhole) {
  for (const size_t size : {1, 1023, 1024, 1025, 5000, 8192}) {
    for (const size_t step : {1, 7, 512, 1024, 1500, 4096, 10000}) {
      const std::string text = Noise(size, static_cast<uint32_t>(size));
      BlockHasher hasher(kStream, static_cast<int64_t>(size));
      for (size_t i = 0; i < size; i += step) {
        hasher.Add(static_cast<int64_t>(i), Bytes(std::string_view(text).substr(i, step)));
      }
      EXPECT_EQ(hasher.sum(), WholeSum(text)) << size << " in steps of " << step;
      EXPECT_TRUE(hasher.torn_blocks().empty());
    }
  }
}

// However a stream is dealt out to writers, in whatever order each writes: the sums and the torn
// blocks together are the whole, and no block is torn twice.
TEST(ContentHash, WritersAddUp) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const std::string text = Noise(1 + random() % 9000, seed);
    std::vector<std::pair<size_t, size_t>> pieces;
    for (size_t begin = 0; begin < text.size();) {
      const size_t size = std::min<size_t>(text.size() - begin, 1 + random() % 2500);
      pieces.emplace_back(begin, size);
      begin += size;
    }
    if (seed % 3 != 0) std::shuffle(pieces.begin(), pieces.end(), random);
    std::vector<BlockHasher> writers(1 + seed % 4,
                                     BlockHasher(kStream, static_cast<int64_t>(text.size())));
    for (const auto& [begin, size] : pieces) {
      writers[random() % writers.size()].Add(static_cast<int64_t>(begin),
                                             Bytes(std::string_view(text).substr(begin, size)));
    }
    Hash128 sum;
    std::vector<int64_t> torn;
    for (const BlockHasher& writer : writers) {
      sum += writer.sum();
      torn.insert(torn.end(), writer.torn_blocks().begin(), writer.torn_blocks().end());
    }
    for (const int64_t block : torn) {
      const auto begin = static_cast<size_t>(block * kHashBlockBytes);
      sum +=
          BlockTerm(kStream, block, Bytes(std::string_view(text).substr(begin, kHashBlockBytes)));
    }
    EXPECT_EQ(sum, WholeSum(text)) << "seed " << seed;
  }
}

TEST(ContentHash, HexGoesBothWays) {
  const Hash128 hash = {.high = 0x0123456789abcdef, .low = 0xfedcba9876543210};
  EXPECT_EQ(ParseHash128(ToHex(hash)), hash);
  for (const char* bad :
       {"", "0123", "0123456789abcdef0123456789abcdeg", "0123456789ABCDEF0123456789ABCDEF",
        "0123456789abcdef0123456789abcdef0"}) {
    EXPECT_FALSE(ParseHash128(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace relayout
