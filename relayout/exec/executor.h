// SPDX-License-Identifier: Apache-2.0
//
// Executor: carries transfers out between files, streaming tiles through a fixed amount of memory.
//
// Threads take tiles from one queue. Each reads a tile's source pieces (every needed byte once),
// puts them together and writes each target piece to every file that stores it. Contiguous tiles
// with one target file never pass through our memory where the system can copy between files. The
// bytes written depend on nothing but the transfers: not on threads, budget or order.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/io/byte_range.h"
#include "relayout/io/file_system.h"
#include "relayout/plan/tiles.h"
#include "relayout/plan/transfer.h"

namespace relayout {

inline constexpr int64_t kDefaultMemoryBytes = int64_t{256} << 20;
inline constexpr int64_t kMinMemoryBytes = int64_t{64} << 20;

// Where the bytes of one rank's shard are. `extents` must outlive the execution.
struct ShardLocation {
  std::string path;
  std::span<const Extent> extents;
};

// One tensor to be moved.
struct TransferJob {
  std::string name;  // For errors.
  Transfer transfer;
  std::function<ShardLocation(int64_t rank)> source;
  std::function<ShardLocation(int64_t rank)> target;
};

// Shared with whoever watches or stops a run. All members may be used from any thread at any time.
struct Progress {
  std::atomic<int64_t> total_bytes = 0;    // To be written; set before the first byte moves.
  std::atomic<int64_t> written_bytes = 0;  // Payload written so far, replicas counted.
  std::atomic<bool> cancel_requested = false;
};

// Has somebody asked to stop? `progress` may be null.
inline bool IsCancelled(const Progress* progress) {
  return progress != nullptr && progress->cancel_requested.load(std::memory_order_relaxed);
}

struct ExecutorOptions {
  int thread_count = 1;
  // For buffers of all threads together; at least kMinMemoryBytes.
  int64_t memory_bytes = kDefaultMemoryBytes;
  Progress* progress = nullptr;  // May be null.
};

struct ExecutionStats {
  int64_t read_bytes = 0;     // Asked of source files, gaps of strided reads included.
  int64_t written_bytes = 0;  // Payload, replicas counted.
};

// Runs jobs [0, job_count); `make_job(i)` is called once for each, in order, by one thread at a
// time. Target files must exist with their final size. Stops at the first failure, whose message
// names the tensor and the file; kCancelled when progress->cancel_requested.
Result<ExecutionStats> Execute(FileSystem& fs, int64_t job_count,
                               const std::function<Result<TransferJob>(int64_t)>& make_job,
                               const ExecutorOptions& options);

// How tiles are cut for a transfer when each thread may use `thread_memory_bytes`. Pure.
TileOptions ChooseTileOptions(const Transfer& transfer, int64_t thread_memory_bytes);

}  // namespace relayout
