// SPDX-License-Identifier: Apache-2.0
#include "relayout/checkpoint/catalog.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "relayout/format/checkpoint_file.h"
#include "relayout/format/mindspore/crc_trailer.h"
#include "relayout/io/memory_file.h"
#include "relayout/io/memory_file_system.h"

namespace relayout {
namespace {

// A .ckpt file of u8[4] values, all bytes `fill`.
std::string FileOf(const std::vector<std::string>& names, char fill = 'x') {
  std::vector<StoredValue> values;
  for (const std::string& name : names) {
    values.push_back({.name = name, .dtype = DType::kUInt8, .shape = {4}, .extents = {}});
  }
  const auto image = LayOutFile(FileFormat::kMindSporeCheckpoint, values);
  std::string bytes(static_cast<size_t>(image->size_bytes), fill);
  for (const auto& header : image->headers) {
    bytes.replace(static_cast<size_t>(header.offset_bytes), header.bytes.size(), header.bytes);
  }
  return bytes;
}

std::string WithTrailer(const std::string& bytes) {
  const auto crc = CrcOfFile(MemoryFile("f", bytes), std::ssize(bytes));
  return bytes + SerializeCrcTrailer(*crc);
}

std::vector<std::string_view> NamesOf(const Catalog& catalog) {
  std::vector<std::string_view> names;
  for (const std::string_view name : catalog.names()) names.push_back(name);
  return names;
}

TEST(CatalogTest, IndexesByRankAndName) {
  MemoryFileSystem fs;
  fs.SetFile("a/0.ckpt", FileOf({"w", "b"}));
  fs.SetFile("a/2.ckpt", FileOf({"c", "w"}));
  auto opened = Catalog::Open(fs, {{0, "a/0.ckpt"}, {2, "a/2.ckpt"}}, 2);
  ASSERT_TRUE(opened.ok()) << opened.status().message();
  const Catalog catalog = *std::move(opened);
  EXPECT_EQ(NamesOf(catalog), (std::vector<std::string_view>{"w", "b", "c"}));
  EXPECT_EQ(catalog.Ranks(), (std::vector<int64_t>{0, 2}));
  EXPECT_TRUE(catalog.HasRank(2));
  EXPECT_FALSE(catalog.HasRank(1));
  EXPECT_TRUE(catalog.Contains("c"));
  EXPECT_FALSE(catalog.Contains("d"));
  ASSERT_EQ(catalog.Holders("w").size(), 2U);
  EXPECT_EQ(catalog.Holders("w")[1].rank(), 2);
  EXPECT_TRUE(catalog.Holders("d").empty());
  EXPECT_FALSE(catalog.Find(0, "c").has_value());
  EXPECT_FALSE(catalog.Find(1, "w").has_value());
  ASSERT_TRUE(catalog.Find(2, "c").has_value());
  EXPECT_EQ(catalog.Find(2, "c")->shape, Dims({4}));
  EXPECT_EQ(*ReadSmallValue(fs, catalog.Holders("w")[1]), "xxxx");
}

TEST(CatalogTest, OneFileMayServeTwoRanks) {
  MemoryFileSystem fs;
  fs.SetFile("0.ckpt", FileOf({"w"}));
  const auto catalog = Catalog::Open(fs, {{0, "0.ckpt"}, {1, "0.ckpt"}}, 1);
  ASSERT_TRUE(catalog.ok());
  EXPECT_EQ(catalog->Holders("w").size(), 2U);
}

TEST(CatalogTest, NamesTheFirstFileThatCannotBeRead) {
  MemoryFileSystem fs;
  fs.SetFile("0.ckpt", FileOf({"w"}));
  fs.SetFile("1.ckpt", FileOf({"w"}).substr(0, 9));
  for (const int threads : {1, 3}) {
    const auto bad = Catalog::Open(fs, {{0, "0.ckpt"}, {1, "1.ckpt"}, {2, "none.ckpt"}}, threads);
    ASSERT_FALSE(bad.ok());
    if (threads == 1) {
      EXPECT_NE(bad.status().message().find("1.ckpt"), std::string::npos);
    }
  }
}

TEST(CheckTrailersTest, FindsDamage) {
  MemoryFileSystem fs;
  fs.SetFile("0.ckpt", FileOf({"w"}));  // Without a trailer.
  fs.SetFile("1.ckpt", WithTrailer(FileOf({"w"})));
  const auto good = Catalog::Open(fs, {{0, "0.ckpt"}, {1, "1.ckpt"}}, 1);
  ASSERT_TRUE(good.ok());
  EXPECT_TRUE(CheckTrailers(fs, *good, 2).ok());
  std::string damaged = WithTrailer(FileOf({"w"}));
  damaged[damaged.size() - 18] ^= 1;
  fs.SetFile("1.ckpt", damaged);
  const auto bad = Catalog::Open(fs, {{0, "0.ckpt"}, {1, "1.ckpt"}}, 1);
  ASSERT_TRUE(bad.ok());
  const Status status = CheckTrailers(fs, *bad, 2);
  EXPECT_EQ(status.code(), StatusCode::kInvalidInput);
  EXPECT_TRUE(status.message().starts_with("1.ckpt: damaged: the crc_num trailer says "))
      << status.message();
}

}  // namespace
}  // namespace relayout
