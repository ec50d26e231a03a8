// SPDX-License-Identifier: Apache-2.0
#include "relayout/checkpoint/writer.h"

#include <algorithm>
#include <set>
#include <utility>

#include "relayout/base/parallel.h"
#include "relayout/base/text.h"
#include "relayout/checkpoint/rank_files.h"
#include "relayout/format/checkpoint_file.h"
#include "relayout/format/mindspore/crc_trailer.h"

namespace relayout {
namespace {

constexpr char kStateFolder[] = ".relayout";
constexpr char kStagingPrefix[] = "staging-";

// A prefix becomes part of a file name and must stay inside its folder.
Status CheckPrefix(const std::string& prefix) {
  if (prefix.find('/') == std::string::npos && prefix.find("..") == std::string::npos &&
      prefix.find('\0') == std::string::npos) {
    return OkStatus();
  }
  return InvalidInput(
      Format("--prefix {}: a prefix begins file names and may not contain '/' or '..'",
             Printable(prefix)));
}

// Not every shared file system has locks. Without them the protocol holds for one process at a
// time.
Result<std::unique_ptr<FileLock>> LockIfPossible(FileSystem& fs, const std::string& path,
                                                 bool wait) {
  auto lock = fs.Lock(path, wait);
  if (!lock.ok() && lock.status().code() == StatusCode::kUnsupported) {
    return std::unique_ptr<FileLock>();
  }
  return lock;
}

}  // namespace

std::string CheckpointWriter::FinalPath(int64_t rank) const {
  if (!options_.single_file.empty()) return options_.single_file;
  return JoinPath(JoinPath(options_.directory, Format("rank_{}", rank)),
                  Format("{}{}{}", options_.prefix, rank, Extension(options_.format)));
}

std::string CheckpointWriter::RecordPath(int64_t rank) const {
  return JoinPath(state_dir_, Format("rank_{}", rank));
}

std::string CheckpointWriter::StateLockPath() const { return JoinPath(state_dir_, "lock"); }

Result<std::unique_ptr<CheckpointWriter>> CheckpointWriter::Begin(FileSystem& fs,
                                                                  CheckpointWriterOptions options,
                                                                  std::vector<int64_t> ranks,
                                                                  Generation generation) {
  RELAYOUT_RETURN_IF_ERROR(CheckPrefix(options.prefix));
  if (!options.single_file.empty()) {
    RELAYOUT_CHECK(ranks.size() == 1);
    options.directory = ParentPath(options.single_file);
  }
  std::sort(ranks.begin(), ranks.end());
  std::unique_ptr<CheckpointWriter> writer(
      new CheckpointWriter(fs, std::move(options), std::move(ranks), std::move(generation)));
  RELAYOUT_RETURN_IF_ERROR(writer->Prepare());
  return writer;
}

Status CheckpointWriter::Prepare() {
  RELAYOUT_RETURN_IF_ERROR(FindMissingDirectories());
  state_dir_ = JoinPath(options_.directory, kStateFolder);
  RELAYOUT_ASSIGN_OR_RETURN(const auto lock, LockState());
  RELAYOUT_RETURN_IF_ERROR(RemoveDeadStaging());
  RELAYOUT_RETURN_IF_ERROR(FilesToReplace().status());
  for (int64_t n = 0; staging_dir_.empty(); ++n) {
    const std::string candidate = JoinPath(state_dir_, Format("{}{}", kStagingPrefix, n));
    Status there = fs_.Stat(candidate).status();
    if (there.code() == StatusCode::kNotFound) {
      staging_dir_ = candidate;
    } else if (!there.ok()) {
      return there;
    }
  }
  RELAYOUT_RETURN_IF_ERROR(fs_.MakeDirectory(staging_dir_));
  RELAYOUT_ASSIGN_OR_RETURN(staging_lock_,
                            LockIfPossible(fs_, JoinPath(staging_dir_, "lock"), /*wait=*/false));
  return OkStatus();
}

Status CheckpointWriter::FindMissingDirectories() {
  for (std::string path = options_.directory;; path = ParentPath(path)) {
    Status there = fs_.Stat(path).status();
    if (there.ok()) return OkStatus();
    // What cannot be looked at may be there: its name would not be made durable.
    if (there.code() != StatusCode::kNotFound) return there;
    created_directories_.push_back(path);
    if (ParentPath(path) == path) return OkStatus();
  }
}

Result<std::unique_ptr<FileLock>> CheckpointWriter::LockState() {
  constexpr int kAttempts = 100;
  for (int attempt = 1;; ++attempt) {
    RELAYOUT_RETURN_IF_ERROR(MakeDirectories(fs_, state_dir_));
    auto lock = LockIfPossible(fs_, StateLockPath(), /*wait=*/true);
    // A sibling that ends removes an empty state folder, perhaps just now.
    const bool vanished = !lock.ok() && lock.status().code() == StatusCode::kNotFound;
    if (!vanished || attempt == kAttempts) return lock;
  }
}

Status CheckpointWriter::RemoveDeadStaging() {
  RELAYOUT_ASSIGN_OR_RETURN(const auto entries, fs_.List(state_dir_));
  for (const DirectoryEntry& entry : entries) {
    if (!entry.name.starts_with(kStagingPrefix)) continue;
    const std::string folder = JoinPath(state_dir_, entry.name);
    const auto lock = fs_.Lock(JoinPath(folder, "lock"), /*wait=*/false);
    // Held by a live process, or locks do not exist here: not ours to judge.
    if (lock.ok()) RELAYOUT_RETURN_IF_ERROR(RemoveTree(fs_, folder));
  }
  return OkStatus();
}

Result<std::vector<std::string>> CheckpointWriter::FilesToReplace() {
  if (options_.single_file.empty()) return FilesToReplaceInSet();
  if (!Exists(fs_, options_.single_file)) return std::vector<std::string>();
  if (!options_.overwrite) {
    return AlreadyExists(Format("{}: exists; use --overwrite to replace it", options_.single_file));
  }
  return std::vector<std::string>{options_.single_file};
}

// A record that cannot be read is an error and no stranger's: the file beside it would be replaced.
Result<bool> CheckpointWriter::IsSibling(int64_t rank) {
  const auto record = ReadWholeFile(fs_, RecordPath(rank), int64_t{16} << 20);
  if (record.status().code() == StatusCode::kNotFound) return false;
  if (!record.ok()) return record.status();
  const auto other = ParseGeneration(*record);
  return other.ok() && IsSameGeneration(*other, generation_);
}

Result<std::vector<std::string>> CheckpointWriter::FilesToReplaceInSet() {
  RELAYOUT_ASSIGN_OR_RETURN(const auto entries, fs_.List(options_.directory));
  std::vector<std::string> replaced;
  for (const DirectoryEntry& entry : entries) {
    const auto rank = RankOfFolder(entry.name);
    if (!rank || entry.kind != FileKind::kDirectory) continue;
    const std::string folder = JoinPath(options_.directory, entry.name);
    if (!options_.whole_set && !std::binary_search(ranks_.begin(), ranks_.end(), *rank)) {
      RELAYOUT_ASSIGN_OR_RETURN(const bool is_sibling, IsSibling(*rank));
      if (is_sibling) continue;
    }
    RELAYOUT_ASSIGN_OR_RETURN(const auto files, fs_.List(folder));
    for (const DirectoryEntry& file : files) {
      if (FormatOfName(file.name)) replaced.push_back(JoinPath(folder, file.name));
    }
  }
  if (!replaced.empty() && !options_.overwrite) {
    return AlreadyExists(
        Format("{}: holds checkpoints already ({}); use --overwrite to replace them all, or "
               "another folder",
               options_.directory, JoinLimited(replaced, 3)));
  }
  return replaced;
}

Result<std::string> CheckpointWriter::Create(int64_t rank, const FileImage& image) {
  RELAYOUT_CHECK(std::binary_search(ranks_.begin(), ranks_.end(), rank));
  StagedFile& file = staged_[rank];
  file.staged_path = JoinPath(staging_dir_, Format("rank_{}{}", rank, Extension(options_.format)));
  file.final_path = FinalPath(rank);
  file.size_bytes = image.size_bytes;
  const int64_t trailer = options_.crc_trailer ? kCrcTrailerBytes : 0;
  RELAYOUT_ASSIGN_OR_RETURN(const auto opened,
                            fs_.CreateForWrite(file.staged_path, image.size_bytes + trailer));
  for (const FileImage::Segment& header : image.headers) {
    RELAYOUT_RETURN_IF_ERROR(
        opened->WriteAt(header.offset_bytes, std::as_bytes(std::span(header.bytes))));
  }
  RELAYOUT_RETURN_IF_ERROR(opened->Close());
  return file.staged_path;
}

// Step 6 for one file.
Status CheckpointWriter::Finish(const StagedFile& file) {
  if (!options_.crc_trailer && !options_.sync) return OkStatus();
  RELAYOUT_ASSIGN_OR_RETURN(const auto opened, fs_.OpenForWrite(file.staged_path));
  if (options_.crc_trailer) {
    RELAYOUT_ASSIGN_OR_RETURN(const auto written, fs_.OpenForRead(file.staged_path));
    RELAYOUT_ASSIGN_OR_RETURN(const uint32_t crc, CrcOfFile(*written, file.size_bytes));
    const std::string trailer = SerializeCrcTrailer(crc);
    RELAYOUT_RETURN_IF_ERROR(opened->WriteAt(file.size_bytes, std::as_bytes(std::span(trailer))));
  }
  if (options_.sync) RELAYOUT_RETURN_IF_ERROR(opened->Sync());
  return opened->Close();
}

Result<std::map<int64_t, std::string>> CheckpointWriter::Publish(int thread_count) {
  std::vector<const StagedFile*> files;
  for (const auto& [rank, file] : staged_) files.push_back(&file);
  RELAYOUT_RETURN_IF_ERROR(ParallelFor(thread_count, std::ssize(files), [&](int64_t i) {
    return Finish(*files[static_cast<size_t>(i)]);
  }));
  RELAYOUT_RETURN_IF_ERROR(StageRecords());

  RELAYOUT_ASSIGN_OR_RETURN(const auto lock, LockState());
  RELAYOUT_ASSIGN_OR_RETURN(const auto replaced, FilesToReplace());
  Status status = MoveOldAway(replaced);
  if (status.ok()) status = MoveNewIn(replaced);
  if (!status.ok()) return Rollback(status);
  // From here on the set stands. What is left over goes with the staging folder, now or in the next
  // run.
  moves_.clear();
  staging_lock_.reset();
  static_cast<void>(RemoveTree(fs_, staging_dir_));
  staging_dir_.clear();
  std::map<int64_t, std::string> final_paths;
  for (const auto& [rank, file] : staged_) final_paths[rank] = file.final_path;
  return final_paths;
}

std::string CheckpointWriter::StagedRecordPath(int64_t rank) const {
  return JoinPath(staging_dir_, Format("record-{}", rank));
}

Status CheckpointWriter::StageRecords() {
  if (!options_.single_file.empty()) return OkStatus();
  for (const auto& [rank, file] : staged_) {
    const std::string name = JoinPath(Format("rank_{}", rank), BaseName(file.final_path));
    RELAYOUT_RETURN_IF_ERROR(WriteWholeFile(fs_, StagedRecordPath(rank),
                                            SerializeGeneration(generation_, name, file.size_bytes),
                                            options_.sync));
  }
  return OkStatus();
}

Status CheckpointWriter::Move(const std::string& from, const std::string& to) {
  RELAYOUT_RETURN_IF_ERROR(fs_.Rename(from, to));
  moves_.emplace_back(from, to);
  return OkStatus();
}

Status CheckpointWriter::SyncAll(const std::set<std::string>& folders) {
  if (!options_.sync) return OkStatus();
  for (const std::string& folder : folders) {
    RELAYOUT_RETURN_IF_ERROR(fs_.SyncDirectory(folder));
  }
  return OkStatus();
}

// Step 8. Records go before the files that they vouch for, and all of the old set is durably gone
// before any of the new one shows: a power cut may undo renames in some folders and not in others.
Status CheckpointWriter::MoveOldAway(const std::vector<std::string>& replaced) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto records, RecordsToReplace(replaced));
  for (const std::string& name : records) {
    RELAYOUT_RETURN_IF_ERROR(
        Move(JoinPath(state_dir_, name), JoinPath(staging_dir_, "replaced-record-" + name)));
  }
  if (!records.empty()) RELAYOUT_RETURN_IF_ERROR(SyncAll({state_dir_}));
  std::set<std::string> folders;
  for (size_t i = 0; i < replaced.size(); ++i) {
    RELAYOUT_RETURN_IF_ERROR(Move(replaced[i], JoinPath(staging_dir_, Format("replaced-{}", i))));
    folders.insert(ParentPath(replaced[i]));
  }
  return SyncAll(folders);
}

