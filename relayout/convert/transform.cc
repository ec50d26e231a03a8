// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/transform.h"

#include <algorithm>
#include <set>
#include <utility>

#include "relayout/base/hash.h"
#include "relayout/base/parallel.h"
#include "relayout/base/text.h"
#include "relayout/checkpoint/writer.h"
#include "relayout/convert/load_strategy.h"
#include "relayout/convert/plausibility.h"
#include "relayout/convert/rank_list.h"
#include "relayout/convert/replica_check.h"
#include "relayout/convert/target_files.h"
#include "relayout/exec/executor.h"
#include "relayout/format/checkpoint_file.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

// One run, from request to report.
class Transformation {
 public:
  Transformation(FileSystem& fs, const TransformRequest& request)
      : fs_(fs),
        request_(request),
        thread_count_(request.thread_count > 0 ? request.thread_count : DefaultThreadCount()) {}

  Result<TransformReport> Run() {
    RELAYOUT_RETURN_IF_ERROR(CheckRequest());
    RELAYOUT_RETURN_IF_ERROR(OpenInputs());
    RELAYOUT_RETURN_IF_ERROR(CheckRanks());
    RELAYOUT_RETURN_IF_ERROR(CheckTargetIsNotSource());
    if (request_.check_crc) {
      RELAYOUT_RETURN_IF_ERROR(CheckTrailers(fs_, source_->catalog, thread_count_));
    }
    RELAYOUT_ASSIGN_OR_RETURN(
        contents_, DecideContents(*source_, *target_, has_target_strategy(), target_name(),
                                  is_wanted_, request_.contents));
    if (!request_.trust_strategy) {
      RELAYOUT_RETURN_IF_ERROR(CheckStrategyIsPlausible(fs_, *source_, contents_));
    }
    RELAYOUT_RETURN_IF_ERROR(CheckReplicas());
    RELAYOUT_RETURN_IF_ERROR(ChooseSourceRanks());
    RELAYOUT_RETURN_IF_ERROR(PlanFiles());
    RELAYOUT_RETURN_IF_ERROR(Write());
    FillReport();
    return std::move(report_);
  }

 private:
  bool has_target_strategy() const { return request_.target_strategy_path.has_value(); }
  std::string target_name() const {
    return request_.target_strategy_path.value_or("the whole target");
  }
  bool is_partial() const { return !request_.ranks.empty(); }

  Status CheckRequest() const {
    if (!request_.source.strategy_path && !request_.target_strategy_path) {
      return InvalidInput(
          "give a source strategy, a target strategy, or both: without any there is nothing to "
          "convert");
    }
    if (request_.memory_bytes < kMinMemoryBytes) {
      return InvalidInput(Format("--memory {}: at least {} are needed",
                                 HumanBytes(request_.memory_bytes), HumanBytes(kMinMemoryBytes)));
    }
    if (!request_.target_file.empty()) {
      if (request_.ranks.size() != 1) {
        return InvalidInput("a target file holds one rank: say which with --rank");
      }
      if (!FormatOfName(BaseName(request_.target_file))) {
        return InvalidInput(Format("{}: must end in .ckpt or .safetensors", request_.target_file));
      }
      if (request_.format && request_.format != FormatOfName(BaseName(request_.target_file))) {
        return InvalidInput(Format("{}: its name contradicts --format", request_.target_file));
      }
    }
    return OkStatus();
  }

  Status OpenInputs() {
    RELAYOUT_ASSIGN_OR_RETURN(source_, OpenCheckpointSet(fs_, request_.source, thread_count_));
    target_ = Strategy::Empty(1);
    if (has_target_strategy()) {
      RELAYOUT_ASSIGN_OR_RETURN(target_, LoadStrategy(fs_, *request_.target_strategy_path,
                                                      source_->catalog.name_table()));
    }
    format_ = request_.format.value_or(source_->format);
    if (!request_.target_file.empty()) format_ = *FormatOfName(BaseName(request_.target_file));
    if (request_.crc_trailer && format_ != FileFormat::kMindSporeCheckpoint) {
      return InvalidInput("--crc: only .ckpt files have a CRC trailer");
    }
    for (std::string& note : source_->notes) {
      report_.notes.push_back({.kind = "choice", .message = std::move(note)});
    }
    report_.step = source_->step;
    return OkStatus();
  }

