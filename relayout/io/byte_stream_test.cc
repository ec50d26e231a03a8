// SPDX-License-Identifier: Apache-2.0
#include "relayout/io/byte_stream.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/io/memory_file.h"

namespace relayout {
namespace {

std::string Gzip(std::string_view text) { return GzipCompress(std::as_bytes(std::span(text))); }

std::string Numbers(int count) {
  std::string text;
  for (uint32_t i = 0; i < static_cast<uint32_t>(count); ++i) text += Format("{} ", i * i);
  return text;
}

// All of the stream, read by pieces of `size`; or what went wrong.
std::string ReadAll(std::string bytes, size_t size) {
  const MemoryFile file("f", std::move(bytes));
  ByteStream stream(file);
  std::string all;
  while (true) {
    std::string buffer(size, '\0');
    const auto count = stream.Read(std::as_writable_bytes(std::span(buffer.data(), size)));
    if (!count.ok()) return count.status().message();
    all += buffer.substr(0, *count);
    if (*count < size) return all;
  }
}

TEST(ByteStream, ReadsPlainAndGzip) {
  for (const int count : {0, 1, 1000, 300'000}) {
    const std::string text = Numbers(count);
    for (const size_t size : {size_t{7}, size_t{1024}, size_t{5'000'000}}) {
      if (count > 1000 && size == 7) continue;
      EXPECT_TRUE(ReadAll(text, size) == text) << count << " by " << size;
      EXPECT_TRUE(ReadAll(Gzip(text), size) == text) << count << " by " << size;
      EXPECT_TRUE(ReadAll(Gzip(text) + Gzip("") + Gzip(text), size) == text + text)
          << count << " by " << size;
    }
  }
}

TEST(ByteStream, ASingleByteIsPlain) { EXPECT_EQ(ReadAll("\x1f", 10), "\x1f"); }

TEST(ByteStream, KnowsWhatIsLeftOfPlainFiles) {
  const MemoryFile plain("f", std::string("0123456789"));
  ByteStream stream(plain);
  std::array<std::byte, 3> buffer{};
  EXPECT_EQ(**stream.BytesLeft(), 10);
  EXPECT_EQ(*stream.Read(buffer), 3U);
  EXPECT_EQ(**stream.BytesLeft(), 7);
  const MemoryFile gzip("f", Gzip("0123456789"));
  EXPECT_FALSE(ByteStream(gzip).BytesLeft()->has_value());
}

TEST(ByteStream, TellsWhatIsWrong) {
  const std::string file = Gzip(Numbers(1000));
  EXPECT_EQ(ReadAll(file.substr(0, 500), 64),
            "f: gzip that ends at byte 500, inside its compressed data; was all of it copied?");
  EXPECT_EQ(ReadAll(file.substr(0, 5), 64),
            "f: gzip that ends at byte 5, inside its compressed data; was all of it copied?");
  EXPECT_EQ(ReadAll(file + "more", 64),
            Format("f: gzip, before byte {} of {}: no gzip header where one should be",
                   file.size() + 4, file.size() + 4));
  std::string damaged = file;
  damaged[damaged.size() - 7] ^= 1;
  EXPECT_EQ(ReadAll(damaged, 64),
            Format("f: gzip, before byte {0} of {0}: its bytes do not add up to its checksum",
                   file.size()));
}

}  // namespace
}  // namespace relayout
