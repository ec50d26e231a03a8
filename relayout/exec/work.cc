// SPDX-License-Identifier: Apache-2.0
#include "relayout/exec/work.h"

#include <algorithm>
#include <utility>

#include "relayout/base/check.h"
#include "relayout/base/checked_math.h"

namespace relayout {
namespace {

// What a job costs beside its bytes, as bytes: opening, planning, small requests.
constexpr int64_t kJobBytes = int64_t{32} << 10;
constexpr int64_t kMinChunkBytes = int64_t{1} << 20;
constexpr int64_t kMaxChunkBytes = int64_t{256} << 20;
constexpr int64_t kChunkCount = 512;
// The least that a thread can work with: the smallest tiles, a direct and a strided buffer.
constexpr int64_t kMinThreadMemoryBytes = int64_t{768} << 10;
constexpr int64_t kMinGatherBytes = int64_t{128} << 10;
constexpr int64_t kGatherBytes = int64_t{1} << 20;
constexpr int64_t kPieceBytes = int64_t{128} << 10;
constexpr int64_t kMaxDirectBytes = int64_t{4} << 20;

int64_t WrittenBytes(const Transfer& transfer, const Tile& tile) {
  int64_t elements = 0;
  for (const TargetPiece& target : tile.targets) {
    const auto shard = static_cast<size_t>(target.piece.shard);
    elements += target.piece.box.volume() *
                std::ssize(transfer.targets[target.target].ranks_of_shard[shard]);
  }
  return elements * transfer.element_size_bytes;
}

}  // namespace

WorkCut ChooseWorkCut(int64_t written_bytes, int64_t memory_bytes, int thread_count) {
  // A quarter stays for indexes, plans and the program itself.
  const int64_t buffers = memory_bytes / 4 * 3;
  return {
      .chunk_bytes = std::clamp(written_bytes / kChunkCount, kMinChunkBytes, kMaxChunkBytes),
      .thread_memory_bytes = std::max(kMinThreadMemoryBytes, buffers / std::max(1, thread_count))};
}

TileOptions ChooseTileOptions(const Transfer& transfer, int64_t thread_memory_bytes) {
  // A thread holds the gathered pieces, one assembled target piece (at most a tile) and the strided
  // buffer.
  const int64_t most = std::max(kMinGatherBytes, (thread_memory_bytes - kStridedBufferBytes) / 2);
  // Every file that a tile touches should get a request of some size: wide meshes want big tiles.
  int64_t pieces = transfer.source.partition.layout().shard_count();
  for (const TransferTarget& target : transfer.targets) {
    pieces = std::max(pieces, target.placed.partition.layout().shard_count());
  }
  TileOptions options;
  options.gather_bytes = std::min(most, std::max(kGatherBytes, pieces * kPieceBytes));
  options.min_direct_bytes = std::min(options.min_direct_bytes, options.gather_bytes);
  options.max_direct_bytes = kMaxDirectBytes;
  return options;
}

int64_t WrittenBytes(const Transfer& transfer) {
  int64_t elements = 0;
  for (const TransferTarget& target : transfer.targets) {
    const Partition& partition = target.placed.partition;
    for (int64_t shard = 0; shard < partition.layout().shard_count(); ++shard) {
      elements += partition.BoxOf(partition.layout().CellOfShard(shard)).volume() *
                  std::ssize(target.ranks_of_shard[static_cast<size_t>(shard)]);
    }
  }
  return elements * transfer.element_size_bytes;
}

WorkQueue::WorkQueue(int64_t job_count, std::function<Result<TransferJob>(int64_t)> make_job,
                     const WorkCut& cut, std::function<bool(int64_t chunk)> is_mine)
    : job_count_(job_count),
      make_job_(std::move(make_job)),
      cut_(cut),
      is_mine_(std::move(is_mine)) {
  RELAYOUT_CHECK(cut.chunk_bytes > 0);
}

void WorkQueue::Stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
}

Result<std::optional<Chunk>> WorkQueue::Next() {
  const std::lock_guard lock(mutex_);
  std::optional<Chunk> chunk;
  while (!stopped_) {
    if (!pending_) {
      RELAYOUT_ASSIGN_OR_RETURN(pending_, NextItem());
    }
    if (!pending_) break;
    if (!chunk) chunk = Chunk{.index = pending_->first, .items = {}};
    if (chunk->index != pending_->first) break;
    chunk->items.push_back(std::move(pending_->second));
    pending_.reset();
  }
  if (stopped_) return std::optional<Chunk>();
  return chunk;
}

Result<std::optional<std::pair<int64_t, Chunk::Item>>> WorkQueue::NextItem() {
  while (true) {
    while (cursor_) {
      auto tile = cursor_->Next();
      if (!tile) {
        RELAYOUT_CHECK(position_ == job_end_);
        cursor_.reset();
        break;
      }
      const int64_t chunk = position_ / cut_.chunk_bytes;
      position_ += WrittenBytes(job_->transfer, *tile);
      if (!IsMine(chunk)) continue;
      return std::optional(std::pair(
          chunk, Chunk::Item{.job_index = next_job_ - 1, .job = job_, .tile = std::move(*tile)}));
    }
    if (next_job_ == job_count_) return std::optional<std::pair<int64_t, Chunk::Item>>();
    RELAYOUT_RETURN_IF_ERROR(BeginJob());
  }
}

// Leaves no cursor behind when no tile of the job can be mine.
Status WorkQueue::BeginJob() {
  RELAYOUT_ASSIGN_OR_RETURN(TransferJob job, make_job_(next_job_));
  ++next_job_;
  position_ += kJobBytes;
  job_end_ = position_ + WrittenBytes(job.transfer);
  bool any = false;
  for (int64_t chunk = position_ / cut_.chunk_bytes;
       position_ < job_end_ && !any && chunk * cut_.chunk_bytes < job_end_; ++chunk) {
    any = IsMine(chunk);
  }
  if (!any) {
    position_ = job_end_;
    return OkStatus();
  }
  job_ = std::make_shared<const TransferJob>(std::move(job));
  cursor_.emplace(job_->transfer, ChooseTileOptions(job_->transfer, cut_.thread_memory_bytes));
  return OkStatus();
}

}  // namespace relayout