  Status CheckRanks() {
    const std::set<int64_t> asked(request_.ranks.begin(), request_.ranks.end());
    for (const int64_t rank : asked) {
      if (rank < 0 || rank >= target_->rank_count()) {
        return InvalidInput(
            Format("--rank {}: {} has ranks 0-{}", rank, target_name(), target_->rank_count() - 1));
      }
    }
    target_ranks_.assign(asked.begin(), asked.end());
    if (!is_partial()) {
      for (int64_t rank = 0; rank < target_->rank_count(); ++rank) target_ranks_.push_back(rank);
    }
    is_wanted_ = [this](int64_t rank) {
      return !is_partial() || std::binary_search(target_ranks_.begin(), target_ranks_.end(), rank);
    };
    const std::vector<int64_t>& missing = source_->missing_ranks;
    if (missing.empty() || is_partial() || !source_->spec.files.empty()) return OkStatus();
    if (!request_.contents.allow_missing) {
      const auto info = fs_.Stat(source_->spec.path);
      if (info.ok() && info->kind == FileKind::kFile) {
        return InvalidInput(
            Format("{}: is one file, but {} is for {}; give the folder of all rank folders",
                   source_->spec.path, *source_->spec.strategy_path,
                   Count(source_->strategy.rank_count(), "rank")));
      }
      return NotFound(Format(
          "{}: {} has {}, but no folder of rank {} is there; --allow-missing goes on when replicas "
          "hold all that is needed",
          source_->spec.text(), *source_->spec.strategy_path,
          Count(source_->strategy.rank_count(), "rank"), RankRuns(missing)));
    }
    report_.notes.push_back(
        {.kind = "missing_rank",
         .message = Format("no folder of rank {}: read from replicas", RankRuns(missing))});
    return OkStatus();
  }

  // Writing among the files that are being read would destroy them.
  Status CheckTargetIsNotSource() {
    const std::string& target =
        request_.target_file.empty() ? request_.target_directory : request_.target_file;
    const auto info = fs_.Stat(target);
    if (info.status().code() == StatusCode::kNotFound) return OkStatus();
    if (!info.ok()) return info.status();
    Status unknown;  // What cannot be looked at may be the target.
    const auto is_same = [&](const std::string& path) {
      const auto other = fs_.Stat(path);
      if (!other.ok() && unknown.ok()) unknown = other.status();
      return other.ok() && other->device == info->device && other->inode == info->inode;
    };
    const auto refuse = [&](const std::string& path) {
      return InvalidInput(
          Format("{}: the target is the source ({}); write to another folder", target, path));
    };
    for (const auto& strategy : {request_.source.strategy_path, request_.target_strategy_path}) {
      if (strategy && is_same(*strategy)) {
        return InvalidInput(
            Format("{}: is a strategy of this conversion; write elsewhere", target));
      }
    }
    if (!source_->spec.path.empty() && is_same(source_->spec.path))
      return refuse(source_->spec.path);
    for (const RankFile& file : source_->catalog.files()) {
      if (is_same(file.path)) return refuse(file.path);
      const std::string folder = ParentPath(file.path);
      const std::string above = ParentPath(folder);
      if (request_.target_file.empty() &&
          (is_same(folder) || (RankOfFolder(BaseName(folder)) && is_same(above)))) {
        return refuse(file.path);
      }
    }
    return unknown;
  }

  Status CheckReplicas() {
    RELAYOUT_ASSIGN_OR_RETURN(const auto disagreements,
                              FindCarriedDisagreements(fs_, *source_, contents_, thread_count_));
    for (const std::string& line : disagreements) {
      report_.notes.push_back({.kind = "disagreement", .message = line});
    }
    if (!request_.check_replicas) return OkStatus();
    const auto* cancel = request_.progress ? &request_.progress->cancel_requested : nullptr;
    RELAYOUT_ASSIGN_OR_RETURN(
        const auto lines, FindDivergingReplicas(fs_, *source_, contents_, thread_count_, cancel));
    if (lines.empty()) return OkStatus();
    std::string message = Format("{}: replicas differ (--check-replicas):", source_->spec.text());
    for (const std::string& line : lines) message += "\n  " + line;
    return InvalidInput(std::move(message));
  }