// Those of ranks that are written or replaced, or that have no folder any more; siblings keep
// theirs.
Result<std::vector<std::string>> CheckpointWriter::RecordsToReplace(
    const std::vector<std::string>& replaced) {
  std::vector<std::string> records;
  if (!options_.single_file.empty()) return records;
  std::set<std::string> folders;
  for (const std::string& path : replaced) folders.insert(BaseName(ParentPath(path)));
  RELAYOUT_ASSIGN_OR_RETURN(const auto entries, fs_.List(state_dir_));
  for (const DirectoryEntry& entry : entries) {
    const auto rank = RankOfFolder(entry.name);
    if (!rank) continue;
    if (folders.contains(entry.name) || staged_.contains(*rank) ||
        !Exists(fs_, JoinPath(options_.directory, entry.name))) {
      records.push_back(entry.name);
    }
  }
  return records;
}

// Steps 9 and 10.
Status CheckpointWriter::MoveNewIn(const std::vector<std::string>& replaced) {
  std::set<std::string> folders = {options_.directory};
  for (const std::string& created : created_directories_) folders.insert(ParentPath(created));
  for (const auto& [rank, file] : staged_) {
    const std::string folder = ParentPath(file.final_path);
    Status there = fs_.Stat(folder).status();
    if (there.code() == StatusCode::kNotFound) {
      RELAYOUT_RETURN_IF_ERROR(fs_.MakeDirectory(folder));
      created_folders_.push_back(folder);
    } else if (!there.ok()) {
      return there;
    }
    RELAYOUT_RETURN_IF_ERROR(Move(file.staged_path, file.final_path));
    folders.insert(folder);
  }
  // Folders of a larger set that was replaced; one with other files in it stays.
  for (const std::string& path : replaced) {
    if (path != options_.single_file) static_cast<void>(fs_.RemoveDirectory(ParentPath(path)));
  }
  RELAYOUT_RETURN_IF_ERROR(SyncAll(folders));
  if (!options_.single_file.empty()) return OkStatus();
  for (const auto& [rank, file] : staged_) {
    RELAYOUT_RETURN_IF_ERROR(Move(StagedRecordPath(rank), RecordPath(rank)));
  }
  return SyncAll({state_dir_});
}

