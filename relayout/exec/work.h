// SPDX-License-Identifier: Apache-2.0
//
// Work: what an execution consists of, cut into chunks.
//
// All tiles of all jobs, one after the other, are a line whose length is counted in bytes to be
// written (and a fixed amount for each job, so that a chunk never holds thousands of tiny tensors).
// A *chunk* is the tiles that begin in one stretch of cut.chunk_bytes of that line:
//
//   jobs      |-------- a --------|- b -|----------- c -----------|
//   tiles     |     |     |     | |     |        |        |       |
//   chunks    0          1           2          3           4
//
// A chunk is done by one thread of one process, or not at all: it is what processes share, what a
// journal records and what is left to do after a kill. Chunks depend on the jobs and the cut alone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/io/byte_range.h"
#include "relayout/plan/tiles.h"
#include "relayout/plan/transfer.h"

namespace relayout {

// Where the bytes of one rank's shard are. `extents` must outlive the execution.
struct ShardLocation {
  std::string path;
  std::span<const Extent> extents;
};

// One tensor to be moved.
struct TransferJob {
  std::string name;  // For errors, and the stream of its content hashes.
  Transfer transfer;
  std::function<ShardLocation(int64_t rank)> source;
  std::function<ShardLocation(int64_t rank)> target;
};

// How work is cut. Everybody who takes part in an execution or resumes it must use the same.
struct WorkCut {
  int64_t chunk_bytes = int64_t{4} << 20;
  // What a thread may use for buffers; bounds the size of tiles.
  int64_t thread_memory_bytes = int64_t{24} << 20;

  friend bool operator==(const WorkCut&, const WorkCut&) = default;
};

// For `written_bytes` to be written by threads that share `memory_bytes` (at least
// kMinMemoryBytes): some hundred chunks, so that any number of workers gets equal shares.
// More threads than fit in that memory must not be started: see thread_memory_bytes.
WorkCut ChooseWorkCut(int64_t written_bytes, int64_t memory_bytes, int thread_count);

// How tiles are cut for a transfer when each thread may use `thread_memory_bytes`. Pure.
TileOptions ChooseTileOptions(const Transfer& transfer, int64_t thread_memory_bytes);

// Bytes that the ranks of all targets store, replicas counted.
int64_t WrittenBytes(const Transfer& transfer);

// The threads' part of each buffer budget for tiles; also what a strided read may hold.
inline constexpr int64_t kStridedBufferBytes = int64_t{256} << 10;

struct Chunk {
  struct Item {
    int64_t job_index = 0;
    std::shared_ptr<const TransferJob> job;
    Tile tile;
  };
  int64_t index = 0;
  std::vector<Item> items;
};

// Hands out chunks in ascending order. Safe for any number of threads.
class WorkQueue {
 public:
  // `make_job(i)` is called once for each i of [0, job_count), in order, by one thread at a time.
  // Chunks for which `is_mine` (null: all) says no are passed over.
  WorkQueue(int64_t job_count, std::function<Result<TransferJob>(int64_t)> make_job,
            const WorkCut& cut, std::function<bool(int64_t chunk)> is_mine);

  // Nothing when all is handed out or Stop was called.
  Result<std::optional<Chunk>> Next();
  void Stop();

 private:
  // The next tile of a chunk that is mine, with that chunk's index.
  Result<std::optional<std::pair<int64_t, Chunk::Item>>> NextItem();
  Status BeginJob();
  bool IsMine(int64_t chunk) const { return !is_mine_ || is_mine_(chunk); }

  const int64_t job_count_;
  const std::function<Result<TransferJob>(int64_t)> make_job_;
  const WorkCut cut_;
  const std::function<bool(int64_t)> is_mine_;

  std::mutex mutex_;  // Guards what follows.
  bool stopped_ = false;
  int64_t next_job_ = 0;
  std::shared_ptr<const TransferJob> job_;
  std::optional<TileCursor> cursor_;
  int64_t position_ = 0;  // On the line of all work.
  int64_t job_end_ = 0;
  std::optional<std::pair<int64_t, Chunk::Item>> pending_;  // The first tile of a later chunk.
};

}  // namespace relayout