  // Does the file of a source rank hold a value, cut as the strategy says?
  bool IsHeld(size_t value, int64_t rank) const {
    const TargetValue& target_value = contents_.values[value];
    if (!target_value.carried) return source_->catalog.Find(rank, target_value.name).has_value();
    // Ranks may disagree about these: the lowest one counts.
    return source_->catalog.FirstHolder(target_value.name)->rank() == rank;
  }

  // For some ranks only: as few source files as possible.
  Status ChooseSourceRanks() {
    if (!is_partial()) return OkStatus();
    std::vector<NeededValue> needed;
    std::vector<size_t> position;  // Of each needed value in contents_.
    for (size_t i = 0; i < contents_.values.size(); ++i) {
      const TargetValue& value = contents_.values[i];
      // Carried values are small: they do not decide which files are read.
      if (value.carried) continue;
      needed.push_back({.sources = value.sources, .targets = value.targets});
      position.push_back(i);
    }
    cover_ = CoverValues(
        needed, [&](size_t i, int64_t rank) { return IsHeld(position[i], rank); }, is_wanted_);
    return OkStatus();
  }

  bool IsAvailable(size_t value, int64_t rank) const {
    if (!IsHeld(value, rank)) return false;
    return !cover_ || contents_.values[value].carried ||
           std::binary_search(cover_->ranks.begin(), cover_->ranks.end(), rank);
  }

  Status PlanFiles() {
    RELAYOUT_ASSIGN_OR_RETURN(files_,
                              PlanTargetFiles(contents_, target_ranks_, format_, thread_count_));
    // Everything is planned once before any file is made, so that a shard that no file holds is
    // found now, not after hours of copying.
    ReplicaChooser chooser;
    for (size_t i = 0; i < contents_.values.size(); ++i) {
      RELAYOUT_ASSIGN_OR_RETURN(const Transfer transfer, Plan(i, chooser));
      for (const int64_t rank : transfer.source_ranks) {
        if (rank != Transfer::kNoRank) ranks_read_.insert(rank);
      }
    }
    return OkStatus();
  }

  Result<Transfer> Plan(size_t i, ReplicaChooser& chooser) const {
    const TargetValue& value = contents_.values[i];
    auto transfer =
        PlanTransfer({.element_size_bytes = ElementSize(value.dtype),
                      .sources = value.sources,
                      .targets = value.targets,
                      .is_available = [&](int64_t rank) { return IsAvailable(i, rank); },
                      .is_wanted = is_wanted_},
                     chooser);
    if (!transfer.ok()) {
      return transfer.status().WithContext(
          Format("{}: {}", source_->spec.text(), Printable(value.name)));
    }
    return transfer;
  }

  // Both strategies, as far as they shape the output, and the options that do.
  Result<Generation> MakeGeneration() const {
    StreamHash hash;
    const auto add = [&](std::string_view text) {
      hash.Update(std::as_bytes(std::span(text)));
      hash.Update(std::as_bytes(std::span("\n", 1)));
    };
    for (const Strategy* strategy : {&source_->strategy, &*target_}) {
      add(Format("strategy of {} ranks", strategy->rank_count()));
      for (int64_t stage = 0; stage < strategy->stage_count(); ++stage) {
        add("stage");
        for (const Strategy::Parameter& parameter : strategy->parameters(stage)) {
          add(Format("{} {}", parameter.name, ToText(parameter.layout)));
        }
      }
    }
    add(Format("{} {} {} {}", Extension(format_), request_.contents.keep_extra,
               request_.crc_trailer, request_.prefix));
    Generation generation{.request = ToHex(hash.Digest()), .source_of_rank = {}};
    for (const RankFile& file : source_->catalog.files()) {
      RELAYOUT_ASSIGN_OR_RETURN(const auto opened, fs_.OpenForRead(file.path));
      RELAYOUT_ASSIGN_OR_RETURN(generation.source_of_rank[file.rank], FingerprintFile(*opened));
    }
    return generation;
  }