// In reverse: new files back into the staging folder, old ones to their names. Returns `cause`,
// with what could not be undone.
Status CheckpointWriter::Rollback(const Status& cause) {
  std::set<std::string> folders;
  Status failure;
  for (auto move = moves_.rbegin(); move != moves_.rend(); ++move) {
    const std::string folder = ParentPath(move->first);
    if (!Exists(fs_, folder)) static_cast<void>(fs_.MakeDirectory(folder));
    const Status renamed = fs_.Rename(move->second, move->first);
    if (failure.ok()) failure = renamed;
    // Both sides, or the new set comes back with the next power cut.
    folders.insert(folder);
    folders.insert(ParentPath(move->second));
  }
  moves_.clear();
  for (const std::string& folder : created_folders_) {
    if (fs_.RemoveDirectory(folder).ok()) folders.erase(folder);
  }
  folders.erase(staging_dir_);
  folders.insert(options_.directory);
  for (const std::string& folder : folders) static_cast<void>(SyncAll({folder}));
  if (failure.ok()) return cause;
  // The old files are worth more than a clean folder.
  const std::string kept = std::exchange(staging_dir_, "");
  return {cause.code(), Format("{}; what was there before could not be put back ({}): it is in {}, "
                               "which the next run into this folder removes",
                               cause.message(), failure.message(), kept)};
}

CheckpointWriter::~CheckpointWriter() {
  if (state_dir_.empty()) return;
  // Under the lock: a staging folder whose own lock is free looks dead, and a sibling that removes
  // it would use its name again while we still remove what has that name.
  const auto lock = Exists(fs_, state_dir_) ? LockIfPossible(fs_, StateLockPath(), /*wait=*/true)
                                            : std::unique_ptr<FileLock>();
  staging_lock_.reset();
  if (!staging_dir_.empty()) static_cast<void>(RemoveTree(fs_, staging_dir_));
  if (lock.ok()) RemoveEmptyState();
}

// The state folder stays only with records in it or while a sibling works in it; directories that
// were made for us go when nothing came into them. Under the state lock.
void CheckpointWriter::RemoveEmptyState() {
  if (Exists(fs_, state_dir_)) {
    const auto entries = fs_.List(state_dir_);
    if (!entries.ok() || entries->size() > 1) return;
    static_cast<void>(fs_.RemoveFile(StateLockPath()));
    static_cast<void>(fs_.RemoveDirectory(state_dir_));
  }
  for (const std::string& created : created_directories_) {
    if (!fs_.RemoveDirectory(created).ok()) return;
  }
}

}  // namespace relayout
