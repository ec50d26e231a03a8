// SPDX-License-Identifier: Apache-2.0
#include "relayout/exec/journal.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "relayout/io/memory_file_system.h"

namespace relayout {
namespace {

ChunkResult Chunk(int64_t index) {
  return {
      .chunk = index,
      .read_bytes = 10 * index,
      .written_bytes = 20 * index,
      .files = {
          {.rank = 0, .sum = {.high = 1, .low = 2}, .torn_blocks = {}},
          {.rank = 7, .sum = {.high = ~uint64_t{0}, .low = 0}, .torn_blocks = {{3, 12}, {4, 0}}}}};
}

void ExpectSame(const ChunkResult& a, const ChunkResult& b) {
  EXPECT_EQ(a.chunk, b.chunk);
  EXPECT_EQ(a.read_bytes, b.read_bytes);
  EXPECT_EQ(a.written_bytes, b.written_bytes);
  ASSERT_EQ(a.files.size(), b.files.size());
  for (size_t i = 0; i < a.files.size(); ++i) {
    EXPECT_EQ(a.files[i].rank, b.files[i].rank);
    EXPECT_EQ(a.files[i].sum, b.files[i].sum);
    EXPECT_EQ(a.files[i].torn_blocks, b.files[i].torn_blocks);
  }
}

// Three chunks, the first two of them synced.
void WriteJournal(MemoryFileSystem& fs) {
  const auto journal = Journal::Create(fs, "j", /*reserved_bytes=*/2000, /*sync=*/true);
  ASSERT_TRUE(journal.ok());
  ASSERT_TRUE((*journal)->Append(Chunk(5)).ok());
  ASSERT_TRUE((*journal)->Append(Chunk(1)).ok());
  ASSERT_TRUE((*journal)->MarkSynced(2).ok());
  ASSERT_TRUE((*journal)->Append(Chunk(9)).ok());
}

TEST(JournalTest, IsReadAsItWasWritten) {
  MemoryFileSystem fs;
  WriteJournal(fs);
  const auto chunks = ReadJournal(fs, "j", {"other", fs.Incarnation()});
  ASSERT_TRUE(chunks.ok());
  ASSERT_EQ(chunks->size(), 3);
  ExpectSame((*chunks)[0], Chunk(5));
  ExpectSame((*chunks)[1], Chunk(1));
  ExpectSame((*chunks)[2], Chunk(9));
}

TEST(JournalTest, AfterAPowerCutOnlyWhatWasSyncedCounts) {
  MemoryFileSystem fs;
  WriteJournal(fs);
  fs.LoseUnsynced();
  const auto chunks = ReadJournal(fs, "j", {fs.Incarnation()});
  ASSERT_TRUE(chunks.ok());
  ASSERT_EQ(chunks->size(), 2);
  ExpectSame((*chunks)[1], Chunk(1));
  // Nor is a stranger's journal of unknown times believed.
  EXPECT_EQ(ReadJournal(fs, "j", {""})->size(), 2);
}

// Cut short anywhere, or with any byte damaged, it never says what it did not say before.
TEST(JournalTest, BelievesNoBrokenLine) {
  MemoryFileSystem fs;
  WriteJournal(fs);
  const std::string whole = *fs.FileBytes("j");
  const std::vector<std::string> here = {fs.Incarnation()};
  size_t most = 0;
  for (size_t size = 0; size < whole.size(); ++size) {
    for (const bool damaged : {false, true}) {
      std::string text = damaged ? whole : whole.substr(0, size);
      if (damaged) text[size] = static_cast<char>(text[size] ^ 4);
      fs.SetFile("j", text);
      const auto chunks = ReadJournal(fs, "j", here);
      ASSERT_TRUE(chunks.ok());
      for (size_t i = 0; i < chunks->size(); ++i) {
        ExpectSame((*chunks)[i], Chunk(std::vector<int64_t>{5, 1, 9}.at(i)));
      }
      most = std::max(most, chunks->size());
    }
  }
  EXPECT_EQ(most, 3);
}

TEST(JournalTest, NeedsAFileToRead) {
  MemoryFileSystem fs;
  EXPECT_EQ(ReadJournal(fs, "j", {}).status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace relayout
