// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/kernels/threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace relayout::kernels {
namespace {

TEST(ForRange, VisitsEachItemOnce) {
  for (const int threads : {1, 2, 3, 7}) {
    UseKernelThreads(threads);
    for (const int64_t count : {0, 1, 2, 5, 6, 7, 8, 100, 1001}) {
      for (const int64_t grain : {1, 3, 1000}) {
        std::vector<std::atomic<int>> visits(static_cast<size_t>(count));
        std::atomic<int> pieces = 0;
        ForRange(count, grain, [&](int64_t begin, int64_t end) {
          ++pieces;
          for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
        });
        for (const auto& visit : visits) ASSERT_EQ(visit, 1);
        EXPECT_LE(pieces, threads);
        EXPECT_EQ(pieces > 1, threads > 1 && count >= 2 * grain) << count << " by " << grain;
      }
    }
  }
  UseKernelThreads(1);
}

TEST(ForRange, RunsOnThreadsOfItsOwn) {
  UseKernelThreads(4);
  std::mutex mutex;
  std::set<std::thread::id> ids;
  // Twice: the same helpers again.
  for (int round = 0; round < 2; ++round) {
    ForRange(4, 1, [&](int64_t, int64_t) {
      const std::lock_guard lock(mutex);
      ids.insert(std::this_thread::get_id());
    });
  }
  EXPECT_EQ(ids.size(), 4U);
  EXPECT_EQ(ids.count(std::this_thread::get_id()), 1U);
  UseKernelThreads(1);
}

TEST(ForRange, InsideOfAPartStaysOnItsThread) {
  UseKernelThreads(3);
  std::atomic<int> inner_threads = 0;
  ForRange(3, 1, [&](int64_t, int64_t) {
    const std::thread::id outer = std::this_thread::get_id();
    inner_threads += KernelThreads();
    ForRange(100, 1, [&](int64_t begin, int64_t end) {
      EXPECT_EQ(std::this_thread::get_id(), outer);
      EXPECT_EQ(end - begin, 100);
    });
  });
  EXPECT_EQ(inner_threads, 3);
  EXPECT_EQ(KernelThreads(), 3);
  UseKernelThreads(1);
}

// More and fewer threads by turns, as a rank might ask for them, on several ranks at once.
TEST(ForRange, ServesManyCallers) {
  std::vector<std::jthread> ranks;
  std::atomic<int64_t> total = 0;
  for (int rank = 0; rank < 4; ++rank) {
    ranks.emplace_back([&total, rank] {
      for (int run = 0; run < 200; ++run) {
        UseKernelThreads(1 + (run + rank) % 3);
        ForRange(10, 1, [&](int64_t begin, int64_t end) { total += end - begin; });
      }
    });
  }
  ranks.clear();
  EXPECT_EQ(total, 4 * 200 * 10);
}

}  // namespace
}  // namespace relayout::kernels
