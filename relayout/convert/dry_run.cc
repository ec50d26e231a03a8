// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/dry_run.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "relayout/base/heap.h"
#include "relayout/base/near_names.h"
#include "relayout/base/text.h"
#include "relayout/checkpoint/manifest.h"
#include "relayout/checkpoint/staged_plan.h"
#include "relayout/checkpoint/writer.h"
#include "relayout/convert/conversion.h"
#include "relayout/convert/work_order.h"
#include "relayout/exec/executor.h"
#include "relayout/exec/tile_reads.h"
#include "relayout/exec/work.h"
#include "relayout/format/mindspore/crc_trailer.h"

namespace relayout {
namespace {

constexpr int64_t kRecordBytes = 1024;                   // A rank's file, kept for its record.
constexpr int64_t kPieceBytes = 2 * sizeof(ShardPiece);  // With its part of vectors.
constexpr int64_t kHeaderEntryBytes = 128;               // A value's, while a file is created.
constexpr int64_t kThreadBytes = int64_t{512} << 10;     // Stack and heap of its own.
constexpr int64_t kJobBytes = int64_t{32} << 10;         // As in exec/work.cc.
constexpr int64_t kNumbersBytes = 64;                    // Rank and size in a record.
constexpr int64_t kJournalBytes = 4096;
constexpr int64_t kJournalLineBytes = 128;
constexpr int64_t kJournalEntryBytes = 64;
constexpr int64_t kTornTextBytes = 24;
constexpr int64_t kSlackBytes = int64_t{4} << 20;

int64_t ShardCount(const PlacedTensor& placed) { return placed.partition.layout().shard_count(); }

int64_t BytesOfShard(const Transfer& transfer, const Partition& partition, size_t shard) {
  const Dims cell = partition.layout().CellOfShard(static_cast<int64_t>(shard));
  return partition.BoxOf(cell).volume() * transfer.element_size_bytes;
}

// Of the target shards that somebody wants.
int64_t LargestTarget(const Transfer& transfer) {
  int64_t largest = 0;
  for (const TransferTarget& target : transfer.targets) {
    for (size_t shard = 0; shard < target.ranks_of_shard.size(); ++shard) {
      if (target.ranks_of_shard[shard].empty()) continue;
      largest = std::max(largest, BytesOfShard(transfer, target.placed.partition, shard));
    }
  }
  return largest;
}

// Parts of files that are read or written by themselves, at least.
int64_t PieceCount(const Transfer& transfer) {
  int64_t count =
      std::ssize(transfer.source_ranks) -
      std::count(transfer.source_ranks.begin(), transfer.source_ranks.end(), Transfer::kNoRank);
  for (const TransferTarget& target : transfer.targets) {
    for (const auto& ranks : target.ranks_of_shard) count += std::ssize(ranks);
  }
  return count;
}

// What is read of the files of source ranks.
class ReadCount {
 public:
  explicit ReadCount(const WorkCut& cut) : cut_(cut) {}

  Status Add(const Transfer& transfer) {
    // Every shard has its bytes in some target shard, and tiles that cover the tensor take each of
    // them whole.
    if (!transfer.wants_everything()) return AddByTiles(transfer);
    for (size_t shard = 0; shard < transfer.source_ranks.size(); ++shard) {
      const int64_t rank = transfer.source_ranks[shard];
      if (rank == Transfer::kNoRank) continue;
      of_rank_[rank] += BytesOfShard(transfer, transfer.source.partition, shard);
    }
    return OkStatus();
  }

  const std::map<int64_t, int64_t>& of_rank() const { return of_rank_; }

