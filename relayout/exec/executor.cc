// SPDX-License-Identifier: Apache-2.0
#include "relayout/exec/executor.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "relayout/base/parallel.h"
#include "relayout/base/text.h"
#include "relayout/exec/copy_box.h"
#include "relayout/exec/shard_reader.h"
#include "relayout/exec/stretch.h"
#include "relayout/exec/tile_reads.h"
#include "relayout/io/open_file_cache.h"
#include "relayout/plan/runs.h"

namespace relayout {
namespace {

using Clock = std::chrono::steady_clock;

// Small enough to stay in the processor's second-level cache between the read, the hash and the
// write: measured 1.5-3x faster than 1 MiB on a warm page cache.
constexpr int64_t kDirectBufferBytes = int64_t{256} << 10;
// Writes end at multiples of this in the target file. The page cache then takes whole large folios:
// a quarter less time of the processor than for the same writes at odd offsets.
constexpr int64_t kWriteAlignmentBytes = kDirectBufferBytes;
// Half of the descriptors a process gets by default, for sources and targets together.
constexpr int64_t kOpenFilesPerSide = 256;
// Syncing takes at most this part of the time.
constexpr double kMaxSyncShare = 0.1;

int64_t BytesToAlignment(int64_t offset_bytes) {
  return kWriteAlignmentBytes - offset_bytes % kWriteAlignmentBytes;
}

size_t AsSize(int64_t size_bytes) { return static_cast<size_t>(size_bytes); }

Status WriteAligned(WritableFile& file, int64_t offset_bytes, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const size_t size = std::min(bytes.size(), AsSize(BytesToAlignment(offset_bytes)));
    RELAYOUT_RETURN_IF_ERROR(file.WriteAt(offset_bytes, bytes.first(size)));
    offset_bytes += static_cast<int64_t>(size);
    bytes = bytes.subspan(size);
  }
  return OkStatus();
}

// Tells the observer of chunks what is written and what is durable.
class Reporter {
 public:
  Reporter(OpenFileCache<WritableFile>& targets, const ExecutorOptions& options)
      : targets_(targets), options_(options) {}

  // A chunk is written; `paths` are the files it wrote to. Now and then also syncs.
  Status Report(const ChunkResult& result, const std::set<std::string>& paths) {
    std::set<std::string> to_sync;
    int64_t count = 0;
    {
      const std::lock_guard lock(mutex_);
      if (options_.on_written) RELAYOUT_RETURN_IF_ERROR(options_.on_written(result));
      ++written_chunk_count_;
      if (options_.sync_interval_seconds > 0 || options_.sync_at_end) {
        unsynced_.insert(paths.begin(), paths.end());
      }
      if (!IsSyncDue()) return OkStatus();
      is_syncing_ = true;
      to_sync.swap(unsynced_);
      count = written_chunk_count_;
    }
    return Sync({to_sync.begin(), to_sync.end()}, count, 1);
  }

  Status SyncAtEnd(int thread_count) {
    if (!options_.sync_at_end) return OkStatus();
    return Sync({unsynced_.begin(), unsynced_.end()}, written_chunk_count_, thread_count);
  }

 private:
  bool IsSyncDue() const {
    const std::chrono::duration<double> since = Clock::now() - last_sync_end_;
    return options_.sync_interval_seconds > 0 && !is_syncing_ &&
           since.count() >= options_.sync_interval_seconds &&
           since.count() * kMaxSyncShare >= last_sync_seconds_;
  }

  Status Sync(const std::vector<std::string>& paths, int64_t written_chunk_count,
              int thread_count) {
    const Clock::time_point begin = Clock::now();
    RELAYOUT_RETURN_IF_ERROR(ParallelFor(thread_count, std::ssize(paths), [&](int64_t i) -> Status {
      RELAYOUT_ASSIGN_OR_RETURN(const auto file, targets_.Get(paths[AsSize(i)]));
      return file->Sync();
    }));
    const std::lock_guard lock(mutex_);
    is_syncing_ = false;
    last_sync_end_ = Clock::now();
    last_sync_seconds_ = std::chrono::duration<double>(last_sync_end_ - begin).count();
    return options_.on_synced ? options_.on_synced(written_chunk_count) : OkStatus();
  }