  Status Write() {
    RELAYOUT_ASSIGN_OR_RETURN(Generation generation, MakeGeneration());
    RELAYOUT_ASSIGN_OR_RETURN(const auto writer,
                              CheckpointWriter::Begin(fs_,
                                                      {.directory = request_.target_directory,
                                                       .prefix = request_.prefix,
                                                       .format = format_,
                                                       .single_file = request_.target_file,
                                                       .whole_set = !is_partial(),
                                                       .overwrite = request_.overwrite,
                                                       .sync = request_.sync,
                                                       .crc_trailer = request_.crc_trailer},
                                                      target_ranks_, std::move(generation)));
    int64_t total = 0;
    std::optional<ImageMaker> images(std::in_place, contents_);
    for (TargetFile& file : files_) {
      RELAYOUT_ASSIGN_OR_RETURN(const FileImage* const image, images->Of(file));
      RELAYOUT_ASSIGN_OR_RETURN(file.path, writer->Create(file.rank, *image));
      total += file.plan->payload_bytes;
      file_of_rank_[file.rank] = &file;
    }
    images.reset();
    if (request_.progress != nullptr) request_.progress->total_bytes = total;
    ReplicaChooser chooser;
    RELAYOUT_ASSIGN_OR_RETURN(
        const ExecutionStats stats,
        Execute(fs_, std::ssize(contents_.values),
                [&](int64_t i) { return MakeJob(static_cast<size_t>(i), chooser); },
                {.thread_count = thread_count_,
                 .cut = ChooseWorkCut(total, request_.memory_bytes, thread_count_),
                 .progress = request_.progress}));
    // Each target element was written exactly once, or we do not publish.
    RELAYOUT_CHECK(stats.written_bytes == total);
    report_.read_bytes = stats.read_bytes;
    report_.written_bytes = stats.written_bytes;
    RELAYOUT_ASSIGN_OR_RETURN(report_.file_of_rank, writer->Publish(thread_count_));
    return OkStatus();
  }

  Result<TransferJob> MakeJob(size_t i, ReplicaChooser& chooser) const {
    RELAYOUT_ASSIGN_OR_RETURN(Transfer transfer, Plan(i, chooser));
    const std::string_view name = contents_.values[i].name;
    return TransferJob{.name = std::string(name),
                       .transfer = std::move(transfer),
                       .source =
                           [this, name](int64_t rank) {
                             return ShardLocation{
                                 .path = source_->catalog.FileOf(rank)->path,
                                 .extents = source_->catalog.Find(rank, name)->extents};
                           },
                       .target =
                           [this, i](int64_t rank) {
                             const TargetFile& file = *file_of_rank_.at(rank);
                             return ShardLocation{.path = file.path, .extents = file.ExtentsOf(i)};
                           }};
  }

  void FillReport() {
    report_.source_rank_count = source_->strategy.rank_count();
    report_.target_rank_count = target_->rank_count();
    report_.source_ranks_read.assign(ranks_read_.begin(), ranks_read_.end());
    report_.value_count = std::ssize(contents_.values);
    for (const RankFile& file : source_->catalog.files()) {
      report_.source_bytes += file.info.size_bytes;
    }
    for (const TargetFile& file : files_) report_.target_bytes += file.plan->size_bytes;
    report_.notes.insert(report_.notes.end(), contents_.notes.begin(), contents_.notes.end());
  }

  FileSystem& fs_;
  const TransformRequest& request_;
  const int thread_count_;
  FileFormat format_ = FileFormat::kMindSporeCheckpoint;
  std::optional<CheckpointSet> source_;
  std::optional<Strategy> target_;
  std::vector<int64_t> target_ranks_;
  std::function<bool(int64_t)> is_wanted_;
  Contents contents_;
  std::optional<RankCover> cover_;
  std::vector<TargetFile> files_;
  std::map<int64_t, TargetFile*> file_of_rank_;
  std::set<int64_t> ranks_read_;
  TransformReport report_;
};

}  // namespace

Result<TransformReport> TransformCheckpoints(FileSystem& fs, const TransformRequest& request) {
  return Transformation(fs, request).Run();
}

}  // namespace relayout