 private:
  // As the executor reads.
  Status AddByTiles(const Transfer& transfer) {
    TileCursor cursor(transfer, ChooseTileOptions(transfer, cut_.thread_memory_bytes));
    while (const auto tile = cursor.Next()) {
      RELAYOUT_RETURN_IF_ERROR(ForEachTileRead(
          *tile, transfer.element_size_bytes, [&](size_t source, const ReadStretch& stretch) {
            const auto shard = static_cast<size_t>(tile->sources[source].shard);
            of_rank_[transfer.source_ranks[shard]] += stretch.size_bytes;
            return OkStatus();
          }));
    }
    return OkStatus();
  }

  const WorkCut cut_;
  std::map<int64_t, int64_t> of_rank_;
};

// Which of several ranks that hold the same is read.
class ReplicaCount {
 public:
  explicit ReplicaCount(const Catalog& catalog) : catalog_(catalog) {}

  void Add(const Transfer& transfer) {
    const Layout& layout = transfer.source.partition.layout();
    if (layout.replica_count() == 1) return;
    const auto& groups = GroupsOf(transfer.source);
    for (size_t shard = 0; shard < transfer.source_ranks.size(); ++shard) {
      const int64_t rank = transfer.source_ranks[shard];
      if (rank == Transfer::kNoRank) continue;
      (*groups[shard])[rank] += BytesOfShard(transfer, transfer.source.partition, shard);
    }
  }

  std::vector<DryRunReplicas> Take() {
    std::vector<DryRunReplicas> replicas;
    for (auto& [ranks, read_bytes] : of_ranks_) {
      if (ranks.size() > 1 && !read_bytes.empty()) replicas.push_back({ranks, read_bytes});
    }
    return replicas;
  }

 private:
  using BytesOfRank = std::map<int64_t, int64_t>;

  // Of each shard the count of its group. Thousands of tensors lie alike.
  const std::vector<BytesOfRank*>& GroupsOf(const PlacedTensor& placed) {
    const Layout& layout = placed.partition.layout();
    auto [entry, is_new] = of_layout_.try_emplace(std::pair(layout.identity(), placed.first_rank));
    if (is_new) {
      for (int64_t shard = 0; shard < layout.shard_count(); ++shard) {
        std::vector<int64_t> ranks = HoldersOf(placed, shard);
        std::erase_if(ranks, [&](int64_t rank) { return !catalog_.HasRank(rank); });
        entry->second.push_back(&of_ranks_[std::move(ranks)]);
      }
    }
    return entry->second;
  }

  const Catalog& catalog_;
  std::map<std::vector<int64_t>, BytesOfRank> of_ranks_;
  std::map<std::pair<const void*, int64_t>, std::vector<BytesOfRank*>> of_layout_;
};

// What the work on all values takes: memory beside what is held already, and room for its journal.
class WorkCount {
 public:
  explicit WorkCount(const WorkCut& cut) : cut_(cut) {}

  void Add(const Transfer& transfer) {
    const TileOptions options = ChooseTileOptions(transfer, cut_.thread_memory_bytes);
    const int64_t largest = LargestTarget(transfer);
    const int64_t size = transfer.wants_everything()
                             ? Box::Whole(transfer.shape()).volume() * transfer.element_size_bytes
                             : largest;
    const int64_t tile = std::min(options.gather_bytes, size);
    // The pieces gathered and one target piece; strided reads; the buffer of direct copies.
    buffer_bytes_ =
        std::max(buffer_bytes_, tile + std::min(tile, largest) + 2 * kStridedBufferBytes);

    int64_t shards = ShardCount(transfer.source);
    int64_t ranks = 0;
    for (const TransferTarget& target : transfer.targets) {
      shards += ShardCount(target.placed);
      ranks += target.placed.partition.layout().device_count();
    }
    const int64_t chunk = std::min(cut_.chunk_bytes, size);
    const int64_t pieces = shards * (2 + chunk / options.gather_bytes);
    chunk_bytes_ = std::max(chunk_bytes_, pieces * kPieceBytes);
    // Where a chunk ends, a block of each shard stays open on both sides.
    const double chunks =
        static_cast<double>(WrittenBytes(transfer)) / static_cast<double>(cut_.chunk_bytes);
    touched_files_ += chunks * static_cast<double>(ranks);
    line_bytes_ += WrittenBytes(transfer) + kJobBytes;
  }