  OpenFileCache<WritableFile>& targets_;
  const ExecutorOptions& options_;
  std::mutex mutex_;  // Guards what follows.
  int64_t written_chunk_count_ = 0;
  std::set<std::string> unsynced_;
  bool is_syncing_ = false;
  Clock::time_point last_sync_end_ = Clock::now();
  double last_sync_seconds_ = 0;
};

// What the workers share.
struct Shared {
  OpenFileCache<ReadableFile> sources;
  OpenFileCache<WritableFile> targets;
  Progress* progress;
  Reporter reporter;
  std::atomic<int64_t> read_bytes = 0;
  std::atomic<int64_t> written_bytes = 0;
};

const std::vector<int64_t>& RanksOf(const TransferJob& job, size_t target, int64_t shard) {
  return job.transfer.targets[target].ranks_of_shard[AsSize(shard)];
}

// The content hashes of what one chunk writes.
class ChunkHashes {
 public:
  // Bytes of a shard from offset_bytes on. Jobs come in order.
  void Add(int64_t job_index, const TransferJob& job, const TargetPiece& target,
           int64_t offset_bytes, std::span<const std::byte> bytes) {
    if (job_index != job_index_) {
      Finish();
      job_index_ = job_index;
      job_ = &job;
      stream_id_ = StreamId(job.name);
    }
    const int64_t shard_bytes = target.piece.shard_box.volume() * job.transfer.element_size_bytes;
    const auto [hasher, added] =
        hashers_.try_emplace(std::pair(target.target, target.piece.shard), stream_id_, shard_bytes);
    hasher->second.Add(offset_bytes, bytes);
  }

  std::vector<FileContribution> Take() {
    Finish();
    std::vector<FileContribution> files;
    for (auto& [rank, file] : files_) files.push_back(std::move(file));
    files_.clear();
    return files;
  }

 private:
  // The hashes of a shard count for every rank that stores it.
  void Finish() {
    for (const auto& [key, hasher] : hashers_) {
      for (const int64_t rank : RanksOf(*job_, key.first, key.second)) {
        FileContribution& file = files_[rank];
        file.rank = rank;
        file.sum += hasher.sum();
        for (const int64_t block : hasher.torn_blocks()) {
          file.torn_blocks.push_back({.job_index = job_index_, .block = block});
        }
      }
    }
    hashers_.clear();
    job_index_ = -1;
  }

  int64_t job_index_ = -1;
  const TransferJob* job_ = nullptr;
  uint64_t stream_id_ = 0;
  std::map<std::pair<size_t, int64_t>, BlockHasher> hashers_;
  std::map<int64_t, FileContribution> files_;
};

// One thread's share of the work, with its buffers.
class Worker {
 public:
  explicit Worker(Shared& shared) : shared_(shared), reader_(shared.sources) {}

  Status Run(const Chunk& chunk) {
    result_ = {.chunk = chunk.index, .files = {}};
    const int64_t read_before = reader_.read_bytes();
    paths_.clear();
    for (const Chunk::Item& item : chunk.items) {
      if (IsCancelled(shared_.progress)) return Cancelled("stopped on request");
      job_ = item.job.get();
      job_index_ = item.job_index;
      const Status status = item.tile.direct ? MoveDirect(item.tile) : Gather(item.tile);
      if (!status.ok()) return status.WithContext(Printable(job_->name));
    }
    result_.files = hashes_.Take();
    result_.read_bytes = reader_.read_bytes() - read_before;
    shared_.read_bytes += result_.read_bytes;
    shared_.written_bytes += result_.written_bytes;
    return shared_.reporter.Report(result_, paths_);
  }

 private:
  int64_t element_size() const { return job_->transfer.element_size_bytes; }

  ShardLocation SourceOf(const ShardPiece& piece) const {
    return job_->source(job_->transfer.source_ranks[AsSize(piece.shard)]);
  }

  // The place of a piece that is one run of its shard, in bytes of the shard.
  Extent RunOf(const ShardPiece& piece) const {
    return {OffsetIn(piece.shard_box, piece.box.begin) * element_size(),
            piece.box.volume() * element_size()};
  }

  // Where in a file that stores it a piece begins.
  int64_t FileOffsetOf(const TargetPiece& target) const {
    const ShardLocation location =
        job_->target(RanksOf(*job_, target.target, target.piece.shard)[0]);
    const std::vector<Extent> places =
        MapRange(location.extents, RunOf(target.piece).offset_bytes, 1);
    return places[0].offset_bytes;
  }

  Status MoveDirect(const Tile& tile) {
    return ForEachTileRead(tile, element_size(), [&](size_t i, const ReadStretch& run) {
      return MoveRun(tile, SourceOf(tile.sources[i]), run);
    });
  }

  Status MoveRun(const Tile& tile, const ShardLocation& source, const ReadStretch& run) {
    std::byte* const bytes = assembled_.Reserve(std::min(kDirectBufferBytes, run.size_bytes));
    const int64_t phase = FileOffsetOf(tile.targets[0]);
    for (int64_t done = 0; done < run.size_bytes;) {
      if (IsCancelled(shared_.progress)) return Cancelled("stopped on request");
      const int64_t size = std::min(BytesToAlignment(phase + done), run.size_bytes - done);
      RELAYOUT_RETURN_IF_ERROR(reader_.Read(source, run.begin_bytes + done, {bytes, AsSize(size)}));
      for (const TargetPiece& target : tile.targets) {
        RELAYOUT_RETURN_IF_ERROR(
            WriteToAll(target, RunOf(target.piece).offset_bytes + done, {bytes, AsSize(size)}));
      }
      done += size;
    }
    return OkStatus();
  }

