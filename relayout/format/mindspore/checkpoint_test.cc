// SPDX-License-Identifier: Apache-2.0
#include "relayout/format/mindspore/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/format/checkpoint_file.h"
#include "relayout/format/mindspore/wire.h"
#include "relayout/format/testing.h"
#include "relayout/io/memory_file.h"

namespace relayout {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// --- Hand-made records ---------------------------------------------------------------------------

std::string Tensor(const std::vector<int64_t>& dims, std::string_view type,
                   std::string_view content) {
  std::string bytes;
  for (const int64_t dim : dims) AppendNumber(bytes, 1, dim);
  AppendBytes(bytes, 2, type);
  AppendBytes(bytes, 3, content);
  return bytes;
}

std::string Field(int number, std::string_view payload) {
  std::string bytes;
  AppendBytes(bytes, number, payload);
  return bytes;
}

std::string Record(std::string_view tag, std::string_view tensor, int body_field = 2) {
  return Field(1, Field(1, tag) + Field(body_field, tensor));
}

std::string Bytes(size_t count) { return std::string(count, '\x01'); }

std::string F32(std::string_view tag, std::vector<int64_t> dims, size_t content_bytes) {
  return Record(tag, Tensor(std::move(dims), "Float32", Bytes(content_bytes)));
}

Result<FileIndex> Index(std::string bytes) {
  return ReadFileIndex(MemoryFile("a.ckpt", std::move(bytes)));
}

// "f32[2,4] s[8] map[3]": what the index of these bytes holds.
std::string Summary(const std::string& bytes) {
  const auto index = Index(bytes);
  return index.ok() ? testing_support::Summary(*index) : "error: " + index.status().message();
}

// --- Reading -------------------------------------------------------------------------------------

struct GoodCase {
  std::string bytes;
  std::string want;
};

TEST(MindSporeCheckpointTest, Reads) {
  const std::string packed_dims = Field(1, "\x02\x01") + Field(2, "Float32") + Field(3, Bytes(8));
  std::string unknown = Tensor({2}, "Int8", Bytes(2)) + Field(9, "later");
  AppendNumber(unknown, 10, 7);
  const std::string no_content = std::string("\x08\x00", 2) + Field(2, "Int8");
  const std::string reordered = Field(1, Field(2, Tensor({1}, "Int8", "x")) + Field(1, "w"));
  const GoodCase cases[] = {
      {F32("w", {2, 4}, 32), "w:f32[2,4]@22+32"},
      {F32("w", {}, 4), "w:f32[]@18+4"},
      {F32("w", {1}, 4), "w:f32[1]@20+4"},
      {F32("w", {0}, 4), "w:f32[]@20+4"},  // As older writers wrote a 0-d tensor.
      {F32("w", {0}, 0), "w:f32[0]"},
      {F32("w", {0, 3}, 0), "w:f32[0,3]"},
      {Record("w", no_content), "w:i8[0]"},
      {F32("a", {1}, 4) + F32("b", {1}, 4), "a:f32[1]@20+4 b:f32[1]@44+4"},
      {F32("w", {3}, 4) + F32("w", {3}, 8), "w:f32[3]@20+4@44+8"},
      {F32("w", {2}, 4) + F32("w", {2}, 0) + F32("w", {2}, 4), "w:f32[2]@20+4@64+4"},
      {Record("w", packed_dims), "w:f32[2,1]@22+8"},
      {Record("w", unknown), "w:i8[2]@17+2"},
      {Field(7, "new") + F32("w", {1}, 4), "w:f32[1]@25+4"},
      {reordered, "w:i8[1]@14+1"},
      {Record("m", Bytes(5), 3), "map m@7+5"},
      {Record("m", Bytes(5), 3) + Record("m", Bytes(2), 3), "map m@7+5@19+2"},
      {Record("s", Tensor({0}, "str", Bytes(8))), "str s[8]@16+8"},
      {Record("s", Tensor({0}, "str", "")), "str s[0]"},
      {Record("q", Tensor({2}, "Int4", Bytes(2))), "q:i4[2]@17+2"},
      {Record("c", Tensor({1}, "Complex64", Bytes(8))), "c:c64[1]@22+8"},
      {Record("c", Tensor({1}, "Complex128", Bytes(16))), "c:c128[1]@23+16"},
      {Record("f", Tensor({1}, "Float8E4M3FN", "x")), "f:f8e4m3[1]@25+1"},
      {Record("f", Tensor({1}, "Float8E5M2", "x")), "f:f8e5m2[1]@23+1"},
  };
  for (const GoodCase& c : cases) {
    EXPECT_EQ(Summary(c.bytes), c.want);
  }
}

TEST(MindSporeCheckpointTest, ReadsWhatMindSporeWrote) {
  const auto summary = [](const char* name) {
    const auto index = ReadFileIndex(MemoryFile(name, testing_support::ReadTestData(name)));
    return index.ok() ? testing_support::Types(*index) : index.status().message();
  };
  EXPECT_EQ(summary("mindspore/all_types.ckpt"),
            "layer1.weight:f32[4,3] b:f16[3] i64:i64[2,2] u8:u8[5] bool:bool[3] a.f64:f64[1] "
            "scalar:i32[] u64:u64[2] u16:u16[2] i16:i16[2] u32:u32[1,2] i8:i8[3] bf:bf16[2,3] "
            "epoch_num:i64[] lr:f32[] flag:bool[] str note[16]");
  EXPECT_THAT(summary("mindspore/int4.ckpt"), HasSubstr("q:i4[2,3]"));
  for (const char* mode : {"gcm", "cbc"}) {
    EXPECT_THAT(summary(Format("mindspore/encrypted_{}.ckpt", mode).c_str()),
                HasSubstr("decrypt it in MindSpore first: load_checkpoint(dec_key=...)"));
  }
}

TEST(MindSporeCheckpointTest, FindsTheCrcTrailer) {
  const std::string bytes = testing_support::ReadTestData("mindspore/crc.ckpt");
  const auto index = Index(bytes);
  ASSERT_TRUE(index.ok()) << index.status().message();
  EXPECT_EQ(index->crc_covers_bytes, std::ssize(bytes) - 17);
  EXPECT_EQ(index->crc32, testing_support::CrcOf(bytes.substr(0, bytes.size() - 17)));
}

TEST(MindSporeCheckpointTest, DoesNotReadPayload) {
  const testing_support::CountingFile file(
      "a.ckpt", F32("a", {1 << 20}, 4 << 20) + F32("b", {1 << 20}, 4 << 20));
  ASSERT_TRUE(ReadFileIndex(file).ok());
  EXPECT_LE(file.bytes_read(), 3 * 4096 + 17);
}

struct BadCase {
  std::string bytes;
  std::string error;
};

TEST(MindSporeCheckpointTest, RefusesWithReason) {
  const std::string good = F32("w", {2}, 8);
  const std::string eleven_bytes = std::string(10, '\x80') + '\x01';
  const std::string huge = std::string(9, '\xFF') + '\x01';  // 2^64 - 1
  const std::string long_name(5000, 'n');
  const BadCase cases[] = {
      {"", "the file is empty"},
      {"hello world, this is text", "begins with the byte 0a"},
      {"{\"a\": 1}", "looks like JSON text"},
      {std::string("\x08\0\0\0\0\0\0\0{}      ", 16), "looks like a safetensors file"},
      {std::string("\x08\x02", 2), "this looks like a strategy file"},
      {std::string("\xD8\x5E\x3A\x7F....", 8), "the file is encrypted (AES-GCM); decrypt it"},
      {std::string("\xDA\x5E\x3A\x7F....", 8), "the file is encrypted (SM4-CBC); decrypt it"},
      {good.substr(0, 20), "truncated: the record at byte 0 needs 26 bytes, the file ends at 20"},
      {good + good.substr(0, 1), "truncated: the number at byte 29 runs past byte 29"},
      {"\x0A" + eleven_bytes, "the number at byte 1 in the file has more than 64 bits"},
      {"\x0A" + huge, "truncated: the record at byte 0 needs 18446744073709551615 bytes"},
      {std::string("\x0B\x00", 2), "found wire type 3"},
      {std::string("\x02\x00", 2), "found field number 0"},
      {good + std::string("\x0C\x00", 2), "at byte 28 in the file, found wire type 4"},
      {std::string("\x08\x05", 2) + good, "expected a length and bytes for the record at byte 0"},
      {Field(7, "unknown fields only"), "no parameter in the file"},
      {Field(1, Field(2, Tensor({1}, "Int8", "x"))), "the record at byte 0 has no tag"},
      {Field(1, Field(1, "w")), "w: the record at byte 0 has no tensor"},
      {Field(1, Field(1, "w") + Field(1, "v")), "a second tag at byte 5"},
      {Field(1, Field(1, "w") + Field(2, Tensor({1}, "Int8", "x")) + Field(3, "")),
       "a second tensor in the record at byte 0"},
      {Record("", Tensor({1}, "Int8", "x")), "the record at byte 0: a parameter has an empty name"},
      {Record("a\xFF", Tensor({1}, "Int8", "x")), "a\\xff: the name is not well-formed UTF-8"},
      {Record(long_name, Tensor({1}, "Int8", "x")), "is 5000 bytes long; at most 4096"},
      {Record("w", Field(3, "x")), "w: the tensor at byte 7 has no tensor_type"},
      {Record("w", Field(2, "Int8") + Field(2, "Int8")), "w: a second tensor_type at byte 13"},
      {Record("w", Field(3, "x") + Field(3, "x")), "w: a second tensor_content at byte 10"},
      {Record("w", Tensor({1}, std::string(65, 'T'), "x")), "is 65 bytes long; at most 64"},
      {Record("w", Tensor({1}, "Float128", "x")), "w: its tensor_type Float128 is not known"},
      {Record("w", Tensor({-1}, "Int8", "x")), "w: the dim -1 is negative"},
      {Record("w", Tensor(std::vector<int64_t>(17, 1), "Int8", "x")), "more than 16 entries"},
      {F32("w", {int64_t{1} << 62, 4}, 0), "w: Float32[4611686018427387904,4] has more than 2^63"},
      {F32("w", {2}, 7), "w: Float32[2] needs 8 bytes, its content has 7"},
      {F32("w", {2}, 9), "w: Float32[2] needs 8 bytes, its content has 9"},
      {F32("w", {0}, 8), "w: Float32[0] needs 0 bytes, its content has 8"},
      {F32("w", {4}, 8) + F32("w", {4}, 4), "w: Float32[4] needs 16 bytes, its content has 12"},
      {F32("w", {3}, 4) + F32("w", {2}, 8),
       "its slices disagree: Float32[3] at byte 0, Float32[2]"},
      {F32("w", {2}, 4) + Record("w", Tensor({2}, "Int32", Bytes(4))), "its slices disagree"},
      {good + Record("w", "", 3), "w: a tensor and a map tensor at bytes 0 and 28"},
      {good + F32("v", {1}, 4) + good, "w: a second value of this name at byte 52"},
      {Record("s", Tensor({0}, "str", "abc")), "s: the text at byte 0 has 3 bytes, not a multiple"},
      {good + "crc_num" + std::string("\0\0\0\0\0\1\0\0\0\0", 10), "holds more than 32 bits"},
      {Record("w\x1b[2J", Tensor({2}, "Int8", "x")), "w\\x1b[2J: Int8[2] needs 2 bytes"},
      {Field(1, Field(1, "w") + std::string("\x12\x7F", 2)), "needs 127 bytes, the record ends"},
      {Record("w", Tensor({1}, "Int8", "x").substr(0, 9) + "\x7F"), "needs 127 bytes, the tensor"},
  };
  for (const BadCase& c : cases) {
    const auto index = Index(c.bytes);
    ASSERT_FALSE(index.ok()) << "expected: " << c.error;
    EXPECT_THAT(index.status().message(), StartsWith("a.ckpt: "));
    EXPECT_THAT(index.status().message(), HasSubstr(c.error));
  }
}

// --- Writing -------------------------------------------------------------------------------------

TEST(MindSporeCheckpointTest, WritesWhatMindSporeWrites) {
  for (const char* name : {"mindspore/all_types.ckpt", "mindspore/int4.ckpt"}) {
    const std::string bytes = testing_support::ReadTestData(name);
    const auto index = Index(bytes);
    ASSERT_TRUE(index.ok());
    const auto image = LayOutMindSporeCheckpoint(index->values);
    ASSERT_TRUE(image.ok()) << image.status().message();
    EXPECT_EQ(testing_support::Fill(*image, *index, bytes), bytes) << name;
  }
}

TEST(MindSporeCheckpointTest, CutsLargeValues) {
  struct {
    int64_t elements;
    std::vector<int64_t> slices;
  } const cases[] = {{0, {}}, {1, {1}}, {4, {4}}, {5, {4, 1}}, {8, {4, 4}}, {9, {4, 4, 1}}};
  for (const auto& c : cases) {
    const StoredValue value = {"w", ValueKind::kTensor, DType::kInt8, {c.elements}, {}};
    const auto image = LayOutMindSporeCheckpoint(std::span(&value, 1), 4);
    ASSERT_TRUE(image.ok());
    std::vector<int64_t> slices;
    for (const Extent& extent : image->extents[0]) slices.push_back(extent.size_bytes);
    EXPECT_EQ(slices, c.slices);
    const std::string file = testing_support::Fill(*image);
    const auto back = Index(file);
    ASSERT_TRUE(back.ok()) << back.status().message();
    EXPECT_TRUE(Equal(back->values[0].extents, image->extents[0]));
    EXPECT_EQ(back->values[0].shape, value.shape);
  }
}

TEST(MindSporeCheckpointTest, SlicesAsMindSporeDoes) {
  const int64_t elements = int64_t{165} << 20;  // 660 MiB: 512 MiB and the rest.
  const StoredValue value = {"w", ValueKind::kTensor, DType::kFloat32, {elements}, {}};
  const auto image = LayOutMindSporeCheckpoint(std::span(&value, 1));
  ASSERT_TRUE(image.ok());
  ASSERT_EQ(image->extents[0].size(), 2u);
  EXPECT_EQ(image->extents[0][0].size_bytes, 536870912);
  EXPECT_EQ(image->extents[0][1].size_bytes, 155189248);
}

TEST(MindSporeCheckpointTest, KeepsWhatMindSporeDrops) {
  const std::vector<StoredValue> values = {
      {"a", ValueKind::kTensor, DType::kFloat32, {0}, {}},
      {"b", ValueKind::kTensor, DType::kBFloat16, {0, 4}, {}},
      {"c", ValueKind::kString, DType::kUInt8, {0}, {}},
      {"d", ValueKind::kTensor, DType::kHiFloat8, {}, {}},
  };
  const auto image = LayOutMindSporeCheckpoint(values);
  ASSERT_TRUE(image.ok());
  EXPECT_EQ(Summary(testing_support::Fill(*image)), "a:f32[0] b:bf16[0,4] str c[0] d:hif8[]@78+1");
}

TEST(MindSporeCheckpointTest, RefusesToWrite) {
  struct {
    std::vector<StoredValue> values;
    std::string error;
  } const cases[] = {
      {{{"m", ValueKind::kMapTensor, DType::kUInt8, {4}, {}}}, "m: a map tensor"},
      {{{"s", ValueKind::kString, DType::kUInt8, {3}, {}}}, "s: text of 3 bytes"},
      {{{"", ValueKind::kTensor, DType::kUInt8, {3}, {}}}, "empty name"},
      {{{"w", ValueKind::kTensor, DType::kUInt8, {-1}, {}}}, "w: [-1] is not a possible shape"},
      {{{"w", ValueKind::kTensor, DType::kUInt8, {1}, {}},
        {"w", ValueKind::kTensor, DType::kUInt8, {1}, {}}},
       "w: a second value of this name"},
  };
  for (const auto& c : cases) {
    const auto image = LayOutFile(FileFormat::kMindSporeCheckpoint, c.values);
    ASSERT_FALSE(image.ok()) << c.error;
    EXPECT_THAT(image.status().message(), HasSubstr(c.error));
  }
}

TEST(CheckpointFileTest, FormatOfName) {
  EXPECT_EQ(FormatOfName("a/b.ckpt"), FileFormat::kMindSporeCheckpoint);
  EXPECT_EQ(FormatOfName("a.safetensors"), FileFormat::kSafetensors);
  for (const char* name : {"a.CKPT", "ckpt", "a.json", "a.ckpt.tmp", ""}) {
    EXPECT_FALSE(FormatOfName(name).has_value()) << name;
  }
  EXPECT_THAT(ReadFileIndex(MemoryFile("a.bin", "x")).status().message(),
              HasSubstr("a.bin: a checkpoint's name ends in .ckpt or .safetensors"));
}

}  // namespace
}  // namespace relayout
