// SPDX-License-Identifier: Apache-2.0
//
// Executor: carries transfers out between files, streaming tiles through a fixed amount of memory.
//
// Threads take chunks from one queue (work.h). For each tile of its chunk a thread reads the source
// pieces (every needed byte once), puts them together, adds what it writes to the content hashes
// (base/content_hash.h) and writes each target piece to every file that stores it. The bytes
// written depend on nothing but the transfers: not on threads, budget or order.
//
// Bytes go through a buffer of ours even where a file could be copied in the kernel: they must be
// hashed, and with two threads that is also faster (docs/performance.md).
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "relayout/base/content_hash.h"
#include "relayout/base/status.h"
#include "relayout/exec/progress.h"
#include "relayout/exec/work.h"
#include "relayout/io/file_system.h"

namespace relayout {

// A block of a value that several chunks wrote parts of.
struct TornBlock {
  int64_t job_index = 0;
  int64_t block = 0;
  friend bool operator==(const TornBlock&, const TornBlock&) = default;
};

// What was added to the file of one target rank.
struct FileContribution {
  int64_t rank = 0;
  Hash128 sum;
  std::vector<TornBlock> torn_blocks;
};

// A chunk whose payload is written.
struct ChunkResult {
  int64_t chunk = 0;
  int64_t read_bytes = 0;               // Asked of source files, gaps of strided reads included.
  int64_t written_bytes = 0;            // Payload, replicas counted.
  std::vector<FileContribution> files;  // Ascending ranks.
};

struct ExecutorOptions {
  int thread_count = 1;
  WorkCut cut = {};
  // Null: all. Must not change during the execution.
  std::function<bool(int64_t chunk)> is_mine = nullptr;
  // Called when a chunk is written, one call at a time, in any order of chunks. May be null.
  std::function<Status(const ChunkResult&)> on_written = nullptr;
  // Every so many seconds all files written so far are synced and on_synced is called: everything
  // that on_written was told before the sync began is durable then. 0: never. The number of those
  // calls is passed on.
  double sync_interval_seconds = 0;
  std::function<Status(int64_t written_chunk_count)> on_synced = nullptr;
  // Sync everything once more at the end.
  bool sync_at_end = false;
  Progress* progress = nullptr;  // May be null.
};

struct ExecutionStats {
  int64_t read_bytes = 0;
  int64_t written_bytes = 0;
};

// Runs jobs [0, job_count), or those parts of them whose chunks are mine; see WorkQueue for
// `make_job`. Target files must exist with their final size. Stops at the first failure, whose
// message names the tensor and the file; kCancelled when progress->cancel_requested.
Result<ExecutionStats> Execute(FileSystem& fs, int64_t job_count,
                               const std::function<Result<TransferJob>(int64_t)>& make_job,
                               const ExecutorOptions& options);

}  // namespace relayout
