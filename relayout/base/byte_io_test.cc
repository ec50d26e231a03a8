// SPDX-License-Identifier: Apache-2.0
#include "relayout/base/byte_io.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "relayout/base/name_table.h"
#include "relayout/base/text.h"

namespace relayout {
namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

std::string BytesOf(int64_t number) {
  ByteWriter writer;
  writer.Int(number);
  return writer.Take();
}

TEST(ByteIoTest, IntegersComeBackInAsManyBytesAsTheyNeed) {
  struct Case {
    int64_t number;
    size_t bytes;
  };
  const std::vector<Case> cases = {
      {0, 1},    {-1, 1},   {1, 1},       {63, 1},    {-64, 1},   {64, 2},        {-65, 2},
      {8191, 2}, {8192, 3}, {1 << 30, 5}, {kMax, 10}, {kMin, 10}, {kMax - 1, 10}, {kMin + 1, 10}};
  for (const Case& c : cases) {
    const std::string bytes = BytesOf(c.number);
    EXPECT_EQ(bytes.size(), c.bytes) << c.number;
    ByteReader reader(bytes);
    EXPECT_EQ(reader.Int(), c.number);
    EXPECT_TRUE(reader.AtEnd()) << c.number;
  }
}

TEST(ByteIoTest, TextsAndDimsComeBack) {
  ByteWriter writer;
  writer.Text("");
  writer.Text(std::string("a\0b", 3));
  WriteDims(writer, {});
  WriteDims(writer, {0, kMax, 3});
  const std::string bytes = writer.Take();
  ByteReader reader(bytes);
  EXPECT_EQ(reader.Text(), "");
  EXPECT_EQ(reader.Text(), std::string("a\0b", 3));
  EXPECT_EQ(ReadDims(reader), Dims());
  EXPECT_EQ(ReadDims(reader), Dims({0, kMax, 3}));
  EXPECT_TRUE(reader.AtEnd());
}

TEST(ByteIoTest, RefusesWhatDoesNotFit) {
  struct Case {
    const char* what;
    std::string bytes;
    void (*read)(ByteReader&);
  };
  const std::vector<Case> cases = {
      {"nothing", "", [](ByteReader& r) { r.Int(); }},
      {"a number without end", "\xFF\xFF", [](ByteReader& r) { r.Int(); }},
      {"a number of 11 bytes", std::string(10, '\xFF') + "\x01", [](ByteReader& r) { r.Int(); }},
      {"a number of 65 bits", std::string(9, '\xFF') + "\x02", [](ByteReader& r) { r.Int(); }},
      {"a text that is longer than the rest", BytesOf(3) + "ab", [](ByteReader& r) { r.Text(); }},
      {"a text of negative length", BytesOf(-1) + "ab", [](ByteReader& r) { r.Text(); }},
      {"a huge count", BytesOf(kMax) + "ab", [](ByteReader& r) { r.Count(); }},
      {"items that are too long", BytesOf(2) + "abc", [](ByteReader& r) { r.Count(2); }},
      {"too many dims", BytesOf(17) + std::string(17, '\2'), [](ByteReader& r) { ReadDims(r); }},
      {"a negative dim", BytesOf(1) + BytesOf(-1), [](ByteReader& r) { ReadDims(r); }},
      {"below the range", BytesOf(4), [](ByteReader& r) { r.IntIn(5, 6); }},
      {"above the range", BytesOf(7), [](ByteReader& r) { r.IntIn(5, 6); }},
      {"names twice", BytesOf(2) + BytesOf(1) + "w" + BytesOf(1) + "w",
       [](ByteReader& r) { NameTable::Read(r); }},
  };
  for (const Case& c : cases) {
    ByteReader reader(c.bytes);
    c.read(reader);
    EXPECT_FALSE(reader.ok()) << c.what;
    EXPECT_FALSE(reader.AtEnd()) << c.what;
    EXPECT_EQ(reader.Int(), 0) << c.what;
    EXPECT_EQ(reader.Text(), "") << c.what;
  }
}

TEST(NameTableTest, NumbersNamesOnce) {
  NameTable names;
  EXPECT_FALSE(names.Find("w").has_value());
  // More than a block of text, one name longer than a block, and an empty one.
  std::vector<std::string> all = {std::string(100000, 'x'), ""};
  for (int i = 0; i < 5000; ++i) all.push_back(Format("decoder.layers.{}.weight", i));
  for (size_t round = 0; round < 2; ++round) {
    for (size_t i = 0; i < all.size(); ++i) {
      const auto [number, is_new] = names.Add(all[i]);
      EXPECT_EQ(number, i);
      EXPECT_EQ(is_new, round == 0);
    }
  }
  ASSERT_EQ(names.size(), all.size());
  const NameTable moved = std::move(names);
  ByteWriter writer;
  moved.Write(writer);
  const std::string bytes = writer.Take();
  ByteReader reader(bytes);
  const NameTable read = NameTable::Read(reader);
  EXPECT_TRUE(reader.AtEnd());
  ASSERT_EQ(read.size(), all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(moved[i], all[i]);
    EXPECT_EQ(read[i], all[i]);
    EXPECT_EQ(moved.Find(all[i]), static_cast<uint32_t>(i));
  }
  EXPECT_FALSE(moved.Find("decoder").has_value());
}

}  // namespace
}  // namespace relayout
