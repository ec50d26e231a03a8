// SPDX-License-Identifier: Apache-2.0
#include "relayout/exec/tile_reads.h"

#include <gtest/gtest.h>

#include <string>

#include "relayout/base/text.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

struct TileReadsCase {
  std::string source;
  std::string target;
  Dims shape;
  int64_t wanted_rank;  // -1: all.
  int64_t min_direct_bytes;
  std::string reads;  // "source begin+size of N runs" for each, tiles apart by "/".
};

PlacedTensor Place(const std::string& layout, const Dims& shape) {
  return {.partition = *Partition::Create(*ParseLayout(layout), shape)};
}

std::string ReadsOf(const TileReadsCase& c) {
  ReplicaChooser chooser;
  const auto transfer = PlanTransfer(
      {.element_size_bytes = 4,
       .sources = {Place(c.source, c.shape)},
       .targets = {Place(c.target, c.shape)},
       .is_available = [](int64_t) { return true; },
       .is_wanted = [&](int64_t rank) { return c.wanted_rank < 0 || rank == c.wanted_rank; }},
      chooser);
  TileCursor cursor(*transfer, {.min_direct_bytes = c.min_direct_bytes});
  std::string text;
  while (const auto tile = cursor.Next()) {
    const Status status = ForEachTileRead(*tile, 4, [&](size_t source, const ReadStretch& stretch) {
      text += Format("{} {}+{} of {} ", source, stretch.begin_bytes, stretch.size_bytes,
                     stretch.run_begins_bytes.size());
      return OkStatus();
    });
    EXPECT_TRUE(status.ok());
    text += "/ ";
  }
  return text;
}

class TileReadsTest : public testing::TestWithParam<TileReadsCase> {};

TEST_P(TileReadsTest, ListsReads) { EXPECT_EQ(ReadsOf(GetParam()), GetParam().reads); }

INSTANTIATE_TEST_SUITE_P(
    Table, TileReadsTest,
    testing::Values(
        // Each source whole.
        TileReadsCase{"{a:2} (-,a)", "{} (-,-)", {8, 8}, -1, 64, "0 0+128 of 1 1 0+128 of 1 / "},
        // The example of tile_reads.h: gaps are read, the last one is not.
        TileReadsCase{"{a:2} (-,a)", "{a:2,b:2} (a,b)", {8, 8}, 0, 64, "0 0+64 of 1 / "},
        TileReadsCase{"{a:2} (-,a)", "{a:4} (-,a)", {4, 8}, 0, 64, "0 0+56 of 4 / "},
        // One run a tile, as long as it is.
        TileReadsCase{
            "{a:2} (a,-)", "{} (-,-)", {4, 100000}, -1, 64, "0 0+800000 of 1 / 0 0+800000 of 1 / "},
        TileReadsCase{"{a:2} ()", "{} ()", {}, -1, 64, "0 0+4 of 1 / "}));

TEST(TileReadsTest, StopsAtTheFirstFailure) {
  ReplicaChooser chooser;
  const Dims shape = {8, 8};
  const auto transfer = PlanTransfer({.element_size_bytes = 4,
                                      .sources = {Place("{a:2} (-,a)", shape)},
                                      .targets = {Place("{} (-,-)", shape)},
                                      .is_available = [](int64_t) { return true; },
                                      .is_wanted = [](int64_t) { return true; }},
                                     chooser);
  const auto tile = TileCursor(*transfer, {.min_direct_bytes = 64}).Next();
  int calls = 0;
  const Status status = ForEachTileRead(*tile, 4, [&](size_t, const ReadStretch&) -> Status {
    ++calls;
    return IoError("gone");
  });
  EXPECT_EQ(status.message(), "gone");
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace relayout
