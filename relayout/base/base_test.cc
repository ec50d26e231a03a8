// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "relayout/base/checked_math.h"
#include "relayout/base/dims.h"
#include "relayout/base/dtype.h"
#include "relayout/base/hash.h"
#include "relayout/base/json_writer.h"
#include "relayout/base/parallel.h"
#include "relayout/base/status.h"
#include "relayout/base/text.h"

namespace relayout {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

TEST(Status, KeepsCodeAndAddsContext) {
  const Status status = NotFound("x: gone").WithContext("while reading");
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "while reading: x: gone");
  EXPECT_TRUE(OkStatus().WithContext("anything").ok());
}

Result<int64_t> Half(int64_t n) {
  if (n % 2 != 0) return InvalidInput(Format("{} is odd", n));
  return n / 2;
}

Result<int64_t> Quarter(int64_t n) {
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t half, Half(n));
  return Half(half);
}

TEST(Status, MacrosPassFailuresOn) {
  EXPECT_EQ(*Quarter(12), 3);
  EXPECT_EQ(Quarter(6).status().message(), "3 is odd");
  EXPECT_EQ(Quarter(7).status().message(), "7 is odd");
}

TEST(StatusDeathTest, AFailedResultHasNoValue) {
  EXPECT_DEATH(static_cast<void>(*Half(1)), "internal error");
}

TEST(CheckedMath, NoticesOverflow) {
  EXPECT_EQ(CheckedAdd(kMax - 1, 1), kMax);
  EXPECT_EQ(CheckedAdd(kMax, 1), std::nullopt);
  EXPECT_EQ(CheckedMul(kMax / 2, 2), kMax - 1);
  EXPECT_EQ(CheckedMul(kMax / 2 + 1, 2), std::nullopt);
  EXPECT_EQ(CeilDiv(7, 3), 3);
  EXPECT_EQ(CeilDiv(6, 3), 2);
  EXPECT_EQ(CeilDiv(kMax, 1), kMax);
}

TEST(Dims, CountsElements) {
  struct Case {
    Dims dims;
    std::optional<int64_t> count;
  };
  const int64_t huge = int64_t{1} << 62;
  for (const Case& c : {Case{{}, 1}, Case{{3, 4}, 12}, Case{{huge, 2}, std::nullopt},
                        Case{{huge, huge, 0}, 0}, Case{{2, -1}, std::nullopt}}) {
    EXPECT_EQ(ElementCount(c.dims), c.count) << ToText(c.dims);
  }
}

TEST(Dims, StepsInCOrder) {
  const Dims begin = {1, 5};
  const Dims end = {3, 7};
  Dims index = begin;
  std::string seen;
  do {
    seen += ToText(index);
  } while (NextIndex(begin, end, index));
  EXPECT_EQ(seen, "[1,5][1,6][2,5][2,6]");
  EXPECT_EQ(index, begin);
}

TEST(DType, NamesRoundTrip) {
  for (int i = 0; i < kDTypeCount; ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_EQ(DTypeFromShortName(ShortName(dtype)), dtype);
    EXPECT_GE(ElementSize(dtype), 1);
  }
  EXPECT_EQ(DTypeFromShortName("f31"), std::nullopt);
}

TEST(Text, BytesForPeopleAndBack) {
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(1536), "1.5 KiB");
  EXPECT_EQ(HumanBytes(int64_t{256} << 20), "256 MiB");
  struct Case {
    const char* text;
    std::optional<int64_t> size;
  };
  for (const Case& c :
       {Case{"256MiB", int64_t{256} << 20}, Case{"64 MB", int64_t{64} << 20},
        Case{"1g", int64_t{1} << 30}, Case{"4096", 4096}, Case{"7B", 7}, Case{"", std::nullopt},
        Case{"-1", std::nullopt}, Case{"1.5G", std::nullopt}, Case{"1X", std::nullopt},
        Case{"1MiX", std::nullopt}, Case{"99999999999G", std::nullopt}}) {
    EXPECT_EQ(ParseBytes(c.text), c.size) << c.text;
  }
}

TEST(Text, Decimals) {
  EXPECT_EQ(ParseDecimal("007"), 7);
  EXPECT_EQ(ParseDecimal("9223372036854775807"), kMax);
  for (const char* text : {"", "9223372036854775808", "+1", " 1", "1 ", "0x1"}) {
    EXPECT_EQ(ParseDecimal(text), std::nullopt) << text;
  }
}