  // Text of about this length; see exec/journal.h.
  int64_t journal_bytes(int64_t file_count) const {
    const int64_t chunk_count = line_bytes_ / cut_.chunk_bytes + 1;
    return kJournalBytes + chunk_count * (kJournalLineBytes + file_count * kJournalEntryBytes) +
           static_cast<int64_t>(touched_files_) * (kJournalEntryBytes + 4 * kTornTextBytes);
  }
  int64_t buffer_bytes() const { return buffer_bytes_; }
  // One chunk for each thread and the one that is being put together; many of tiny tensors.
  int64_t work_bytes(int thread_count, int64_t value_count) const {
    const int64_t tiny = std::min(value_count, cut_.chunk_bytes / kJobBytes) * 4 * kPieceBytes;
    return (thread_count + 1) * (chunk_bytes_ + tiny) +
           static_cast<int64_t>(touched_files_) * 4 * int64_t{sizeof(TornBlock)};
  }

 private:
  const WorkCut cut_;
  int64_t buffer_bytes_ = 0;
  int64_t chunk_bytes_ = 0;
  double touched_files_ = 0;  // Over all chunks, beside the first one of each value.
  int64_t line_bytes_ = 0;    // The length of the line in exec/work.h.
};

class DryRunner {
 public:
  DryRunner(FileSystem& fs, const TransformRequest& request, const DryRunOptions& options)
      : fs_(fs), request_(request), options_(options), header_request_(request) {
    header_request_.check_crc = false;
    header_request_.check_replicas = false;
  }

  Result<DryRunReport> Run() {
    const auto self = NewSelfComm();
    RELAYOUT_ASSIGN_OR_RETURN(conversion_, Conversion::Open(fs_, *self, header_request_));
    RELAYOUT_RETURN_IF_ERROR(CheckNames());
    RELAYOUT_ASSIGN_OR_RETURN(plan_, MakePlan(fs_, request_, *conversion_));
    RELAYOUT_RETURN_IF_ERROR(CountValues());
    ListTargets();
    FillTotals();
    LookAtTarget();
    if (options_.probe) RELAYOUT_RETURN_IF_ERROR(MeasureDisks());
    return std::move(report_);
  }

 private:
  Status CheckNames() const {
    for (const std::string& wanted : options_.explain) {
      NearNames near(wanted);
      bool is_there = false;
      for (const TargetValue& value : conversion_->contents().values) {
        is_there = is_there || value.name == wanted;
        if (!is_there) near.Consider(value.name);
      }
      if (is_there) continue;
      return NotFound(Format("--explain {}: the target has no value of this name{}",
                             Printable(wanted), near.Hint("; `relayout inspect` lists the names")));
    }
    return OkStatus();
  }

  // Plans all values as a transform does: in order, with one chooser.
  Status CountValues() {
    const WorkCut cut = {.chunk_bytes = plan_.chunk_bytes,
                         .thread_memory_bytes = plan_.thread_memory_bytes};
    ReadCount reads(cut);
    ReplicaCount replicas(conversion_->source().catalog);
    WorkCount work(cut);
    ReplicaChooser chooser;
    explained_.resize(options_.explain.size());
    for (int64_t i = 0; i < conversion_->job_count(); ++i) {
      RELAYOUT_ASSIGN_OR_RETURN(Transfer transfer,
                                conversion_->Plan(static_cast<size_t>(i), chooser));
      RELAYOUT_RETURN_IF_ERROR(reads.Add(transfer));
      replicas.Add(transfer);
      work.Add(transfer);
      report_.piece_count += PieceCount(transfer);
      KeepForExplanation(static_cast<size_t>(i), transfer);
    }
    ListSources(reads);
    report_.replicas = replicas.Take();
    FillMemory(work);
    FillRecords(work);
    for (auto& explained : explained_) report_.explained.push_back(*std::move(explained));
    return OkStatus();
  }

