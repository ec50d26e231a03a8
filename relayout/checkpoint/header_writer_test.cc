// SPDX-License-Identifier: Apache-2.0
#include "relayout/checkpoint/header_writer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/io/fault_file_system.h"
#include "relayout/io/memory_file_system.h"

namespace relayout {
namespace {

constexpr int64_t kFileBytes = 1 << 20;

struct Header {
  int64_t offset_bytes = 0;
  int64_t size_bytes = 0;
};

std::string TextOf(int64_t header, int64_t size_bytes) {
  return std::string(static_cast<size_t>(size_bytes), static_cast<char>('a' + header % 26));
}

Status WriteAll(WritableFile& file, HeaderWriter::Gaps gaps, const std::vector<Header>& headers) {
  HeaderWriter writer(file, gaps);
  for (size_t i = 0; i < headers.size(); ++i) {
    const std::string text = TextOf(static_cast<int64_t>(i), headers[i].size_bytes);
    RELAYOUT_RETURN_IF_ERROR(writer.Add(headers[i].offset_bytes, text));
  }
  return writer.Finish();
}

std::string WritesOf(const MemoryFileSystem& fs) {
  std::vector<std::string> ranges;
  for (const Access& access : fs.accesses()) {
    if (access.kind != Access::kWrite) continue;
    ranges.push_back(Format("{}+{}", access.offset_bytes, access.size_bytes));
  }
  return JoinLimited(ranges, ranges.size());
}

TEST(HeaderWriterTest, Writes) {
  struct Case {
    std::string what;
    std::vector<Header> headers;
    std::string among_zeros;
    std::string among_payload;
  };
  const std::vector<Case> cases = {
      {"no header", {}, "", ""},
      {"one", {{0, 3}}, "0+3", "0+3"},
      {"one that does not begin the file", {{9000, 3}}, "9000+3", "9000+3"},
      {"a small gap", {{0, 3}, {5, 2}}, "0+7", "0+3, 5+2"},
      {"no gap", {{0, 3}, {3, 2}}, "0+5", "0+5"},
      {"the largest gap that is filled", {{0, 3}, {4099, 2}}, "0+4101", "0+3, 4099+2"},
      {"a larger one", {{0, 3}, {4100, 2}}, "0+3, 4100+2", "0+3, 4100+2"},
      {"a gap before the first header", {{2, 3}}, "0+5", "2+3"},
      {"a header across the boundary",
       {{262143, 2}, {262146, 1}},
       "262143+1, 262144+3",
       "262143+1, 262144+1, 262146+1"},
      {"a gap across the boundary",
       {{262140, 2}, {262146, 2}},
       "262140+4, 262144+4",
       "262140+2, 262146+2"},
      {"a gap that ends at the boundary",
       {{262140, 2}, {262144, 2}},
       "262140+4, 262144+2",
       "262140+2, 262144+2"},
      {"a header of more than a buffer",
       {{100000, 600000}},
       "100000+162144, 262144+262144, 524288+175712",
       "100000+162144, 262144+262144, 524288+175712"},
  };
  for (const Case& c : cases) {
    for (const auto gaps : {HeaderWriter::Gaps::kZeros, HeaderWriter::Gaps::kPayload}) {
      const bool is_new = gaps == HeaderWriter::Gaps::kZeros;
      MemoryFileSystem fs;
      std::string want(kFileBytes, is_new ? '\0' : '.');
      fs.SetFile("f", want);
      ASSERT_TRUE(WriteAll(**fs.OpenForWrite("f"), gaps, c.headers).ok()) << c.what;
      EXPECT_EQ(WritesOf(fs), is_new ? c.among_zeros : c.among_payload) << c.what;
      for (size_t i = 0; i < c.headers.size(); ++i) {
        const std::string text = TextOf(static_cast<int64_t>(i), c.headers[i].size_bytes);
        want.replace(static_cast<size_t>(c.headers[i].offset_bytes), text.size(), text);
      }
      EXPECT_TRUE(fs.FileBytes("f") == want) << c.what;
    }
  }
}

TEST(HeaderWriterTest, PassesFailuresOn) {
  const std::vector<Header> headers = {{0, 3}, {100000, 600000}};
  constexpr int64_t kWrites = 4;
  for (int64_t n = 0; n <= kWrites; ++n) {
    MemoryFileSystem memory;
    memory.SetFile("f", "");
    FaultFileSystem fs(memory);
    const auto file = fs.OpenForWrite("f");
    fs.FailOnce(n);
    const Status status = WriteAll(**file, HeaderWriter::Gaps::kZeros, headers);
    EXPECT_EQ(status.ok(), n == kWrites) << n;
  }
}

}  // namespace
}  // namespace relayout