TEST(Text, Lists) {
  EXPECT_EQ(RankRuns({}), "");
  EXPECT_EQ(RankRuns({0, 1, 2, 5}), "0-2, 5");
  EXPECT_EQ(RankRuns({3, 4}), "3, 4");
  EXPECT_EQ(JoinLimited({"a", "b", "c"}, 2), "a, b and 1 more");
  EXPECT_EQ(Count(1, "file"), "1 file");
  EXPECT_EQ(Count(0, "file"), "0 files");
}

TEST(Text, NamesFromHostileFilesCannotDraw) {
  EXPECT_EQ(Printable("layer1.weight"), "layer1.weight");
  EXPECT_EQ(Printable("a\x1b[2Jb\n"), "a\\x1b[2Jb\\x0a");
  EXPECT_EQ(Printable("\xC3\xA4\xFF"), "\xC3\xA4\\xff");
  EXPECT_EQ(Printable(std::string(300, 'x')), std::string(200, 'x') + "...");
}

TEST(Text, Utf8) {
  for (const char* good : {"", "abc", "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"}) {
    EXPECT_TRUE(IsUtf8(good)) << good;
  }
  // A continuation alone, cut short, overlong, a surrogate, beyond U+10FFFF.
  for (const char* bad : {"\x80", "\xE2\x82", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80",
                          "\xF4\x90\x80\x80", "\xFF"}) {
    EXPECT_FALSE(IsUtf8(bad)) << Printable(bad);
  }
}

TEST(JsonWriter, WritesWhatJsonAllows) {
  JsonWriter json;
  json.BeginObject().Key("a\"b").BeginArray().Int(-1).Bool(true).Null().String("\n\\\xFF\xC3\xA4");
  json.EndArray().Key("shape").Array({2, 4}).Key("empty").BeginObject().EndObject().EndObject();
  EXPECT_EQ(json.text(),
            "{\"a\\\"b\":[-1,true,null,\"\\u000a\\\\\xEF\xBF\xBD\xC3\xA4\"],\"shape\":[2,4],"
            "\"empty\":{}}");
}

TEST(Hash, KnownValues) {
  const std::string text = "123456789";
  EXPECT_EQ(Crc32(0, std::as_bytes(std::span(text))), 0xCBF43926U);  // The CRC's own check value.
  EXPECT_EQ(Crc32(Crc32(0, std::as_bytes(std::span(text).first(4))),
                  std::as_bytes(std::span(text).subspan(4))),
            0xCBF43926U);
}

TEST(Hash, DoesNotDependOnThePieces) {
  const std::string text(1000, 'x');
  StreamHash whole;
  whole.Update(std::as_bytes(std::span(text)));
  StreamHash pieces;
  for (size_t i = 0; i < text.size(); i += 7) {
    pieces.Update(std::as_bytes(std::span(text)).subspan(i, std::min<size_t>(7, text.size() - i)));
  }
  EXPECT_EQ(whole.Digest(), pieces.Digest());
  EXPECT_EQ(ToHex(whole.Digest()).size(), 32U);
  pieces.Update(std::as_bytes(std::span(text).first(1)));
  EXPECT_NE(whole.Digest(), pieces.Digest());
}

TEST(Parallel, DoesEachItemOnce) {
  for (const int threads : {1, 2, 8}) {
    std::vector<std::atomic<int>> done(100);
    EXPECT_TRUE(ParallelFor(threads, 100, [&](int64_t i) {
                  ++done[static_cast<size_t>(i)];
                  return OkStatus();
                }).ok());
    for (const auto& count : done) EXPECT_EQ(count, 1);
  }
  EXPECT_TRUE(ParallelFor(4, 0, [](int64_t) { return InvalidInput("never"); }).ok());
}

TEST(Parallel, ReturnsTheLowestFailure) {
  for (const int threads : {1, 2, 8}) {
    const Status status = ParallelFor(threads, 1000, [](int64_t i) {
      return i >= 10 ? InvalidInput(std::to_string(i)) : OkStatus();
    });
    EXPECT_EQ(status.message(), "10") << threads;
  }
}

TEST(Parallel, ExhaustedMemoryIsAStatus) {
  const Status status = ParallelFor(2, 4, [](int64_t) -> Status { throw std::bad_alloc(); });
  EXPECT_EQ(status.code(), StatusCode::kOutOfMemory);
}

}  // namespace
}  // namespace relayout