  void KeepForExplanation(size_t i, const Transfer& transfer) {
    const TargetValue value = conversion_->contents().values[i];
    for (size_t n = 0; n < options_.explain.size(); ++n) {
      if (options_.explain[n] != value.name) continue;
      explained_[n].emplace(DryRunReport::Explained{.name = options_.explain[n],
                                                    .dtype = value.dtype,
                                                    .transfer = transfer,
                                                    .unused_sources = {}});
      for (const PlacedTensor& source : value.sources) {
        if (source.first_rank == transfer.source.first_rank) continue;
        explained_[n]->unused_sources.push_back(source);
      }
    }
  }

  void ListSources(const ReadCount& reads) {
    for (const auto& [rank, bytes] : reads.of_rank()) {
      if (bytes == 0) continue;
      const RankFile& file = *conversion_->source().catalog.FileOf(rank);
      report_.sources.push_back({.rank = rank,
                                 .path = file.path,
                                 .size_bytes = file.info.size_bytes,
                                 .read_bytes = bytes});
      report_.read_bytes += bytes;
    }
  }

  void ListTargets() {
    const CheckpointWriterOptions options = WriterOptionsOf(request_, *conversion_);
    const int64_t trailer = request_.crc_trailer ? kCrcTrailerBytes : 0;
    for (const int64_t rank : conversion_->target_ranks()) {
      const auto replica = conversion_->original_of_replica().find(rank);
      const bool is_replica = replica != conversion_->original_of_replica().end();
      const TargetFile& file = conversion_->FileOfRank(is_replica ? replica->second : rank);
      report_.targets.push_back({.rank = rank,
                                 .path = FinalPath(options, rank),
                                 .payload_bytes = file.plan->payload_bytes,
                                 .size_bytes = file.plan->size_bytes + trailer,
                                 .original = {}});
      if (is_replica) report_.targets.back().original = replica->second;
    }
  }

  void FillTotals() {
    report_.source_rank_count = conversion_->source().strategy.rank_count();
    report_.target_rank_count = conversion_->target().rank_count();
    report_.is_unified = request_.unified.has_value();
    report_.value_count = conversion_->job_count();
    for (const DryRunTarget& target : report_.targets) {
      if (target.original) continue;
      report_.payload_bytes += target.payload_bytes;
      report_.written_bytes += target.size_bytes;
    }
    for (const RankFile& file : conversion_->source().catalog.files()) {
      if (request_.check_crc && file.crc32) report_.checked_bytes += file.crc_covers_bytes;
    }
    report_.notes = std::move(conversion_->notes());
  }

  void FillMemory(const WorkCount& count) {
    DryRunMemory& memory = report_.memory;
    memory.held_bytes = PeakMemoryBytes();
    memory.thread_count = conversion_->thread_count();
    memory.buffer_bytes = count.buffer_bytes();
    const int64_t ranks =
        std::ssize(conversion_->target_ranks()) + std::ssize(conversion_->source().catalog.files());
    memory.work_bytes =
        count.work_bytes(memory.thread_count, conversion_->job_count()) + ranks * kRecordBytes;
    for (const TargetFile& file : conversion_->files()) {
      const FilePlan& plan = *file.plan;
      memory.headers_bytes =
          std::max(memory.headers_bytes, 2 * (plan.size_bytes - plan.payload_bytes) +
                                             std::ssize(plan.values) * kHeaderEntryBytes);
    }
    // Half of the buffers again: growing ones leave holes in the heap.
    memory.other_bytes =
        kSlackBytes + memory.thread_count * (kThreadBytes + memory.buffer_bytes / 2);
  }

