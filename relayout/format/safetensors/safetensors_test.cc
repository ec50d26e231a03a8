// SPDX-License-Identifier: Apache-2.0
#include "relayout/format/safetensors/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/format/checkpoint_file.h"
#include "relayout/format/testing.h"
#include "relayout/io/memory_file.h"

namespace relayout {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Length(uint64_t value) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFF);
  return bytes;
}

// A file of this header and so many bytes of data.
std::string File(const std::string& header, size_t data_bytes = 0) {
  return Length(header.size()) + header + std::string(data_bytes, 'd');
}

// One field of the header.
std::string Tensor(std::string_view name, std::string_view type, std::string_view shape,
                   std::string_view offsets) {
  return Format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":{}}})", name, type, shape,
                offsets);
}

std::string One(std::string_view type, std::string_view shape, std::string_view offsets,
                size_t data_bytes) {
  return File(Format("{{{}}}", Tensor("w", type, shape, offsets)), data_bytes);
}

Result<FileIndex> Index(std::string bytes) {
  return ReadFileIndex(MemoryFile("a.safetensors", std::move(bytes)));
}

std::string Summary(const std::string& bytes) {
  const auto index = Index(bytes);
  return index.ok() ? testing_support::Summary(*index) : "error: " + index.status().message();
}

TEST(SafetensorsTest, Reads) {
  const std::string a = Tensor("a", "U8", "[3]", "[0,3]");
  const std::string b = Tensor("b", "F16", "[2]", "[3,7]");
  const std::string empty = Tensor("e", "F32", "[0,4]", "[3,3]");
  struct {
    std::string bytes;
    std::string want;
  } const cases[] = {
      {File("{}"), ""},
      {File("{}      "), ""},
      {One("F32", "[2,4]", "[0,32]", 32), "w:f32[2,4]@65+32"},
      {One("BOOL", "[]", "[0,1]", 1), "w:bool[]@62+1"},
      {One("F8_E4M3", "[1]", "[0,1]", 1), "w:f8e4m3[1]@66+1"},
      {One("F8_E5M2", "[1]", "[0,1]", 1), "w:f8e5m2[1]@66+1"},
      {One("BF16", "[0]", "[0,0]", 0), "w:bf16[0]"},
      {File("{" + a + "," + b + "}", 7), "a:u8[3]@114+3 b:f16[2]@117+4"},
      {File("{" + b + "," + a + "}", 7), "a:u8[3]@114+3 b:f16[2]@117+4"},
      {File("{" + b + "," + empty + "," + a + "}", 7), "a:u8[3]@169+3 e:f32[0,4] b:f16[2]@172+4"},
      {File(R"({"__metadata__":{"w":"Int4"},)" + Tensor("w", "I8", "[2]", "[0,2]") + "}", 2),
       "w:i4[2]@89+2"},
      {File(R"({"__metadata__":{"w":"Int4"},)" + Tensor("w", "U8", "[2]", "[0,2]") + "}", 2),
       "w:u8[2]@89+2"},
  };
  for (const auto& c : cases) EXPECT_EQ(Summary(c.bytes), c.want);
}

TEST(SafetensorsTest, KeepsMetadata) {
  const auto index = Index(File(R"({"__metadata__":{"format":"ms","crc_num":"12"}})"));
  ASSERT_TRUE(index.ok());
  EXPECT_EQ(index->metadata,
            (std::map<std::string, std::string>{{"format", "ms"}, {"crc_num", "12"}}));
}

