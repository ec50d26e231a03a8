// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/model_checkpoint.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "relayout/base/byte_io.h"
#include "relayout/base/text.h"
#include "relayout/train/whole_state.h"

namespace relayout {
namespace {

// What MindSpore's callback writes into safetensors.
const char* const kRedundancyKey = "remove_redundancy";

Result<std::vector<std::string>> FileNames(FileSystem& fs, const std::string& directory) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto entries, fs.List(directory));
  std::vector<std::string> names;
  names.reserve(entries.size());
  for (const DirectoryEntry& entry : entries) names.push_back(entry.name);
  return names;
}

// A text that is equal for two ranks if they see one directory of one machine; empty if unknown.
Result<std::string> IdentityOf(FileSystem& fs, const std::string& directory) {
  RELAYOUT_ASSIGN_OR_RETURN(const FileInfo info, fs.Stat(directory));
  const std::string machine = fs.Incarnation();
  if (machine.empty()) return machine;
  return Format("{} {} {}", machine, info.device, info.inode);
}

// What the ranks tell each other when training begins.
struct Directory {
  int64_t suffix = 0;
  std::string path;
  std::string identity;
};

std::string Encode(const Directory& directory) {
  ByteWriter writer;
  writer.Int(directory.suffix);
  writer.Text(directory.path);
  writer.Text(directory.identity);
  return writer.Take();
}

Directory Decode(std::string_view bytes) {
  ByteReader reader(bytes);
  Directory directory;
  directory.suffix = reader.Int();
  directory.path = reader.Text();
  directory.identity = reader.Text();
  return directory;
}

// Fails where two ranks share a directory: each file would replace another rank's.
Status CheckDistinct(const std::vector<Directory>& by_rank) {
  std::map<std::string, size_t> rank_of;
  for (size_t rank = 0; rank < by_rank.size(); ++rank) {
    if (by_rank[rank].identity.empty()) continue;
    const auto [first, is_new] = rank_of.emplace(by_rank[rank].identity, rank);
    if (is_new) continue;
    return InvalidInput(
        Format("{}: ranks {} and {} would both save here, one over the other; give each rank a "
               "directory of its own, e.g. {}",
               by_rank[rank].path, first->second, rank,
               JoinPath(by_rank[rank].path, Format("rank_{}", rank))));
  }
  return OkStatus();
}

// Collective: the same suffix on all ranks.
Result<int64_t> SettleSuffix(const TrainingView& view, const Directory& mine) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto all, view.comm.AllGather(Encode(mine)));
  std::vector<Directory> by_rank;
  by_rank.reserve(all.size());
  for (const std::string& bytes : all) by_rank.push_back(Decode(bytes));
  RELAYOUT_RETURN_IF_ERROR(CheckDistinct(by_rank));
  int64_t suffix = 0;
  for (const Directory& directory : by_rank) suffix = std::max(suffix, directory.suffix);
  return suffix;
}

std::vector<CheckpointValue> AppendedValues(const AppendInfo& info,
                                            const TrainingProgress& progress) {
  std::vector<CheckpointValue> values;
  if (info.epoch_num) values.push_back(IntegerValue("epoch_num", *info.epoch_num + progress.epoch));
  if (info.step_num) values.push_back(IntegerValue("step_num", *info.step_num + progress.step));
  values.insert(values.end(), info.values.begin(), info.values.end());
  return values;
}

std::vector<SavedValue> ValuesToSave(const std::vector<StateTensor>& state,
                                     const std::vector<CheckpointValue>& appended, bool whole) {
  std::vector<SavedValue> values;
  for (const StateTensor& tensor : state) {
    values.push_back(ViewOf(tensor));
    if (whole) values.back().shape = tensor.shape;
  }
  for (const CheckpointValue& value : appended) values.push_back(ViewOf(value));
  return values;
}

FileMetadata MetadataOf(FileFormat format) {
  FileMetadata metadata;
  if (format == FileFormat::kSafetensors) metadata.emplace(kRedundancyKey, "False");
  return metadata;
}

}  // namespace

NanosecondClock SteadyClock() {
  return [] {
    const auto since = std::chrono::steady_clock::now().time_since_epoch();
    return int64_t{std::chrono::duration_cast<std::chrono::nanoseconds>(since).count()};
  };
}

ModelCheckpoint::ModelCheckpoint(FileSystem& fs, std::string prefix, std::string directory,
                                 CheckpointConfig config, NanosecondClock clock)
    : fs_(fs),
      prefix_(std::move(prefix)),
      directory_(std::move(directory)),
      given_config_(std::move(config)),
      clock_(std::move(clock)) {}

Status ModelCheckpoint::OnBegin(const TrainingView& view) {
  Directory mine;
  mine.path = directory_;
  RELAYOUT_RETURN_IF_ERROR(Agree(view.comm, PrepareDirectory(mine.suffix, mine.identity)));
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t suffix, SettleSuffix(view, mine));
  settled_prefix_ = WithSuffix(prefix_, suffix);
  last_saved_step_ = 0;
  begin_ns_ = clock_();
  last_save_ns_ = 0;
  saved_.clear();
  to_remove_.clear();
  return OkStatus();
}