  // The staged plan, a record of each file, the journal.
  void FillRecords(const WorkCount& count) {
    int64_t record_bytes = 0;
    if (request_.target_file.empty()) {
      const ManifestRecord record{
          .generation = plan_.generation,
          .rank_count = conversion_->target().rank_count(),
          .file_name = FinalPath(WriterOptionsOf(request_, *conversion_), 0),
          .size_bytes = 0,
          .content_hash = {}};
      record_bytes = std::ssize(SerializeRecord(record)) + kNumbersBytes;
    }
    report_.record_bytes = std::ssize(SerializePlan(plan_)) +
                           record_bytes * std::ssize(conversion_->target_ranks()) +
                           count.journal_bytes(std::ssize(conversion_->files()));
  }

  // Would it fit, and would it be let?
  void LookAtTarget() {
    const std::string target =
        request_.target_file.empty() ? request_.target_directory : ParentPath(request_.target_file);
    if (const Status status = FindDisk(target); !status.ok()) {
      report_.problems.push_back(status);
      return;
    }
    const Status refused =
        CheckpointWriter::CheckTarget(fs_, WriterOptionsOf(request_, *conversion_), plan_);
    if (!refused.ok()) report_.problems.push_back(refused);
    if (report_.disk_bytes() <= report_.free_bytes) return;
    report_.problems.push_back(
        IoError(Format("{}: the file system has {} free, {} are needed: {} more", report_.disk_path,
                       HumanBytes(report_.free_bytes), HumanBytes(report_.disk_bytes()),
                       HumanBytes(report_.disk_bytes() - report_.free_bytes))));
  }

  Status FindDisk(const std::string& target) {
    for (std::string path = target;; path = ParentPath(path)) {
      const auto info = fs_.Stat(path);
      if (info.status().code() == StatusCode::kNotFound && ParentPath(path) != path) continue;
      RELAYOUT_RETURN_IF_ERROR(info.status());
      if (info->kind != FileKind::kDirectory) {
        return InvalidInput(Format("{}: is no directory, so {} cannot be written", path, target));
      }
      report_.disk_path = path;
      RELAYOUT_ASSIGN_OR_RETURN(report_.free_bytes, fs_.FreeBytes(path));
      return OkStatus();
    }
  }

  Status MeasureDisks() {
    if (!report_.problems.empty() || report_.read_bytes == 0) return OkStatus();
    std::vector<ProbeSource> sources;
    for (const DryRunSource& source : report_.sources) {
      sources.push_back({.path = source.path, .size_bytes = source.size_bytes});
    }
    ProbeOptions options = {.thread_count = conversion_->thread_count(),
                            .sync = request_.sync,
                            .progress = request_.progress};
    options.limit_bytes = std::min(options.limit_bytes, report_.written_bytes);
    const auto probe = ProbeDisks(fs_, sources, report_.disk_path, options);
    if (probe.status().code() == StatusCode::kCancelled) return probe.status();
    if (!probe.ok()) {
      // What the probe cannot do there, the conversion cannot either.
      report_.problems.push_back(probe.status());
      return OkStatus();
    }
    if (probe->copied_bytes == 0) return OkStatus();
    report_.probe = *probe;
    report_.estimated_seconds =
        EstimateSeconds(*probe, report_.read_bytes + report_.checked_bytes, report_.written_bytes);
    return OkStatus();
  }

  FileSystem& fs_;
  const TransformRequest& request_;
  const DryRunOptions& options_;
  TransformRequest header_request_;  // Without what reads files whole.
  std::unique_ptr<Conversion> conversion_;
  StagedPlan plan_;
  std::vector<std::optional<DryRunReport::Explained>> explained_;  // By place in the options.
  DryRunReport report_;
};

}  // namespace

Result<DryRunReport> DryRunTransform(FileSystem& fs, const TransformRequest& request,
                                     const DryRunOptions& options) {
  return DryRunner(fs, request, options).Run();
}

}  // namespace relayout
