// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/idx_file.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

#include "relayout/base/gzip.h"
#include "relayout/base/text.h"
#include "relayout/io/memory_file.h"
#include "relayout/io/memory_file_system.h"

namespace relayout {
namespace {

using namespace std::string_literals;  // NOLINT: the only short way to write zeros in strings.

std::string Gzip(std::string_view text) { return GzipCompress(std::as_bytes(std::span(text))); }

// "[2,1,3] 1 2 3 4 5 6", or what is wrong.
std::string Read(const std::string& bytes, size_t dim_count) {
  const auto array = ReadIdx(MemoryFile("f", bytes), dim_count);
  if (!array.ok()) {
    EXPECT_EQ(array.status().code(), StatusCode::kInvalidInput);
    return array.status().message();
  }
  std::string text = ToText(array->shape);
  for (const uint8_t value : array->values) text += Format(" {}", value);
  return text;
}

const std::string kImages = "\0\0\x08\x03\0\0\0\x02\0\0\0\x01\0\0\0\x03\x01\x02\x03\x04\x05\xff"s;
const std::string kLabels = "\0\0\x08\x01\0\0\0\x02\x07\x09"s;

TEST(IdxFile, ReadsPlainAndGzip) {
  for (const auto& [bytes, dim_count, want] :
       {std::tuple(kImages, 3, "[2,1,3] 1 2 3 4 5 255"), std::tuple(kLabels, 1, "[2] 7 9"),
        std::tuple("\0\0\x08\x01\0\0\0\0"s, 1, "[0]"),
        std::tuple("\0\0\x08\x02\0\0\0\x05\0\0\0\0"s, 2, "[5,0]")}) {
    EXPECT_EQ(Read(bytes, static_cast<size_t>(dim_count)), want);
    EXPECT_EQ(Read(Gzip(bytes), static_cast<size_t>(dim_count)), want);
  }
}

TEST(IdxFile, TellsWhatIsNoIdxFile) {
  const struct {
    std::string bytes;
    std::string want;
  } cases[] = {
      {"", "f: ends at byte 0, inside the header of an IDX file; was all of it copied?"},
      {kImages.substr(0, 10),
       "f: ends at byte 10, inside the header of an IDX file; was all of it copied?"},
      {"<html>",
       "f: begins with 0x3c68746d, which is no IDX file; wanted: images (0x00000803: u8, 3 dims). "
       "Some servers deliver a page in place of a file: download it again"},
      {"\0\0\x0d\x03"s, "f: an IDX file of f32 (0x00000d03); only u8 is read, as MNIST has it"},
      {"\0\0\x0b\x01"s, "f: an IDX file of i16 (0x00000b01); only u8 is read, as MNIST has it"},
      {kLabels,
       "f: an IDX file of labels (0x00000801: u8, 1 dim); wanted: images (0x00000803: u8, 3 dims). "
       "Have images and labels changed places?"},
      {"\0\0\x08\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"s,
       "f: its header says [4294967295,4294967295,4294967295], which is more than any file holds"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Read(c.bytes, 3), c.want);
    EXPECT_EQ(Read(Gzip(c.bytes), 3), c.want);
  }
}

TEST(IdxFile, TellsSizesThatDisagree) {
  const std::string says = "f: its header says [2,1,3], 6 bytes behind 16 of header, but ";
  const std::string end = "; download or copy it again";
  EXPECT_EQ(Read(kImages.substr(0, 21), 3), says + "5 follow it" + end);
  EXPECT_EQ(Read(kImages + "ab", 3), says + "8 follow it" + end);
  EXPECT_EQ(Read(Gzip(kImages.substr(0, 21)), 3), says + "5 follow it" + end);
  EXPECT_EQ(Read(Gzip(kImages + "ab"), 3), says + "more follow it" + end);
}

// 4 GiB are claimed by files of a few bytes: nothing is taken for them.
TEST(IdxFile, ClaimsTakeNoMemory) {
  const std::string file = "\0\0\x08\x01\xff\xff\xff\xff"s + "abc";
  const std::string want =
      "f: its header says [4294967295], 4294967295 bytes behind 8 of header, but 3 follow it; "
      "download or copy it again";
  EXPECT_EQ(Read(file, 1), want);
  EXPECT_EQ(Read(Gzip(file), 1), want);
}

TEST(IdxFile, DamagedGzipIsSeen) {
  std::string file = Gzip(kImages);
  file[file.size() - 8] ^= 1;  // Of the checksum, behind the last value.
  EXPECT_EQ(Read(file, 3), Format("f: gzip, before byte {0} of {0}: its bytes do not add up to its "
                                  "checksum",
                                  file.size()));
}

TEST(IdxFile, LargeFilesGrowInSteps) {
  IdxArray array;
  array.shape = {3, 1000, 1300};
  for (uint32_t i = 0; i < 3'900'000; ++i) array.values.push_back(static_cast<uint8_t>(i * i >> 7));
  const auto plain = ReadIdx(MemoryFile("f", IdxBytes(array)), 3);
  const auto gzip = ReadIdx(MemoryFile("f", Gzip(IdxBytes(array))), 3);
  EXPECT_TRUE(plain.ok() && *plain == array);
  EXPECT_TRUE(gzip.ok() && *gzip == array);
}

TEST(IdxFile, Writes) {
  MemoryFileSystem fs;
  const IdxArray array = {{2, 1, 3}, {1, 2, 3, 4, 5, 255}};
  EXPECT_EQ(IdxBytes(array), kImages);
  for (const bool gzip : {false, true}) {
    IdxWriteOptions options;
    options.gzip = gzip;
    const std::string path = gzip ? "new/f.gz" : "new/f";
    ASSERT_TRUE(WriteIdxFile(fs, path, array, options).ok());
    EXPECT_EQ(*fs.FileBytes(path) == kImages, !gzip);
    EXPECT_TRUE(*ReadIdxFile(fs, path, 3) == array);
    EXPECT_EQ(WriteIdxFile(fs, path, array, options).code(), StatusCode::kAlreadyExists);
    options.overwrite = true;
    EXPECT_TRUE(WriteIdxFile(fs, path, array, options).ok());
  }
  EXPECT_EQ(ReadIdxFile(fs, "none", 3).status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace relayout