Status ModelCheckpoint::PrepareDirectory(int64_t& suffix, std::string& identity) {
  RELAYOUT_ASSIGN_OR_RETURN(config_, Normalized(given_config_));
  RELAYOUT_RETURN_IF_ERROR(CheckPrefix(prefix_));
  RELAYOUT_RETURN_IF_ERROR(MakeDurableDirectories(fs_, directory_));
  RELAYOUT_ASSIGN_OR_RETURN(const auto names, FileNames(fs_, directory_));
  suffix = NextSuffix(names, prefix_);
  RELAYOUT_ASSIGN_OR_RETURN(identity, IdentityOf(fs_, directory_));
  return OkStatus();
}

Status ModelCheckpoint::OnStepEnd(const TrainingView& view, const TrainingProgress& progress) {
  return SaveIfDue(view, progress, /*is_end=*/false);
}

Status ModelCheckpoint::OnEnd(const TrainingView& view, const TrainingProgress& progress) {
  RELAYOUT_RETURN_IF_ERROR(SaveIfDue(view, progress, /*is_end=*/true));
  return Agree(view.comm, RemoveOld());
}

Status ModelCheckpoint::SaveIfDue(const TrainingView& view, const TrainingProgress& progress,
                                  bool is_end) {
  SaveClock clock{.last_save_ns = last_save_ns_};
  const bool is_timed =
      config_.save_checkpoint_seconds > 0 || config_.keep_checkpoint_per_n_minutes > 0;
  if (is_timed) {
    RELAYOUT_ASSIGN_OR_RETURN(clock.now_ns, SharedNow(view));
  }
  if (!SaveIsDue(config_, progress.step, last_saved_step_, clock, is_end)) return OkStatus();
  return Save(view, progress, clock.now_ns);
}

// Collective: since training began, by the clock of rank 0.
Result<int64_t> ModelCheckpoint::SharedNow(const TrainingView& view) {
  ByteWriter writer;
  writer.Int(clock_() - begin_ns_);
  std::string bytes = writer.Take();
  RELAYOUT_RETURN_IF_ERROR(view.comm.Broadcast(bytes, /*root=*/0));
  return ByteReader(bytes).Int();
}

Status ModelCheckpoint::Save(const TrainingView& view, const TrainingProgress& progress,
                             int64_t now_ns) {
  const std::string path =
      JoinPath(directory_, CheckpointFileName(settled_prefix_, progress, config_.format));
  const auto appended = AppendedValues(config_.append_info, progress);
  const auto values = ValuesToSave(view.state, appended, config_.integrated_save);
  auto file = NewCheckpoint::Create(fs_, path, values, MetadataOf(config_.format));
  Status mine = file.status();
  RELAYOUT_RETURN_IF_ERROR(WriteState(view, file.ok() ? file->get() : nullptr, mine));
  for (size_t i = view.state.size(); i < values.size() && mine.ok(); ++i) {
    mine = (*file)->Write(i, values[i].bytes);
  }
  if (mine.ok()) mine = (*file)->Finish();
  RELAYOUT_RETURN_IF_ERROR(Agree(view.comm, mine));
  RELAYOUT_RETURN_IF_ERROR(Agree(view.comm, (*file)->Publish()));
  ScheduleRemovals(now_ns);
  saved_.push_back({path, now_ns});
  latest_file_ = path;
  last_saved_step_ = progress.step;
  last_save_ns_ = now_ns;
  static_cast<void>(RemoveOld());
  return OkStatus();
}

// A rank that failed (`mine`, then without a file perhaps) goes on gathering for the others. Fails
// only where nobody goes on.
Status ModelCheckpoint::WriteState(const TrainingView& view, NewCheckpoint* file, Status& mine) {
  for (size_t i = 0; i < view.state.size(); ++i) {
    const StateTensor& tensor = view.state[i];
    if (!config_.integrated_save || IsWhole(tensor)) {
      if (mine.ok()) mine = file->Write(i, std::as_const(*tensor.value).bytes());
      continue;
    }
    RELAYOUT_ASSIGN_OR_RETURN(const Tensor whole, GatherWhole(view, tensor));
    if (mine.ok()) mine = file->Write(i, whole.bytes());
  }
  return OkStatus();
}

void ModelCheckpoint::ScheduleRemovals(int64_t now_ns) {
  std::vector<int64_t> times;
  for (const SavedFile& file : saved_) times.push_back(file.saved_ns);
  const auto removed =
      FilesToRemove(config_, times, {.now_ns = now_ns, .last_save_ns = last_save_ns_});
  for (const size_t i : removed) to_remove_.push_back(saved_[i].path);
  // From the back, so that positions stay right.
  for (auto i = removed.rbegin(); i != removed.rend(); ++i) {
    saved_.erase(saved_.begin() + static_cast<std::ptrdiff_t>(*i));
  }
}

Status ModelCheckpoint::RemoveOld() {
  Status first;
  std::vector<std::string> left;
  for (const std::string& path : to_remove_) {
    const Status status = fs_.RemoveFile(path);
    if (status.ok() || status.code() == StatusCode::kNotFound) continue;
    left.push_back(path);
    if (first.ok()) first = status;
  }
  to_remove_ = std::move(left);
  return first;
}

}  // namespace relayout
