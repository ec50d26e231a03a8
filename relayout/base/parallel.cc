// SPDX-License-Identifier: Apache-2.0
#include "relayout/base/parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

namespace relayout {
namespace {

// No exception crosses a module: the one that can always happen becomes a Status here.
Status RunGuarded(const std::function<Status()>& work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return OutOfMemory("the machine has no memory left; lower --memory or --threads");
  }
}

}  // namespace

int DefaultThreadCount() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

Status RunWorkers(int thread_count, const std::function<Status(int)>& worker) {
  std::vector<Status> outcomes(static_cast<size_t>(std::max(1, thread_count)));
  const auto run = [&](size_t i) {
    outcomes[i] = RunGuarded([&] { return worker(static_cast<int>(i)); });
  };
  {
    std::vector<std::jthread> threads;
    for (size_t i = 1; i < outcomes.size(); ++i) {
      try {
        threads.emplace_back(run, i);
      } catch (const std::system_error&) {
        break;  // The system gives no more threads; those we have do the work.
      }
    }
    run(0);
  }
  for (Status& outcome : outcomes) {
    if (!outcome.ok()) return std::move(outcome);
  }
  return OkStatus();
}

Status ParallelFor(int thread_count, int64_t item_count,
                   const std::function<Status(int64_t)>& work) {
  std::atomic<int64_t> next_item = 0;
  std::atomic<bool> failed = false;
  std::mutex mutex;
  int64_t failed_item = item_count;
  Status failure;
  const auto worker = [&](int) -> Status {
    while (!failed.load(std::memory_order_relaxed)) {
      const int64_t item = next_item.fetch_add(1, std::memory_order_relaxed);
      if (item >= item_count) break;
      Status outcome = RunGuarded([&] { return work(item); });
      if (outcome.ok()) continue;
      const std::lock_guard lock(mutex);
      failed = true;
      if (item < failed_item) {
        failed_item = item;
        failure = std::move(outcome);
      }
    }
    return OkStatus();
  };
  const auto threads = static_cast<int>(std::min<int64_t>(thread_count, item_count));
  RELAYOUT_RETURN_IF_ERROR(RunWorkers(threads, worker));
  return failure;
}

}  // namespace relayout
