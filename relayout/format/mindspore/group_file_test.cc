// SPDX-License-Identifier: Apache-2.0
#include "relayout/format/mindspore/group_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "relayout/base/text.h"
#include "relayout/format/mindspore/wire.h"
#include "relayout/io/memory_file_system.h"

namespace relayout {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

Result<GroupFile> Read(const std::string& bytes) {
  MemoryFileSystem fs;
  EXPECT_TRUE(WriteWholeFile(fs, "group.pb", bytes, false).ok());
  return ReadGroupFile(fs, "group.pb");
}

std::string Numbers(const std::vector<int64_t>& values) {
  std::string bytes;
  for (const int64_t value : values) AppendNumber(bytes, 1, value);
  return bytes;
}

std::string Field(int number, const std::string& payload) {
  std::string bytes;
  AppendBytes(bytes, number, payload);
  return bytes;
}

std::string Packed(const std::vector<int64_t>& values) {
  std::string bytes;
  for (const int64_t value : values) AppendVarint(bytes, static_cast<uint64_t>(value));
  return Field(1, bytes);
}

const GroupFile kFile = {{{"hccl_world_group", {0, 1, 2, 3}}, {"2-127", {0, 300}}}, {0, 2}};

TEST(GroupFileTest, IsWrittenAndReadAgain) {
  const auto file = Read(SerializeGroupFile(kFile));
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(*file, kFile);
}

TEST(GroupFileTest, TheBytesAreThoseOfTheMessage) {
  const GroupFile file = {{{"a-b", {0, 1}}}, {0, 2}};
  EXPECT_EQ(SerializeGroupFile(file),
            std::string("\x0A\x0B\x0A\x03"
                        "a-b\x12\x04\x08\x00\x08\x01\x12\x04\x08\x00\x08\x02",
                        19));
}

TEST(GroupFileTest, TakesPackedNumbersUnknownFieldsAndAnEmptyList) {
  const auto packed = Read(Field(7, "later versions") + Field(2, Packed({3, 200}) + Numbers({5})));
  ASSERT_TRUE(packed.ok()) << packed.status().message();
  EXPECT_EQ(packed->restore_ranks, (std::vector<int64_t>{3, 200, 5}));
  const auto empty = Read(Field(2, ""));
  ASSERT_TRUE(empty.ok()) << empty.status().message();
  EXPECT_TRUE(empty->restore_ranks.empty());
}

TEST(GroupFileTest, NamesTheFileAndWhatIsWrong) {
  const std::string ranks = Field(2, Numbers({0}));
  const struct {
    const char* what;
    std::string bytes;
    const char* message;
  } cases[] = {
      {"nothing", "", "the group file is empty"},
      {"no list", Field(1, Field(1, "a") + Field(2, Numbers({0}))), "ckpt_restore_rank_list"},
      {"two lists", ranks + ranks, "ckpt_restore_rank_list"},
      {"two names", Field(1, Field(1, "a") + Field(1, "b")) + ranks, "group_name"},
      {"two lists of a group", Field(1, Field(2, "") + Field(2, "")) + ranks,
       "parallel_group_ranks"},
      {"a negative rank", Field(2, Numbers({-1})), "has the rank -1"},
      {"a rank beyond 31 bits", Field(2, Numbers({int64_t{1} << 31})), "has the rank 2147483648"},
      {"a number for a list", Numbers({1}) + ranks, "parallel_group_item"},
      {"a list cut short", ranks.substr(0, 3), "byte"},
      {"text", "hello, world", "byte"},
  };
  for (const auto& test : cases) {
    SCOPED_TRACE(test.what);
    const auto file = Read(test.bytes);
    ASSERT_FALSE(file.ok());
    EXPECT_EQ(file.status().code(), StatusCode::kInvalidInput);
    EXPECT_THAT(file.status().message(), StartsWith("group.pb"));
    EXPECT_THAT(file.status().message(), HasSubstr(test.message));
  }
}

TEST(GroupFileTest, EveryByteThatIsCutOffIsNoticed) {
  const std::string bytes = SerializeGroupFile(kFile);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(Read(bytes.substr(0, size)).ok()) << size;
  }
}

TEST(GroupFileTest, AFileThatIsNotThereIsNotFound) {
  MemoryFileSystem fs;
  EXPECT_EQ(ReadGroupFile(fs, "none.pb").status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace relayout
