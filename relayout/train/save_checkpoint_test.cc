// SPDX-License-Identifier: Apache-2.0
//
// Saving and loading one file, each with the other; tests/mindspore/training_files_test.py has
// MindSpore itself at the other end.
#include "relayout/train/save_checkpoint.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/io/fault_file_system.h"
#include "relayout/io/memory_file_system.h"
#include "relayout/train/load_checkpoint.h"

namespace relayout {
namespace {

CheckpointValue Filled(std::string name, DType dtype, const Dims& shape, int salt) {
  CheckpointValue value;
  value.name = std::move(name);
  value.dtype = dtype;
  value.shape = shape;
  const int64_t size = ElementCount(shape).value() * ElementSize(dtype);
  for (int64_t i = 0; i < size; ++i) value.bytes.push_back(static_cast<std::byte>(salt + i));
  return value;
}

std::vector<CheckpointValue> SomeValues(int salt = 0) {
  return {Filled("w", DType::kFloat32, {2, 3}, salt), Filled("ids", DType::kInt32, {4}, salt + 1),
          Filled("half", DType::kBFloat16, {3, 1}, salt + 2),
          Filled("none", DType::kInt8, {0, 2}, 0), IntegerValue("epoch_num", 3)};
}

std::string Summary(const std::vector<CheckpointValue>& values) {
  std::string text;
  for (const CheckpointValue& value : values) {
    text += value.name + " " + TypeText(value) + " ";
    for (const std::byte byte : value.bytes) text += Format("{:02x}", std::to_integer<int>(byte));
    text += "\n";
  }
  return text;
}

TEST(SaveCheckpointTest, WhatIsSavedIsLoaded) {
  for (const std::string path : {"a/b/net.ckpt", "net.safetensors"}) {
    MemoryFileSystem fs;
    ASSERT_EQ(SaveCheckpoint(fs, path, SomeValues()).message(), "");
    const auto loaded = LoadCheckpoint(fs, path);
    ASSERT_EQ(loaded.status().message(), "");
    for (const CheckpointValue& value : SomeValues()) {
      ASSERT_NE(loaded->Find(value.name), nullptr) << value.name;
      EXPECT_EQ(Summary({*loaded->Find(value.name)}), Summary({value}));
    }
    EXPECT_EQ(loaded->values.size(), SomeValues().size());
    EXPECT_EQ(loaded->Find("other"), nullptr);
  }
}

TEST(SaveCheckpointTest, WritesMindSporesBytes) {
  MemoryFileSystem fs;
  ASSERT_TRUE(SaveCheckpoint(
                  fs, "x.ckpt",
                  std::vector{IntegerValue("step_num", 16), NumberValue("a", 1.5F),
                              BoolValue("b", true), TextValue("c", "h\u00e9"), TextValue("e", "")})
                  .ok());
  using namespace std::string_literals;
  EXPECT_EQ(*fs.FileBytes("x.ckpt"),
            "\n\x1d\n\x08step_num\x12\x11\x12\x05Int64\x1a\x08\x10\0\0\0\0\0\0\0"s
            "\n\x14\n\x01"s
            "a\x12\x0f\x12\x07"s
            "Float32\x1a\x04\0\0\xc0?"s
            "\n\x0e\n\x01"s
            "b\x12\t\x12\x04"s
            "Bool\x1a\x01\x01"s
            "\n\x16\n\x01"s
            "c\x12\x11\x08\0\x12\x03str\x1a\x08h\0\0\0\xe9\0\0\0"s
            "\n\x12\n\x01"s
            "e\x12\r\x08\0\x12\x03str\x1a\x04\0\0\0\0"s);
}

TEST(SaveCheckpointTest, TextsComeBack) {
  for (const std::string text : {"", "plain", "h\u00e9 \u20ac \U0001F600"}) {
    EXPECT_EQ(TextOf(TextValue("t", text)), text);
  }
  CheckpointValue odd = TextValue("t", "ab");
  odd.bytes[3] = std::byte{0xFF};  // Beyond Unicode.
  odd.bytes[5] = std::byte{0xD8};  // A surrogate.
  EXPECT_EQ(TextOf(odd), "\uFFFD\uFFFD");
  EXPECT_EQ(TextOf(IntegerValue("i", 1)), std::nullopt);
}

TEST(SaveCheckpointTest, IntegersOfAllTypes) {
  EXPECT_EQ(IntegerOf(IntegerValue("i", -5)), -5);
  EXPECT_EQ(IntegerOf(BoolValue("b", true)), 1);
  EXPECT_EQ(IntegerOf(Filled("x", DType::kInt8, {}, 255)), -1);
  EXPECT_EQ(IntegerOf(Filled("x", DType::kUInt8, {1}, 255)), 255);
  EXPECT_EQ(IntegerOf(Filled("x", DType::kInt16, {1, 1}, 255)), 255);
  EXPECT_EQ(IntegerOf(Filled("x", DType::kUInt16, {}, 1)), 0x201);
  EXPECT_EQ(IntegerOf(Filled("x", DType::kInt32, {1}, 1)), 0x4030201);
  EXPECT_EQ(IntegerOf(Filled("x", DType::kUInt32, {}, 253)), 0xfffefd);
  EXPECT_EQ(IntegerOf(Filled("x", DType::kInt32, {2}, 1)), std::nullopt);
  EXPECT_EQ(IntegerOf(NumberValue("x", 1)), std::nullopt);
  EXPECT_EQ(IntegerOf(TextValue("x", "1")), std::nullopt);
}

TEST(SaveCheckpointTest, Refuses) {
  struct Case {
    const char* path;
    std::vector<CheckpointValue> values;
    const char* message;
  };
  const Case cases[] = {
      {"net", {}, "net: a checkpoint's name ends in .ckpt or .safetensors"},
      {"x.ckpt",
       {IntegerValue("w", 1), IntegerValue("w", 2)},
       "x.ckpt: w: is to be saved twice in one file; give one of the two another name"},
      {"x.ckpt", {IntegerValue("", 1)}, "x.ckpt: a parameter has an empty name"},
      {"x.safetensors",
       {TextValue("note", "hi")},
       "x.safetensors: note: safetensors files cannot hold text; write .ckpt instead"},
  };
  for (const Case& c : cases) {
    MemoryFileSystem fs;
    EXPECT_EQ(SaveCheckpoint(fs, c.path, c.values).message(), c.message);
    EXPECT_TRUE(fs.List(".")->empty()) << c.path;
  }
}

// At every failure of the disk, then the machine: under the final name is the old file or the new
// one, whole, and after a failure that the process survives nothing is left beside it.
TEST(SaveCheckpointTest, IsWholeOrNotAtAll) {
  const auto count = [] {
    MemoryFileSystem disk;
    FaultFileSystem fs(disk);
    EXPECT_TRUE(SaveCheckpoint(fs, "d/net.ckpt", SomeValues(1)).ok());
    return fs.operation_count();
  }();
  ASSERT_GT(count, 10);
  for (const bool process_dies : {false, true}) {
    for (int64_t n = 0; n < count; ++n) {
      MemoryFileSystem disk;
      ASSERT_TRUE(SaveCheckpoint(disk, "d/net.ckpt", SomeValues(0)).ok());
      FaultFileSystem fs(disk);
      process_dies ? fs.FailAfter(n) : fs.FailOnce(n);
      const Status status = SaveCheckpoint(fs, "d/net.ckpt", SomeValues(1));
      if (process_dies) disk.LoseUnsynced();
      const auto loaded = LoadCheckpoint(disk, "d/net.ckpt");
      ASSERT_EQ(loaded.status().message(), "") << n;
      const std::string got = Summary(loaded->values);
      EXPECT_TRUE(got == Summary(SomeValues(0)) || got == Summary(SomeValues(1))) << n;
      EXPECT_TRUE(!status.ok() || got == Summary(SomeValues(1))) << n;
      EXPECT_TRUE(process_dies || disk.List("d")->size() == 1) << n << ": " << status.message();
      // The next save is not in the way of what is left.
      EXPECT_EQ(SaveCheckpoint(disk, "d/net.ckpt", SomeValues(2)).message(), "");
      EXPECT_EQ(disk.List("d")->size(), 1U);
    }
  }
}

TEST(LoadCheckpointTest, Chooses) {
  MemoryFileSystem fs;
  std::vector<CheckpointValue> values;
  for (const char* name : {"conv.w", "conv.b", "fc.w", "moments.fc.w"}) {
    values.push_back(IntegerValue(name, 1));
  }
  struct Case {
    LoadCheckpointOptions options;
    std::string names;
  };
  const auto short_names = [](std::string_view name) { return name.size() < 5; };
  const Case cases[] = {
      {{}, "conv.w conv.b fc.w moments.fc.w "},
      {{.specify_prefix = {"conv", "mom"}}, "conv.w conv.b moments.fc.w "},
      {{.filter_prefix = {"conv."}}, "fc.w moments.fc.w "},
      {{.specify_prefix = {"conv", "fc"}, .filter_prefix = {"conv.b"}}, "conv.w fc.w "},
      {{.choice_func = short_names}, "fc.w "},
      {{.filter_prefix = {"fc"}, .choice_func = short_names}, "conv.w conv.b moments.fc.w "},
  };
  ASSERT_TRUE(SaveCheckpoint(fs, "x.ckpt", values).ok());
  for (const Case& c : cases) {
    const auto loaded = LoadCheckpoint(fs, "x.ckpt", c.options);
    ASSERT_EQ(loaded.status().message(), "");
    std::string names;
    for (const CheckpointValue& value : loaded->values) names += value.name + " ";
    EXPECT_EQ(names, c.names);
  }
}

TEST(LoadCheckpointTest, Refuses) {
  MemoryFileSystem fs;
  ASSERT_TRUE(SaveCheckpoint(fs, "x.ckpt", SomeValues()).ok());
  ASSERT_TRUE(SaveCheckpoint(fs, "empty.safetensors", std::vector<CheckpointValue>()).ok());
  const auto message = [&](const std::string& path, const LoadCheckpointOptions& options = {}) {
    return LoadCheckpoint(fs, path, options).status().message();
  };
  EXPECT_EQ(message("none.ckpt"), "cannot open none.ckpt: No such file or directory");
  EXPECT_EQ(message("empty.safetensors"), "empty.safetensors: the file holds no values");
  EXPECT_EQ(message("x.ckpt", {.specify_prefix = {"conv"}}),
            "x.ckpt: none of its 5 values is chosen by specify_prefix, filter_prefix or "
            "choice_func; it holds w and others");
  EXPECT_EQ(message("x.ckpt", {.filter_prefix = {""}}),
            "x.ckpt: an empty prefix, with which every name begins; leave specify_prefix or "
            "filter_prefix out");
  // A trailer as crc_check=True appends it, of another file.
  fs.SetFile("crc.ckpt", *fs.FileBytes("x.ckpt") + std::string("crc_num\0\0\0\0\0\0\0\0\0\1", 17));
  EXPECT_TRUE(message("crc.ckpt")
                  .starts_with("crc.ckpt: the file is damaged: its bytes have the "
                               "CRC-32 "))
      << message("crc.ckpt");
}

}  // namespace
}  // namespace relayout
