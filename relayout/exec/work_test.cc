// SPDX-License-Identifier: Apache-2.0
#include "relayout/exec/work.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "relayout/base/text.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

bool Any(int64_t) { return true; }

Transfer PlanFor(const char* from, const char* to, const Dims& shape) {
  ReplicaChooser chooser;
  const auto place = [&](const char* layout) {
    return PlacedTensor{.partition = *Partition::Create(*ParseLayout(layout), shape)};
  };
  return *PlanTransfer({.element_size_bytes = 4,
                        .sources = {place(from)},
                        .targets = {place(to)},
                        .is_available = Any,
                        .is_wanted = Any},
                       chooser);
}

// Job i is a tensor of i+1 MiB.
Result<TransferJob> MakeJob(int64_t i) {
  return TransferJob{.name = Format("w{}", i),
                     .transfer = PlanFor("{a:4} (a,-)", "{a:2,b:2} (-,a)", {(i + 1) * 256, 1024}),
                     .source = nullptr,
                     .target = nullptr};
}

// Chunk index -> boxes, as text, of all tiles handed out.
std::map<int64_t, std::string> TilesOfChunks(WorkQueue& queue) {
  std::map<int64_t, std::string> tiles;
  int64_t last = -1;
  while (true) {
    const auto chunk = queue.Next();
    EXPECT_TRUE(chunk.ok());
    if (!chunk->has_value()) return tiles;
    EXPECT_GT((*chunk)->index, last);
    last = (*chunk)->index;
    for (const Chunk::Item& item : (*chunk)->items) {
      tiles[last] += Format("{} {}, ", item.job_index, ToText(item.tile.box));
    }
  }
}

constexpr WorkCut kCut = {.chunk_bytes = 3 << 20, .thread_memory_bytes = 4 << 20};

TEST(WorkTest, ChunksAreTheSameForEverybody) {
  WorkQueue whole(10, MakeJob, kCut, nullptr);
  const auto expected = TilesOfChunks(whole);
  // 55 MiB on two replicas each.
  EXPECT_GT(expected.size(), 30);
  for (const int64_t processes : {2, 3, 7}) {
    std::map<int64_t, std::string> together;
    for (int64_t p = 0; p < processes; ++p) {
      WorkQueue queue(10, MakeJob, kCut, [=](int64_t chunk) { return chunk % processes == p; });
      together.merge(TilesOfChunks(queue));
    }
    EXPECT_EQ(together, expected);
  }
}

TEST(WorkTest, NothingIsMine) {
  WorkQueue queue(10, MakeJob, kCut, [](int64_t) { return false; });
  EXPECT_TRUE(TilesOfChunks(queue).empty());
}

TEST(WorkTest, StopsOnRequest) {
  WorkQueue queue(10, MakeJob, kCut, nullptr);
  ASSERT_TRUE(queue.Next()->has_value());
  queue.Stop();
  EXPECT_FALSE(queue.Next()->has_value());
}

// A million tiny tensors must not lie in memory as one chunk.
TEST(WorkTest, TinyTensorsAreDealtOutInSmallNumbers) {
  const Transfer tiny = PlanFor("{a:2} (a)", "{a:2} (-)", {4});
  WorkQueue queue(
      10000,
      [&](int64_t) {
        return TransferJob{.name = "w", .transfer = tiny, .source = nullptr, .target = nullptr};
      },
      ChooseWorkCut(10000 * 32, int64_t{64} << 20, 2), nullptr);
  size_t total = 0;
  while (true) {
    const auto chunk = queue.Next();
    ASSERT_TRUE(chunk.ok());
    if (!chunk->has_value()) break;
    EXPECT_LE((*chunk)->items.size(), 100);
    total += (*chunk)->items.size();
  }
  EXPECT_EQ(total, 10000 * 2);  // Direct tiles: one from each source shard.
}

TEST(WorkTest, CountsReplicas) {
  EXPECT_EQ(WrittenBytes(PlanFor("{a:2} (a)", "{a:2,b:3} (a)", {8})), 3 * 8 * 4);
  EXPECT_EQ(WrittenBytes(PlanFor("{a:2} (a)", "{a:2,b:3} (-)", {8})), 6 * 8 * 4);
}

TEST(ChooseTileOptionsTest, KeepsToTheMemoryOfAThread) {
  struct Case {
    const char* layout;
    int64_t thread_memory_bytes;
    int64_t gather_bytes;
  };
  const Case cases[] = {{"{a:8} (a,-)", int64_t{48} << 20, int64_t{1} << 20},
                        {"{a:64} (a,-)", int64_t{48} << 20, int64_t{8} << 20},
                        {"{a:1024} (a,-)", int64_t{3} << 20, (int64_t{11} << 20) / 8},
                        {"{a:8} (a,-)", int64_t{1} << 10, int64_t{128} << 10}};
  for (const Case& c : cases) {
    const TileOptions options =
        ChooseTileOptions(PlanFor(c.layout, c.layout, {1024, 1024}), c.thread_memory_bytes);
    EXPECT_EQ(options.gather_bytes, c.gather_bytes) << c.layout;
    EXPECT_LE(options.min_direct_bytes, options.gather_bytes);
  }
}

}  // namespace
}  // namespace relayout
