// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/transform.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "relayout/base/text.h"
#include "relayout/checkpoint/writer.h"
#include "relayout/convert/contributions.h"
#include "relayout/convert/conversion.h"
#include "relayout/convert/shared_run.h"
#include "relayout/convert/work_order.h"
#include "relayout/exec/executor.h"
#include "relayout/exec/journal.h"

namespace relayout {
namespace {

// How often what is written is made durable, so that a run can be resumed after a power cut.
constexpr double kSyncIntervalSeconds = 15;

// One run, from decided conversion to report. Process 0 prepares and publishes, all write.
class Transformation {
 public:
  Transformation(FileSystem& fs, Comm& comm, const TransformRequest& request, Progress& progress)
      : fs_(fs), comm_(comm), request_(request), progress_(progress) {}

  Result<TransformReport> Run() {
    RELAYOUT_ASSIGN_OR_RETURN(conversion_, Conversion::Open(fs_, comm_, request_));
    RELAYOUT_RETURN_IF_ERROR(Prepare());
    if (!order_.is_complete) {
      const Status written = Write();
      if (!written.ok()) comm_.RequestStop();
      RELAYOUT_RETURN_IF_ERROR(Agree(comm_, written));
      RELAYOUT_RETURN_IF_ERROR(Collect());
      RELAYOUT_RETURN_IF_ERROR(Agree(comm_, Publish()));
    }
    FillReport();
    return std::move(report_);
  }

 private:
  bool is_root() const { return comm_.rank() == 0; }

  // Process 0 makes the files and tells the others where they are and what is left to do.
  Status Prepare() {
    RELAYOUT_ASSIGN_OR_RETURN(const auto incarnations, comm_.Gather(fs_.Incarnation(), 0));
    RELAYOUT_RETURN_IF_ERROR(Agree(comm_, is_root() ? MakeOrder(incarnations) : OkStatus()));
    std::string message = is_root() ? order_.Serialize() : "";
    RELAYOUT_RETURN_IF_ERROR(comm_.Broadcast(message, 0));
    const auto receive = [&]() -> Status {
      if (is_root()) return OkStatus();
      RELAYOUT_ASSIGN_OR_RETURN(order_, WorkOrder::Deserialize(message));
      return OkStatus();
    };
    return Agree(comm_, receive());
  }

  Status MakeOrder(const std::vector<std::string>& incarnations) {
    RELAYOUT_ASSIGN_OR_RETURN(plan_, MakePlan(fs_, request_, *conversion_));
    RELAYOUT_ASSIGN_OR_RETURN(
        writer_, CheckpointWriter::Begin(fs_, WriterOptionsOf(request_, *conversion_), plan_));
    report_.file_of_rank = writer_->FinalPaths();
    order_.is_complete = writer_->is_complete();
    if (order_.is_complete) return OkStatus();
    RELAYOUT_RETURN_IF_ERROR(CreateFiles());
    RELAYOUT_RETURN_IF_ERROR(writer_->SavePlan(plan_));
    const StagedPlan& plan_in_force = writer_->adopted_plan() ? *writer_->adopted_plan() : plan_;
    order_.cut = {.chunk_bytes = plan_in_force.chunk_bytes,
                  .thread_memory_bytes = plan_in_force.thread_memory_bytes};
    order_.staging_directory = writer_->staging_directory();
    return writer_->adopted_plan() ? ReadJournals(incarnations) : OkStatus();
  }

  Status CreateFiles() {
    for (const TargetFile& file : conversion_->files()) {
      const FileFrame frame = FrameOf(conversion_->contents(), file);
      RELAYOUT_ASSIGN_OR_RETURN(std::string path, writer_->Create(file.rank, frame));
      order_.paths.push_back(std::move(path));
    }
    return OkStatus();
  }

  Status ReadJournals(const std::vector<std::string>& incarnations) {
    RELAYOUT_ASSIGN_OR_RETURN(const auto entries, fs_.List(order_.staging_directory));
    for (const DirectoryEntry& entry : entries) {
      const auto attempt = AttemptOfJournal(entry.name);
      if (!attempt) continue;
      order_.attempt = std::max(order_.attempt, *attempt + 1);
      RELAYOUT_ASSIGN_OR_RETURN(
          const auto chunks,
          ReadJournal(fs_, JoinPath(order_.staging_directory, entry.name), incarnations));
      for (const ChunkResult& chunk : chunks) {
        if (!order_.done_chunks.insert(chunk.chunk).second) continue;
        contributions_.Add(chunk);
        report_.resumed_bytes += chunk.written_bytes;
      }
    }
    return OkStatus();
  }

