// SPDX-License-Identifier: Apache-2.0
#include "relayout/exec/stretch.h"

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/plan/runs.h"
#include "tests/oracle/oracle.h"
#include "tests/oracle/random.h"

namespace relayout {
namespace {

struct StretchCase {
  Box shard;
  Box box;
  int64_t element_size_bytes;
  int64_t limit_bytes;
  std::string stretches;  // "begin+size of N runs" for each
};

class StretchTest : public testing::TestWithParam<StretchCase> {};

TEST_P(StretchTest, ListsStretches) {
  const StretchCase& c = GetParam();
  std::string text;
  const Status status = ForEachStretch(
      c.shard, c.box, c.element_size_bytes, c.limit_bytes, [&](const ReadStretch& stretch) {
        text += Format("{}+{} of {}x{} ", stretch.begin_bytes, stretch.size_bytes,
                       stretch.run_begins_bytes.size(), stretch.run_bytes);
        return OkStatus();
      });
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(text, c.stretches);
}

constexpr int64_t kLimit = 256 << 10;

INSTANTIATE_TEST_SUITE_P(
    Table, StretchTest,
    testing::Values(
        // The two examples of stretch.h: 512 of every 1024 bytes, and 512 of every 65536.
        StretchCase{{{0, 0}, {4, 1024}}, {{0, 0}, {4, 512}}, 1, kLimit, "0+3584 of 4x512 "},
        StretchCase{{{0, 0}, {2, 65536}},
                    {{0, 0}, {2, 512}},
                    1,
                    kLimit,
                    "0+512 of 1x512 65536+512 of 1x512 "},
        // Gaps of 4095 bytes are read, gaps of 4096 are not.
        StretchCase{{{0, 0}, {2, 4096}}, {{0, 0}, {2, 1}}, 1, kLimit, "0+4097 of 2x1 "},
        StretchCase{{{0, 0}, {2, 4097}}, {{0, 0}, {2, 1}}, 1, kLimit, "0+1 of 1x1 4097+1 of 1x1 "},
        // The limit cuts.
        StretchCase{{{0, 0}, {5, 8}}, {{0, 2}, {5, 6}}, 2, 48, "4+40 of 3x8 52+24 of 2x8 "},
        // One run may exceed it.
        StretchCase{{{0, 0}, {4, 8}}, {{1, 0}, {3, 8}}, 4, 16, "32+64 of 1x64 "},
        StretchCase{{{}, {}}, {{}, {}}, 4, kLimit, "0+4 of 1x4 "},
        StretchCase{{{0}, {4}}, {{2}, {2}}, 4, kLimit, ""}));

TEST(StretchTest, ExtractsTheBoxInOrder) {
  oracle::Random random(1);
  for (int i = 0; i < 3000; ++i) {
    oracle::Region shard, box;
    const int64_t dim_count = random.Between(1, 4);
    for (int64_t d = 0; d < dim_count; ++d) {
      shard.begin.push_back(random.Below(3));
      shard.end.push_back(shard.begin.back() + random.Between(1, 5));
      box.begin.push_back(random.Between(shard.begin.back(), shard.end.back() - 1));
      box.end.push_back(random.Between(box.begin.back() + 1, shard.end.back()));
    }
    const int64_t size = random.Pick(std::vector<int64_t>{1, 2, 4, 8, 3});
    const int64_t limit = random.Between(1, 200);
    const std::string stored = oracle::Content(1, oracle::Product(shard.shape()), size);
    std::string extracted;
    int64_t end = 0;
    const Status status = ForEachStretch(
        oracle::ToBox(shard), oracle::ToBox(box), size, limit, [&](const ReadStretch& stretch) {
          EXPECT_GE(stretch.begin_bytes, end);
          EXPECT_TRUE(stretch.run_begins_bytes.size() == 1 || stretch.size_bytes <= limit);
          end = stretch.begin_bytes + stretch.size_bytes;
          EXPECT_LE(end, std::ssize(stored));
          const std::string raw = stored.substr(static_cast<size_t>(stretch.begin_bytes),
                                                static_cast<size_t>(stretch.size_bytes));
          std::string dense(static_cast<size_t>(stretch.wanted_bytes()), '?');
          ExtractRuns(stretch, std::as_bytes(std::span(raw)).data(),
                      std::as_writable_bytes(std::span(dense)).data());
          extracted += dense;
          return OkStatus();
        });
    ASSERT_TRUE(status.ok());
    oracle::Region local = box;
    for (size_t d = 0; d < shard.begin.size(); ++d) {
      local.begin[d] -= shard.begin[d];
      local.end[d] -= shard.begin[d];
    }
    ASSERT_EQ(extracted, oracle::Cut(stored, shard.shape(), size, local)) << "case " << i;
  }
}

TEST(StretchTest, StopsAtTheFirstFailure) {
  int calls = 0;
  const Status status = ForEachStretch(
      {{0, 0}, {9, 65536}}, {{0, 0}, {9, 1}}, 1, kLimit,
      [&](const ReadStretch&) { return ++calls == 3 ? IoError("third") : OkStatus(); });
  EXPECT_EQ(status.message(), "third");
  EXPECT_EQ(calls, 3);
}

}  // namespace
}  // namespace relayout