TEST(SafetensorsTest, RefusesWithReason) {
  const std::string a = Tensor("a", "U8", "[3]", "[0,3]");
  const std::string deep = "{\"w\":" + std::string(30, '[') + std::string(30, ']') + "}";
  struct {
    std::string bytes;
    std::string error;
  } const cases[] = {
      {"", "the file is empty"},
      {"1234567", "truncated: expected the 8-byte length of a safetensors header at byte 0"},
      {Length(2), "truncated: the header at byte 8 needs 2 bytes, the file ends at 8"},
      {Length(0), "expected a safetensors header"},
      {Length(100'000'001) + "{}", "found 100000001; at most 100000000 are accepted"},
      {Length(~uint64_t{0}) + "{}", "found 18446744073709551615; at most"},
      {"\x0A\x20\x0A\x01w\x12\x11\x08\x02\x12", "this may be a MindSpore checkpoint: rename it"},
      {File("[]"), "which begins with {, at byte 8"},
      {File(" {}"), "which begins with {, at byte 8"},
      {File("{\"a\":}"), "not valid JSON"},
      {File("{}{}"), "not valid JSON"},
      {File(deep), "nested more than 16 deep"},
      {File("{\"\xFF\":{}}"), "not valid JSON"},
      {File("{" + a + "," + a + "}", 6), "the header: the key a occurs twice"},
      {File(R"({"a":{"dtype":"U8","dtype":"I8","shape":[],"data_offsets":[0,1]}})", 1),
       "a: the tensor: the key dtype occurs twice"},
      {File(R"({"":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})", 1), "has an empty name"},
      {File(R"({"a":[]})"), "a: the tensor: expected an object"},
      {File(R"({"a":{"shape":[],"data_offsets":[0,1]}})", 1), "a: the key dtype is missing"},
      {File(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1), "a: the key shape is missing"},
      {File(R"({"a":{"dtype":"U8","shape":[]}})", 1), "a: the key data_offsets is missing"},
      {File(R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1],"x":1}})", 1),
       "a: the key x is not known"},
      {File(R"({"__metadata__":[]})"), "__metadata__: expected an object"},
      {File(R"({"__metadata__":{"a":1}})"), "__metadata__ a: expected a string"},
      {File(R"({"__metadata__":{"a":"1","a":"2"}})"), "__metadata__: the key a occurs twice"},
      {One("F4", "[2]", "[0,1]", 1), "w: its dtype F4 is not known"},
      {One("U8", "[-1]", "[0,1]", 1), "w: shape: expected an integer from 0"},
      {One("U8", "[1.0]", "[0,1]", 1), "w: shape: expected an integer from 0"},
      {One("U8", "[18446744073709551615]", "[0,1]", 1), "w: shape: expected an integer from 0"},
      {One("U8", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,1]", 1),
       "w: shape: expected at most 16"},
      {One("F64", "[1152921504606846976,8]", "[0,1]", 1), "has more than 2^63 bytes"},
      {One("U8", "[2]", "[0,1]", 1), "w: U8[2] needs 2 bytes, its data_offsets hold 1"},
      {One("U8", "[1]", "[1,0]", 1), "w: data_offsets: expected a begin and an end not before it"},
      {One("U8", "[1]", "[0]", 1), "w: data_offsets: expected a begin and an end"},
      {One("U8", "[1]", "[0,1,2]", 1), "w: data_offsets: expected at most 2 entries"},
      {One("U8", "[1]", "[1,2]", 2), "w: its data begins at 1, with a gap after the data before"},
      {One("U8", "[2]", "[0,2]", 1), "w: truncated: its data at byte 61 needs 2 bytes, the file"},
      {One("U8", "[1]", "[0,1]", 2), "the tensors end at byte 62, the file at 63"},
      {File("{" + a + "," + Tensor("b", "U8", "[2]", "[2,4]") + "}", 4),
       "b: its data begins at 2, inside the data before it, which ends at 3"},
      {File("{" + a + "," + Tensor("b", "U8", "[3]", "[0,3]") + "}", 3),
       "b: its data begins at 0, in"},
      {File("{}", 1), "the tensors end at byte 10, the file at 11"},
  };
  for (const auto& c : cases) {
    const auto index = Index(c.bytes);
    ASSERT_FALSE(index.ok()) << "expected: " << c.error;
    EXPECT_THAT(index.status().message(), StartsWith("a.safetensors: "));
    EXPECT_THAT(index.status().message(), HasSubstr(c.error));
  }
}

TEST(SafetensorsTest, WritesWhatMindSporeWrites) {
  const std::string bytes = testing_support::ReadTestData("mindspore/all_types.safetensors");
  const auto index = Index(bytes);
  ASSERT_TRUE(index.ok()) << index.status().message();
  std::vector<StoredValue> values = index->values;
  std::reverse(values.begin(), values.end());
  FileIndex reversed = *index;
  reversed.values = values;
  const auto image = LayOutSafetensors(values);
  ASSERT_TRUE(image.ok()) << image.status().message();
  EXPECT_EQ(testing_support::Fill(*image, reversed, bytes), bytes);
}

TEST(SafetensorsTest, Int4SurvivesAsMindSporeStoresIt) {
  const auto read = Index(testing_support::ReadTestData("mindspore/int4.safetensors"));
  ASSERT_TRUE(read.ok());
  EXPECT_THAT(testing_support::Types(*read), HasSubstr("q:i4[2,3]"));
  const auto image = LayOutSafetensors(read->values);
  ASSERT_TRUE(image.ok());
  EXPECT_THAT(image->headers[0].bytes, HasSubstr(R"({"__metadata__":{"format":"ms","q":"Int4"},)"));
  const auto again = Index(testing_support::Fill(*image));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(testing_support::Types(*again), testing_support::Types(*read));
}

TEST(SafetensorsTest, RefusesToWrite) {
  const auto tensor = [](std::string name, DType dtype) {
    return StoredValue{std::move(name), ValueKind::kTensor, dtype, {1}, {}};
  };
  struct {
    std::vector<StoredValue> values;
    std::string error;
  } const cases[] = {
      {{tensor("w", DType::kComplex64)}, "w: safetensors files cannot hold the type c64"},
      {{tensor("w", DType::kHiFloat8)}, "w: safetensors files cannot hold the type"},
      {{{"w", ValueKind::kString, DType::kUInt8, {4}, {}}},
       "w: safetensors files cannot hold text"},
      {{{"w", ValueKind::kMapTensor, DType::kUInt8, {4}, {}}}, "w: a map tensor"},
      {{tensor("__metadata__", DType::kInt8)}, "__metadata__: the name is reserved"},
      {{tensor("format", DType::kInt4)}, "format: an Int4 tensor of this name collides"},
      {{tensor("w", DType::kInt8), tensor("w", DType::kInt8)}, "w: a second value of this name"},
      {{tensor("\xFF", DType::kInt8)}, "the name is not well-formed UTF-8"},
  };
  for (const auto& c : cases) {
    const auto image = LayOutSafetensors(c.values);
    ASSERT_FALSE(image.ok()) << c.error;
    EXPECT_THAT(image.status().message(), HasSubstr(c.error));
  }
}

}  // namespace
}  // namespace relayout
