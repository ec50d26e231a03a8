// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/conversion.h"

#include <algorithm>
#include <utility>

#include "relayout/base/byte_io.h"
#include "relayout/base/parallel.h"
#include "relayout/base/text.h"
#include "relayout/convert/load_strategy.h"
#include "relayout/convert/plausibility.h"
#include "relayout/convert/rank_list.h"
#include "relayout/convert/redundancy.h"
#include "relayout/convert/replica_check.h"
#include "relayout/format/checkpoint_file.h"

namespace relayout {
namespace {

// The placement among those of a form that has the rank, and its shard there; nothing when the
// rank stores no value of this form.
std::optional<std::pair<size_t, int64_t>> ShardAt(const std::vector<PlacedTensor>& targets,
                                                  int64_t rank) {
  for (size_t t = 0; t < targets.size(); ++t) {
    const Layout& layout = targets[t].partition.layout();
    const int64_t local = rank - targets[t].first_rank;
    if (local < 0 || local >= layout.device_count()) continue;
    return std::pair(t, layout.ShardIndexOf(layout.CellOf(local)));
  }
  return std::nullopt;
}

}  // namespace

Conversion::Conversion(FileSystem& fs, Comm& comm, const TransformRequest& request)
    : fs_(fs),
      comm_(comm),
      request_(request),
      thread_count_(request.thread_count > 0 ? request.thread_count : DefaultThreadCount()) {}

Result<std::unique_ptr<Conversion>> Conversion::Open(FileSystem& fs, Comm& comm,
                                                     const TransformRequest& request) {
  std::unique_ptr<Conversion> conversion(new Conversion(fs, comm, request));
  RELAYOUT_RETURN_IF_ERROR(conversion->Run());
  return conversion;
}

Status Conversion::Run() {
  RELAYOUT_RETURN_IF_ERROR(Agree(comm_, CheckRequest()));
  RELAYOUT_RETURN_IF_ERROR(Share());
  RELAYOUT_RETURN_IF_ERROR(Agree(comm_, Decide()));
  RELAYOUT_RETURN_IF_ERROR(Agree(comm_, CheckContents()));
  notes_.insert(notes_.end(), contents_.notes.begin(), contents_.notes.end());
  return OkStatus();
}

std::string Conversion::target_name() const {
  return request_.target_strategy_path.value_or("the whole target");
}

bool Conversion::IsWanted(int64_t rank) const {
  return !is_partial() || std::binary_search(target_ranks_.begin(), target_ranks_.end(), rank);
}

bool Conversion::IsWritten(int64_t rank) const {
  return IsWanted(rank) && !original_of_replica_.contains(rank);
}

Status Conversion::CheckRequest() const {
  if (request_.memory_bytes < kMinMemoryBytes) {
    return InvalidInput(Format("--memory {}: at least {} are needed",
                               HumanBytes(request_.memory_bytes), HumanBytes(kMinMemoryBytes)));
  }
  if (request_.unified) RELAYOUT_RETURN_IF_ERROR(CheckUnifiedRequest());
  if (request_.remove_redundancy && !has_target_strategy()) {
    return InvalidInput(
        "--remove-redundancy: without a target strategy there are no replicas to share values");
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

Status Conversion::CheckUnifiedRequest() const {
  RELAYOUT_RETURN_IF_ERROR(CheckUnifiedOptions(*request_.unified));
  if (has_target_strategy()) {
    return InvalidInput(
        Format("--unified: holds every tensor whole, so {} has no use", target_name()));
  }
  if (!request_.ranks.empty() || !request_.target_file.empty()) {
    return InvalidInput("--unified: such a set has no ranks; --task I/N writes a part of it");
  }
  if (request_.format.value_or(FileFormat::kSafetensors) != FileFormat::kSafetensors) {
    return InvalidInput("--unified: such a set is of safetensors files");
  }
  if (!request_.file_name.empty()) {
    return InvalidInput("--unified: the files of such a set have names of their own");
  }
  return OkStatus();
}

Status Conversion::Share() {
  const auto read = [&]() -> Status {
    if (!is_root()) return OkStatus();
    RELAYOUT_RETURN_IF_ERROR(OpenInputs());
    RELAYOUT_RETURN_IF_ERROR(CheckRanks());
    return CheckTargetIsNotSource();
  };
  RELAYOUT_RETURN_IF_ERROR(Agree(comm_, read()));
  if (comm_.size() == 1) return OkStatus();
  std::string message;
  if (is_root()) {
    ByteWriter writer;
    writer.Text(SerializeCheckpointSet(*source_));
    writer.Text(target_->Serialize());
    writer.Int(static_cast<int64_t>(format_));
    for (const int64_t rank : target_ranks_) writer.Int(rank);
    message = writer.Take();
  }
  RELAYOUT_RETURN_IF_ERROR(comm_.Broadcast(message, 0));
  const auto receive = [&]() -> Status {
    if (is_root()) return OkStatus();
    ByteReader reader(message);
    RELAYOUT_ASSIGN_OR_RETURN(source_, DeserializeCheckpointSet(reader.Text(), request_.source));
    RELAYOUT_ASSIGN_OR_RETURN(target_, Strategy::Deserialize(reader.Text()));
    format_ = static_cast<FileFormat>(reader.IntIn(0, 1));
    while (reader.ok() && !reader.AtEnd()) target_ranks_.push_back(reader.Int());
    return reader.ok() ? OkStatus() : InvalidInput("process 0 sent something incomprehensible");
  };
  return Agree(comm_, receive());
}

Status Conversion::OpenInputs() {
  // Both strategies before the headers: reading one takes for a moment more memory than all that
  // stays of it and of the headers.
  const auto names = std::make_shared<NameTable>();
  target_ = Strategy::Empty(1);
  if (has_target_strategy()) {
    RELAYOUT_ASSIGN_OR_RETURN(target_, LoadStrategy(fs_, *request_.target_strategy_path, names));
  }
  RELAYOUT_ASSIGN_OR_RETURN(source_, OpenCheckpointSet(fs_, request_.source, thread_count_, names));
  format_ = request_.format.value_or(source_->format);
  if (request_.unified) format_ = FileFormat::kSafetensors;
  if (!request_.target_file.empty()) format_ = *FormatOfName(BaseName(request_.target_file));
  RELAYOUT_RETURN_IF_ERROR(CheckIsConversion());
  if (request_.crc_trailer && format_ != FileFormat::kMindSporeCheckpoint) {
    return InvalidInput("--crc: only .ckpt files have a CRC trailer");
  }
  for (std::string& note : source_->notes) {
    notes_.push_back({.kind = "choice", .message = std::move(note)});
  }
  return OkStatus();
}

// Without strategies nothing is cut anew; what is left to do is to write the whole model in another
// way.
Status Conversion::CheckIsConversion() const {
  const bool writes_it_otherwise =
      format_ != source_->format || source_->catalog.files().size() > 1 ||
      !request_.contents.renames.empty() || !request_.file_name.empty() || request_.unified;
  if (source_->has_strategy || has_target_strategy() || writes_it_otherwise) return OkStatus();
  return InvalidInput(
      Format("{}: there is nothing to convert; give a source strategy, a target strategy, or both "
             "(or another format or other names)",
             source_->spec.text()));
}

Status Conversion::CheckRanks() {
  const std::set<int64_t> asked(request_.ranks.begin(), request_.ranks.end());
  for (const int64_t rank : asked) {
    if (rank < 0 || rank >= target_->rank_count()) {
      return InvalidInput(
          Format("--rank {}: {} has ranks 0-{}", rank, target_name(), target_->rank_count() - 1));
    }
  }
  target_ranks_.assign(asked.begin(), asked.end());
  if (asked.empty()) {
    for (int64_t rank = 0; rank < target_->rank_count(); ++rank) target_ranks_.push_back(rank);
  }
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
  notes_.push_back(
      {.kind = "missing_rank",
       .message = Format("no folder of rank {}: read from replicas", RankRuns(missing))});
  return OkStatus();
}

// Writing among the files that are being read would destroy them.
Status Conversion::CheckTargetIsNotSource() {
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
      return InvalidInput(Format("{}: is a strategy of this conversion; write elsewhere", target));
    }
  }
  if (!source_->spec.path.empty() && is_same(source_->spec.path)) return refuse(source_->spec.path);
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

// The same on all processes: it depends on what process 0 read alone.
Status Conversion::Decide() {
  const auto is_wanted = [this](int64_t rank) { return IsWanted(rank); };
  RELAYOUT_ASSIGN_OR_RETURN(contents_, DecideContents(*source_, *target_, has_target_strategy(),
                                                      target_name(), is_wanted, request_.contents));
  if (request_.unified) DecideUnified();
  if (request_.remove_redundancy) DealToReplicas(*target_, contents_.values);
  RELAYOUT_RETURN_IF_ERROR(ChooseSourceRanks());
  std::vector<int64_t> ranks = target_ranks_;
  const bool has_map = unified_ && !ranks.empty() && ranks.back() == unified_->map_file();
  if (has_map) ranks.pop_back();
  RELAYOUT_ASSIGN_OR_RETURN(files_,
                            PlanTargetFiles(contents_, ranks, format_, Metadata(), thread_count_));
  if (has_map) files_.push_back(PlanTextFile(unified_->map_file(), unified_->name_map));
  NoteEmptyFiles();
  FindReplicas();
  return CheckPlans();
}

// Such a rank may be one of a stage without parameters, or one too many for those that replicas
// share out.
void Conversion::NoteEmptyFiles() {
  if (format_ != FileFormat::kMindSporeCheckpoint) return;
  std::vector<int64_t> ranks;
  for (const TargetFile& file : files_) {
    if (file.plan->values.empty()) ranks.push_back(file.rank);
  }
  if (ranks.empty()) return;
  notes_.push_back({.kind = "empty",
                    .message = Format("there is no value for rank {}: a .ckpt file without values "
                                      "is empty, and readers refuse it, relayout's too; --format "
                                      "safetensors writes files that can be read",
                                      RankRuns(ranks))});
}

// The files of the set are the target's ranks.
void Conversion::DecideUnified() {
  unified_ = DealToFiles(contents_.values, *request_.unified);
  target_ = Strategy::Empty(unified_->file_count);
  target_ranks_ = unified_->my_files;
}

// MindSpore's loaders ask the file.
FileMetadata Conversion::Metadata() const {
  if (!request_.remove_redundancy) return {};
  return {{"remove_redundancy", "True"}};
}

TargetNames Conversion::names() const {
  TargetNames names{.prefix = request_.prefix, .file_name = request_.file_name};
  if (unified_) {
    names.unified_file_count = unified_->file_count;
    names.part_count = unified_->part_count;
  }
  return names;
}

// What is read of all files is shared out; the rest is small.
Status Conversion::CheckContents() {
  if (request_.check_crc) {
    RELAYOUT_RETURN_IF_ERROR(CheckTrailers(fs_, source_->catalog, thread_count_,
                                           {.index = comm_.rank(), .count = comm_.size()}));
  }
  if (is_root() && !request_.trust_strategy) {
    RELAYOUT_RETURN_IF_ERROR(CheckStrategyIsPlausible(fs_, *source_, contents_));
  }
  return CheckReplicas();
}

Status Conversion::CheckReplicas() {
  if (is_root()) {
    RELAYOUT_ASSIGN_OR_RETURN(const auto disagreements,
                              FindCarriedDisagreements(fs_, *source_, contents_, thread_count_));
    for (const std::string& line : disagreements) {
      notes_.push_back({.kind = "disagreement", .message = line});
    }
  }
  if (!request_.check_replicas) return OkStatus();
  const auto* cancel = request_.progress ? &request_.progress->cancel_requested : nullptr;
  RELAYOUT_ASSIGN_OR_RETURN(const auto lines,
                            FindDivergingReplicas(fs_, *source_, contents_, thread_count_, cancel,
                                                  {.index = comm_.rank(), .count = comm_.size()}));
  if (lines.empty()) return OkStatus();
  std::string message = Format("{}: replicas differ (--check-replicas):", source_->spec.text());
  for (const std::string& line : lines) message += "\n  " + line;
  return InvalidInput(std::move(message));
}

// Does the file of a source rank hold a value, cut as the strategy says?
bool Conversion::IsHeld(size_t value, int64_t rank) const {
  const TargetValue& target_value = contents_.values[value];
  if (!target_value.carried)
    return source_->catalog.Find(rank, target_value.source_name).has_value();
  // Ranks may disagree about these: the lowest one counts.
  return source_->catalog.FirstHolder(target_value.source_name)->rank() == rank;
}

// For some ranks only: as few source files as possible.
Status Conversion::ChooseSourceRanks() {
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
      needed, [&](size_t i, int64_t rank) { return IsHeld(position[i], rank); },
      [this](int64_t rank) { return IsWanted(rank); });
  return OkStatus();
}

bool Conversion::IsAvailable(size_t value, int64_t rank) const {
  if (!IsHeld(value, rank)) return false;
  return !cover_ || contents_.values[value].carried ||
         std::binary_search(cover_->ranks.begin(), cover_->ranks.end(), rank);
}

// Files are equal when they are laid out alike and hold the same shards.
void Conversion::FindReplicas() {
  if (request_.replica_mode == ReplicaMode::kCopy) return;
  std::map<std::string, int64_t> original_of_key;
  std::vector<TargetFile> originals;
  for (TargetFile& file : files_) {
    std::string key = Format("{}", static_cast<const void*>(file.plan.get()));
    for (const ValueForm& form : contents_.values.forms()) {
      const auto shard = ShardAt(form.targets, file.rank);
      key += shard ? Format(" {}.{}", shard->first, shard->second) : " -";
    }
    const auto [entry, is_new] = original_of_key.emplace(std::move(key), file.rank);
    if (is_new) {
      originals.push_back(std::move(file));
    } else {
      original_of_replica_[file.rank] = entry->second;
    }
  }
  files_ = std::move(originals);
}

// Everything is planned once before any file is made, so that a shard that no file holds is found
// now, not after hours of copying.
Status Conversion::CheckPlans() {
  ReplicaChooser chooser;
  for (size_t i = 0; i < contents_.values.size(); ++i) {
    RELAYOUT_ASSIGN_OR_RETURN(const Transfer transfer, Plan(i, chooser));
    for (const int64_t rank : transfer.source_ranks) {
      if (rank != Transfer::kNoRank) source_ranks_read_.insert(rank);
    }
  }
  return OkStatus();
}

Result<Transfer> Conversion::Plan(size_t i, ReplicaChooser& chooser) const {
  const ValueForm& form = contents_.values.form(i);
  const TargetValue& value = contents_.values[i];
  auto transfer = PlanTransfer(
      {.element_size_bytes = ElementSize(value.dtype),
       .sources = value.sources,
       .targets = value.targets,
       .is_available = [&](int64_t rank) { return IsAvailable(i, rank); },
       .is_wanted = [this,
                     &form](int64_t rank) { return IsWritten(rank) && form.IsStoredBy(rank); }},
      chooser);
  if (!transfer.ok()) {
    return transfer.status().WithContext(
        Format("{}: {}", source_->spec.text(), Printable(value.source_name)));
  }
  return transfer;
}

Result<TransferJob> Conversion::MakeJob(size_t i, ReplicaChooser& chooser) const {
  RELAYOUT_ASSIGN_OR_RETURN(Transfer transfer, Plan(i, chooser));
  const std::string_view name = contents_.values[i].name;
  const auto places = source_->catalog.PlacesOf(contents_.values[i].source_name);
  return TransferJob{.name = std::string(name),
                     .transfer = std::move(transfer),
                     .source =
                         [this, places](int64_t rank) {
                           return ShardLocation{
                               .path = source_->catalog.FileOf(rank)->path,
                               .extents = source_->catalog.FindAt(rank, places)->extents};
                         },
                     .target =
                         [this, i](int64_t rank) {
                           const TargetFile& file = FileOfRank(rank);
                           return ShardLocation{.path = file.path, .extents = file.ExtentsOf(i)};
                         }};
}

const TargetFile& Conversion::FileOfRank(int64_t rank) const {
  const auto file =
      std::lower_bound(files_.begin(), files_.end(), rank,
                       [](const TargetFile& f, int64_t wanted) { return f.rank < wanted; });
  RELAYOUT_CHECK(file != files_.end() && file->rank == rank);
  return *file;
}

int64_t Conversion::written_bytes() const {
  int64_t total = 0;
  for (const TargetFile& file : files_) total += file.plan->payload_bytes;
  return total;
}

}  // namespace relayout
