// SPDX-License-Identifier: Apache-2.0
#include "relayout/base/gzip.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace relayout {
namespace {

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

// "hello, hello, hello\n" as gzip 1.12 writes it, with its name in the header.
constexpr std::string_view kHello(
    "\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x03\x68\x2e\x74\x78\x74\x00"
    "\xcb\x48\xcd\xc9\xc9\xd7\x51\xc8\x40\xa2\xb8\x00\xe7\x42\x6e\x52\x14\x00\x00\x00",
    36);

// Everything that `file` holds, by pieces of these sizes; "error: ..." where that fails.
std::string Inflated(std::string_view file, size_t in_piece, size_t out_piece) {
  GzipInflater inflater;
  std::string whole;
  std::string buffer(out_piece, '\0');
  bool ended = false;
  while (true) {
    const auto input = Bytes(file.substr(0, in_piece));
    const auto step =
        inflater.Inflate(input, std::as_writable_bytes(std::span(buffer.data(), out_piece)));
    if (!step.ok()) return "error: " + step.status().message();
    whole += buffer.substr(0, step->produced);
    file.remove_prefix(step->consumed);
    ended = step->member_ended;
    if (file.empty() && (ended || step->produced == 0)) break;
  }
  return ended ? whole : whole + "...";
}

std::string RandomText(size_t size, int kinds) {
  std::mt19937 random(1);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random() % static_cast<unsigned>(kinds));
  return text;
}

TEST(Gzip, ReadsWhatOthersWrite) {
  for (const size_t in_piece : {1, 3, 100}) {
    for (const size_t out_piece : {1, 7, 1000}) {
      EXPECT_EQ(Inflated(kHello, in_piece, out_piece), "hello, hello, hello\n");
    }
  }
}

// The same with everything that a header may have: 3 more bytes, name, comment, its own checksum.
TEST(Gzip, PassesOverWholeHeaders) {
  using namespace std::string_literals;  // NOLINT: the only short way to write zeros in strings.
  const std::string file = "\x1f\x8b\x08\x1e\0\0\0\0\0\x03\x03\0"s + "abc"s + "name\0"s +
                           "comment\0"s + "\x12\x34"s + std::string(kHello.substr(16));
  for (const size_t in_piece : {1, 2, 11, 12, 13, 100}) {
    EXPECT_EQ(Inflated(file, in_piece, 100), "hello, hello, hello\n") << in_piece;
  }
}

TEST(Gzip, RoundTrips) {
  for (const size_t size : {0, 1, 2, 1000, 65535, 65536, 5'000'000}) {
    for (const int kinds : {1, 5, 256}) {
      const std::string text = RandomText(size, kinds);
      const std::string file = GzipCompress(Bytes(text));
      EXPECT_TRUE(IsGzip(Bytes(file)));
      EXPECT_TRUE(Inflated(file, 4096, 65536) == text) << size << " of " << kinds;
      EXPECT_TRUE(Inflated(file, 1 << 20, 1 << 20) == text) << size << " of " << kinds;
    }
  }
  EXPECT_LT(GzipCompress(Bytes(RandomText(1'000'000, 1))).size(), 20'000U);
}

TEST(Gzip, MembersAreJoined) {
  const std::string text = RandomText(100'000, 7);
  const std::string file = std::string(kHello) + GzipCompress(Bytes(text)) + std::string(kHello);
  for (const size_t in_piece : {1, 35, 36, 37, 5000, 1'000'000}) {
    EXPECT_TRUE(Inflated(file, in_piece, 777) ==
                "hello, hello, hello\n" + text + "hello, hello, hello\n")
        << in_piece;
  }
}

// Each prefix is begun well and not ended.
TEST(Gzip, TellsWhatIsCutShort) {
  for (size_t size = 1; size < kHello.size(); ++size) {
    const std::string part = Inflated(kHello.substr(0, size), 5, 100);
    EXPECT_TRUE(part.ends_with("...")) << size << " " << part;
  }
}

TEST(Gzip, TellsWhatIsDamaged) {
  const auto with = [](size_t position, char value) {
    std::string file(kHello);
    file[position] = value;
    return Inflated(file, 100, 100);
  };
  EXPECT_EQ(with(0, 'P'), "error: no gzip header where one should be");
  EXPECT_EQ(with(2, 7), "error: its gzip header names a method that is not deflate");
  EXPECT_EQ(with(16, '\x07'), "error: its compressed data is damaged");
  EXPECT_EQ(with(28, 1), "error: its bytes do not add up to its checksum");
  EXPECT_EQ(with(33, 1), "error: its bytes do not add up to its checksum");
}

// Whatever bit is turned, nothing wrong comes out as if it were right. The header's time, system
// and name are not covered by a checksum.
TEST(Gzip, NoTurnedBitGoesUnseen) {
  for (size_t bit = 8 * 16; bit < 8 * kHello.size(); ++bit) {
    std::string file(kHello);
    file[bit / 8] = static_cast<char>(file[bit / 8] ^ (1 << bit % 8));
    const std::string text = Inflated(file, 100, 100);
    EXPECT_TRUE(text.starts_with("error: ") || text.ends_with("...")) << bit << " " << text;
  }
}

TEST(Gzip, IsToldByTwoBytes) {
  EXPECT_TRUE(IsGzip(Bytes(kHello)));
  EXPECT_FALSE(IsGzip(Bytes("\x1f")));
  EXPECT_FALSE(IsGzip(Bytes("")));
  EXPECT_FALSE(IsGzip(Bytes("PK\x03\x04")));
}

}  // namespace
}  // namespace relayout