  Status Gather(const Tile& tile) {
    // Source pieces one after the other, each dense.
    std::vector<int64_t> begins;
    int64_t total = 0;
    for (const ShardPiece& piece : tile.sources) {
      begins.push_back(total);
      total += piece.box.volume() * element_size();
    }
    std::byte* const pieces = gathered_.Reserve(total);
    std::byte* to = pieces;
    RELAYOUT_RETURN_IF_ERROR(
        ForEachTileRead(tile, element_size(), [&](size_t i, const ReadStretch& stretch) {
          std::byte* const buffer = to;
          to += stretch.wanted_bytes();
          return reader_.ReadStretchOf(SourceOf(tile.sources[i]), stretch, buffer);
        }));
    for (const TargetPiece& target : tile.targets) {
      const int64_t size = target.piece.box.volume() * element_size();
      std::byte* const assembled = assembled_.Reserve(size);
      for (const size_t i : target.sources) {
        const Box& source_box = tile.sources[i].box;
        CopyBox(pieces + begins[i], source_box, assembled, target.piece.box,
                Intersect(source_box, target.piece.box), element_size());
      }
      RELAYOUT_RETURN_IF_ERROR(WritePiece(target, {assembled, AsSize(size)}));
    }
    return OkStatus();
  }

  // Writes a dense target piece, which may be several runs of its shard, to all files that store
  // it.
  Status WritePiece(const TargetPiece& target, std::span<const std::byte> bytes) {
    const ShardPiece& piece = target.piece;
    const int64_t run_bytes = RunElements(piece.shard_box, piece.box) * element_size();
    Status status;
    ForEachRun(piece.shard_box, piece.box, [&](int64_t offset) {
      if (!status.ok()) return;
      status = WriteToAll(target, offset * element_size(), bytes.first(AsSize(run_bytes)));
      bytes = bytes.subspan(AsSize(run_bytes));
    });
    RELAYOUT_CHECK(!status.ok() || bytes.empty());
    return status;
  }

  Status WriteToAll(const TargetPiece& target, int64_t begin_bytes,
                    std::span<const std::byte> bytes) {
    hashes_.Add(job_index_, *job_, target, begin_bytes, bytes);
    for (const int64_t rank : RanksOf(*job_, target.target, target.piece.shard)) {
      const ShardLocation location = job_->target(rank);
      RELAYOUT_ASSIGN_OR_RETURN(const auto file, shared_.targets.Get(location.path));
      paths_.insert(location.path);
      std::span<const std::byte> rest = bytes;
      for (const Extent& extent : MapRange(location.extents, begin_bytes, std::ssize(bytes))) {
        RELAYOUT_RETURN_IF_ERROR(
            WriteAligned(*file, extent.offset_bytes, rest.first(AsSize(extent.size_bytes))));
        rest = rest.subspan(AsSize(extent.size_bytes));
      }
      CountWritten(std::ssize(bytes));
    }
    return OkStatus();
  }

  void CountWritten(int64_t size_bytes) {
    result_.written_bytes += size_bytes;
    if (shared_.progress != nullptr) shared_.progress->written_bytes += size_bytes;
  }

  Shared& shared_;
  ShardReader reader_;
  const TransferJob* job_ = nullptr;
  int64_t job_index_ = 0;
  ChunkResult result_;
  ChunkHashes hashes_;
  std::set<std::string> paths_;
  ScratchBuffer gathered_;
  ScratchBuffer assembled_;
};

}  // namespace

Result<ExecutionStats> Execute(FileSystem& fs, int64_t job_count,
                               const std::function<Result<TransferJob>(int64_t)>& make_job,
                               const ExecutorOptions& options) {
  const int thread_count = std::max(1, options.thread_count);
  WorkQueue queue(job_count, make_job, options.cut, options.is_mine);
  Shared shared{.sources = OpenFileCache<ReadableFile>(fs, kOpenFilesPerSide),
                .targets = OpenFileCache<WritableFile>(fs, kOpenFilesPerSide),
                .progress = options.progress,
                .reporter = Reporter(shared.targets, options)};
  const auto work = [&](Worker& worker) -> Status {
    while (true) {
      if (IsCancelled(options.progress)) return Cancelled("stopped on request");
      RELAYOUT_ASSIGN_OR_RETURN(const auto chunk, queue.Next());
      if (!chunk) return OkStatus();
      RELAYOUT_RETURN_IF_ERROR(worker.Run(*chunk));
    }
  };
  RELAYOUT_RETURN_IF_ERROR(RunWorkers(thread_count, [&](int) {
    Worker worker(shared);
    Status status = work(worker);
    if (!status.ok()) queue.Stop();
    return status;
  }));
  RELAYOUT_RETURN_IF_ERROR(shared.reporter.SyncAtEnd(thread_count));
  RELAYOUT_RETURN_IF_ERROR(shared.targets.CloseAll());
  return ExecutionStats{.read_bytes = shared.read_bytes, .written_bytes = shared.written_bytes};
}

}  // namespace relayout
