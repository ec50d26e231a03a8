// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/checkpoint_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "tests/convert/whole_runs.h"
#include "tests/oracle/random.h"
#include "tests/oracle/world.h"

namespace relayout::oracle {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr uint64_t kWorlds = 300;

Result<std::string> ReadText(CheckpointReader& reader, const ReadableValue& value, const Box& box) {
  const auto size = static_cast<size_t>(box.volume() * ElementSize(value.source.dtype));
  std::string bytes(size, '?');
  RELAYOUT_RETURN_IF_ERROR(reader.Read(value, box, std::as_writable_bytes(std::span(bytes))));
  return bytes;
}

Region RandomRegion(Random& random, const Ints& shape) {
  Region region;
  for (const int64_t length : shape) {
    const int64_t a = random.Between(0, length);
    const int64_t b = random.Between(0, length);
    region.begin.push_back(std::min(a, b));
    region.end.push_back(std::max(a, b));
  }
  return region;
}

// Any box of any tensor of any world equals what the definition cuts out of the whole.
TEST(CheckpointReaderTest, ReadsAnyBox) {
  const uint64_t seed = PrintedSeed();
  int64_t box_count = 0;
  for (uint64_t i = 0; i < kWorlds; ++i) {
    const World world = RandomWorld(seed + i);
    MemoryFileSystem fs;
    WriteSource(world, fs);
    const auto reader = CheckpointReader::Open(fs, RequestOf(world).source, 1);
    ASSERT_TRUE(reader.ok()) << reader.status().message() << Describe(world);
    Random random(seed + i);
    for (const WorldTensor& tensor : world.tensors) {
      if (tensor.kind != ValueKind::kTensor || tensor.differs_by_rank) continue;
      if (!(*reader)->set().catalog.Contains(tensor.name)) continue;
      const auto value = (*reader)->Describe(tensor.name);
      ASSERT_TRUE(value.ok()) << value.status().message() << Describe(world);
      ASSERT_EQ(ToInts(value->source.shape), tensor.shape) << tensor.name << Describe(world);
      const int64_t size = ElementSize(tensor.dtype);
      const std::string whole = Content(tensor.content, Product(tensor.shape), size);
      for (int n = 0; n < 4; ++n) {
        const Region region = RandomRegion(random, tensor.shape);
        const auto bytes = ReadText(**reader, *value, ToBox(region));
        ASSERT_TRUE(bytes.ok()) << bytes.status().message() << Describe(world);
        ASSERT_EQ(*bytes, Cut(whole, tensor.shape, size, region))
            << tensor.name << " " << ToText(ToBox(region)) << Describe(world);
        ++box_count;
      }
    }
  }
  EXPECT_GT(box_count, 1000);
}

World ColumnsWorld() {
  World world;
  world.tensors = {{.name = "w", .shape = {4096, 64}, .content = 7}};
  world.source = WorldSide{{.device_count = 4, .layouts = {{"w", ParseSpec("{a:2,b:2} (-,b)")}}}};
  return world;
}

// Larger than the buffers, from strided files and into strided memory.
TEST(CheckpointReaderTest, ReadsMoreThanABuffer) {
  World world = ColumnsWorld();
  world.tensors[0].shape = {3000, 400};
  MemoryFileSystem fs;
  WriteSource(world, fs);
  const auto reader = CheckpointReader::Open(fs, RequestOf(world).source, 1);
  ASSERT_TRUE(reader.ok());
  const auto value = (*reader)->Describe("w");
  ASSERT_TRUE(value.ok());
  const std::string whole = Content(7, Product({3000, 400}), 4);
  for (const Region& region : {Region{{0, 0}, {3000, 400}}, Region{{1, 150}, {2999, 399}},
                               Region{{0, 199}, {3000, 200}}, Region{{5, 3}, {6, 397}}}) {
    const auto bytes = ReadText(**reader, *value, ToBox(region));
    ASSERT_TRUE(bytes.ok());
    EXPECT_EQ(*bytes, Cut(whole, {3000, 400}, 4, region)) << ToText(ToBox(region));
  }
}

// One row of 4,096 costs one row of each file that has a part of it.
TEST(CheckpointReaderTest, ReadsNothingElse) {
  MemoryFileSystem fs;
  WriteSource(ColumnsWorld(), fs);
  const auto reader = CheckpointReader::Open(fs, RequestOf(ColumnsWorld()).source, 1);
  ASSERT_TRUE(reader.ok());
  const auto value = (*reader)->Describe("w");
  ASSERT_TRUE(value.ok());
  fs.ClearAccesses();
  ASSERT_TRUE(ReadText(**reader, *value, Box{{9, 0}, {10, 64}}).ok());
  int64_t read = 0;
  for (const Access& access : fs.accesses()) read += access.size_bytes;
  EXPECT_EQ(read, 64 * 4);
}

TEST(CheckpointReaderTest, ExplainsWhatIsWrong) {
  MemoryFileSystem fs;
  WriteSource(ColumnsWorld(), fs);
  CheckpointSetSpec spec = RequestOf(ColumnsWorld()).source;
  const auto reader = CheckpointReader::Open(fs, spec, 1);
  ASSERT_TRUE(reader.ok());
  EXPECT_THAT((*reader)->Describe("v").status().message(),
              AllOf(HasSubstr("no value is called v"), HasSubstr("near it: w")));
  const auto value = (*reader)->Describe("w");
  ASSERT_TRUE(value.ok());
  EXPECT_THAT((*reader)->Read(*value, Box{{0, 0}, {4097, 1}}, {}).message(),
              HasSubstr("w: [0:4097,0:1] is not inside [4096,64]"));

  // Columns 0 to 31 are on ranks 0 and 2.
  spec.files = {{1, "src/rank_1/net_1.ckpt"}, {3, "src/rank_3/net_3.ckpt"}};
  const auto half = CheckpointReader::Open(fs, spec, 1);
  ASSERT_TRUE(half.ok()) << half.status().message();
  const auto half_value = (*half)->Describe("w");
  ASSERT_TRUE(half_value.ok());
  EXPECT_TRUE(ReadText(**half, *half_value, Box{{0, 32}, {4096, 64}}).ok());
  EXPECT_THAT(ReadText(**half, *half_value, Box{{0, 31}, {1, 33}}).status().message(),
              HasSubstr("should be in the file of rank 0, 2, but is in none"));
}

}  // namespace
}  // namespace relayout::oracle
