// SPDX-License-Identifier: Apache-2.0
//
// Threads for independent work. One call, joined before it returns; no pool outlives its work.
#pragma once

#include <cstdint>
#include <functional>

#include "relayout/base/status.h"

namespace relayout {

// The items of one of several processes that share independent work in turns.
struct WorkShare {
  int64_t index = 0;  // Of this process.
  int64_t count = 1;  // Processes.

  bool Has(int64_t item) const { return item % count == index; }
};

// The number of threads to use when the user named none: the processors this process may run on.
int DefaultThreadCount();

// Runs `worker(worker_index)` on `thread_count` threads (on the caller's own when it is 1) and
// waits for all of them. Returns the failure of the lowest worker index, else OK.
Status RunWorkers(int thread_count, const std::function<Status(int)>& worker);

// Runs `work(item)` for each item of [0, item_count), in ascending order of start, on up to
// `thread_count` threads. After a failure no new item starts; the failure of the lowest failed item
// is returned, so that a run's message does not depend on the thread count where items fail alike.
Status ParallelFor(int thread_count, int64_t item_count,
                   const std::function<Status(int64_t)>& work);

}  // namespace relayout