  // This process's share.
  Status Write() {
    RELAYOUT_ASSIGN_OR_RETURN(const int thread_count,
                              ThreadsFor(order_.cut, request_, conversion_->thread_count()));
    for (size_t i = 0; i < order_.paths.size(); ++i) conversion_->files()[i].path = order_.paths[i];
    RELAYOUT_ASSIGN_OR_RETURN(
        const auto journal,
        Journal::Create(
            fs_, JoinPath(order_.staging_directory, JournalName(order_.attempt, comm_.rank())),
            JournalReserve(), request_.sync));
    progress_.total_bytes = (conversion_->written_bytes() - report_.resumed_bytes) / comm_.size();
    ReplicaChooser chooser;
    RELAYOUT_ASSIGN_OR_RETURN(
        const ExecutionStats stats,
        Execute(fs_, conversion_->job_count(),
                [&](int64_t i) { return conversion_->MakeJob(static_cast<size_t>(i), chooser); },
                {.thread_count = thread_count,
                 .cut = order_.cut,
                 .is_mine = [&](int64_t chunk) { return IsMine(chunk); },
                 .on_written =
                     [&](const ChunkResult& chunk) {
                       contributions_.Add(chunk);
                       return journal->Append(chunk);
                     },
                 .sync_interval_seconds = request_.sync ? kSyncIntervalSeconds : 0,
                 .on_synced = [&](int64_t count) { return journal->MarkSynced(count); },
                 // Process 0 syncs all files before it publishes them, but knows only its own
                 // machine's memory.
                 .sync_at_end = request_.sync && !is_root(),
                 .progress = &progress_}));
    report_.read_bytes = stats.read_bytes;
    report_.written_bytes = stats.written_bytes;
    return OkStatus();
  }

  // More than the lines of this process's chunks take, but for very many ranks.
  int64_t JournalReserve() const {
    return std::min<int64_t>(int64_t{4} << 20, 4096 + conversion_->written_bytes() / 256);
  }

  // Multiples of the golden ratio fill a circle evenly, whatever the step: no pattern of the model
  // gives one process all chunks, nor where a large tile takes the place of several, each fourth.
  bool IsMine(int64_t chunk) const {
    if (order_.done_chunks.contains(chunk)) return false;
    constexpr uint64_t kGoldenRatio = 0x9E3779B97F4A7C15U;                     // Of 2^64.
    const uint64_t place = static_cast<uint64_t>(chunk) * kGoldenRatio >> 32;  // Of 2^32.
    return static_cast<int>(place * static_cast<uint64_t>(comm_.size()) >> 32) == comm_.rank();
  }

  // What all processes wrote, on process 0.
  Status Collect() {
    if (comm_.size() == 1) return OkStatus();
    RELAYOUT_ASSIGN_OR_RETURN(
        const auto messages,
        comm_.Gather(contributions_.Serialize(report_.read_bytes, report_.written_bytes), 0));
    Status status;
    for (size_t i = 1; i < messages.size() && status.ok(); ++i) {
      status = contributions_.Merge(messages[i], report_.read_bytes, report_.written_bytes);
    }
    return Agree(comm_, status);
  }

  Status Publish() {
    if (!is_root()) return OkStatus();
    // Each target element was written exactly once, or we do not publish.
    RELAYOUT_CHECK(report_.written_bytes + report_.resumed_bytes == conversion_->written_bytes());
    RELAYOUT_ASSIGN_OR_RETURN(
        const auto sums, contributions_.Finish(fs_, *conversion_, conversion_->thread_count()));
    return writer_->Publish(conversion_->thread_count(), sums);
  }

  void FillReport() {
    report_.source_rank_count = conversion_->source().strategy.rank_count();
    report_.source_is_unified = conversion_->source().is_unified;
    report_.target_rank_count = conversion_->target().rank_count();
    report_.is_unified = request_.unified.has_value();
    const std::set<int64_t>& read = conversion_->source_ranks_read();
    report_.source_ranks_read.assign(read.begin(), read.end());
    report_.value_count = conversion_->job_count();
    for (const RankFile& file : conversion_->source().catalog.files()) {
      report_.source_bytes += file.info.size_bytes;
    }
    for (const TargetFile& file : conversion_->files()) {
      report_.target_bytes += file.plan->size_bytes;
    }
    report_.step = conversion_->source().step;
    report_.notes = std::move(conversion_->notes());
    report_.is_complete = order_.is_complete;
    if (order_.is_complete) report_.resumed_bytes = conversion_->written_bytes();
  }

  FileSystem& fs_;
  Comm& comm_;
  const TransformRequest& request_;
  Progress& progress_;
  std::unique_ptr<Conversion> conversion_;
  StagedPlan plan_;
  std::unique_ptr<CheckpointWriter> writer_;
  WorkOrder order_;
  Contributions contributions_;
  TransformReport report_;
};

Result<TransformReport> RunTogether(FileSystem& fs, Comm& comm, const TransformRequest& request) {
  Progress own;
  Progress& progress = request.progress != nullptr ? *request.progress : own;
  const StopRelay relay(comm, progress);
  return Transformation(fs, comm, request, progress).Run();
}

}  // namespace

Result<TransformReport> TransformCheckpoints(FileSystem& fs, Comm& comm,
                                             const TransformRequest& request) {
  RELAYOUT_ASSIGN_OR_RETURN(const bool is_shared, IsOneRequest(comm, request));
  if (is_shared) return RunTogether(fs, comm, request);
  // Each process writes ranks of its own, and all of them must succeed.
  auto report = TransformCheckpoints(fs, request);
  RELAYOUT_RETURN_IF_ERROR(Agree(comm, report.status()));
  report->is_shared = false;
  return report;
}

Result<TransformReport> TransformCheckpoints(FileSystem& fs, const TransformRequest& request) {
  const auto self = NewSelfComm();
  return RunTogether(fs, *self, request);
}

}  // namespace relayout
