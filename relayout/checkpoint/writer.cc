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
  for (std::string path = options_.directory; !Exists(fs_, path); path = ParentPath(path)) {
    created_directories_.push_back(path);
    if (ParentPath(path) == path) break;
  }
  RELAYOUT_RETURN_IF_ERROR(MakeDirectories(fs_, options_.directory));
  state_dir_ = JoinPath(options_.directory, kStateFolder);
  RELAYOUT_RETURN_IF_ERROR(fs_.MakeDirectory(state_dir_));
  RELAYOUT_ASSIGN_OR_RETURN(const auto lock,
                            LockIfPossible(fs_, JoinPath(state_dir_, "lock"), /*wait=*/true));
  RELAYOUT_RETURN_IF_ERROR(RemoveDeadStaging());
  RELAYOUT_RETURN_IF_ERROR(FilesToReplace().status());
  for (int64_t n = 0; staging_dir_.empty(); ++n) {
    const std::string candidate = JoinPath(state_dir_, Format("{}{}", kStagingPrefix, n));
    const Status there = fs_.Stat(candidate).status();
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

Result<std::vector<std::string>> CheckpointWriter::FilesToReplaceInSet() {
  RELAYOUT_ASSIGN_OR_RETURN(const auto entries, fs_.List(options_.directory));
  std::vector<std::string> replaced;
  for (const DirectoryEntry& entry : entries) {
    const auto rank = RankOfFolder(entry.name);
    if (!rank || entry.kind != FileKind::kDirectory) continue;
    const std::string folder = JoinPath(options_.directory, entry.name);
    bool is_sibling = false;
    if (!options_.whole_set && !std::binary_search(ranks_.begin(), ranks_.end(), *rank)) {
      const auto record = ReadWholeFile(fs_, RecordPath(*rank), int64_t{16} << 20);
      const auto other = record.ok() ? ParseGeneration(*record) : record.status();
      is_sibling = other.ok() && IsSameGeneration(*other, generation_);
    }
    if (is_sibling) continue;
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

  {
    RELAYOUT_ASSIGN_OR_RETURN(const auto lock,
                              LockIfPossible(fs_, JoinPath(state_dir_, "lock"), /*wait=*/true));
    RELAYOUT_ASSIGN_OR_RETURN(const auto replaced, FilesToReplace());
    Status status = MoveAll(replaced);
    if (status.ok()) status = SyncFolders();
    if (!status.ok()) {
      Rollback();
      return status;
    }
    RELAYOUT_RETURN_IF_ERROR(PublishRecords());
    // From here on the set stands; what is left over goes with the staging folder.
    staging_lock_.reset();
    const Status removed = RemoveTree(fs_, staging_dir_);
    staging_dir_.clear();
    moves_.clear();
    RELAYOUT_RETURN_IF_ERROR(removed);
  }
  std::map<int64_t, std::string> final_paths;
  for (const auto& [rank, file] : staged_) final_paths[rank] = file.final_path;
  return final_paths;
}

Status CheckpointWriter::Move(const std::string& from, const std::string& to) {
  RELAYOUT_RETURN_IF_ERROR(fs_.Rename(from, to));
  moves_.emplace_back(from, to);
  return OkStatus();
}

// Steps 8 and 9.
Status CheckpointWriter::MoveAll(const std::vector<std::string>& replaced) {
  for (size_t i = 0; i < replaced.size(); ++i) {
    RELAYOUT_RETURN_IF_ERROR(Move(replaced[i], JoinPath(staging_dir_, Format("replaced-{}", i))));
  }
  for (const auto& [rank, file] : staged_) {
    const std::string folder = ParentPath(file.final_path);
    if (!Exists(fs_, folder)) {
      RELAYOUT_RETURN_IF_ERROR(fs_.MakeDirectory(folder));
      created_folders_.push_back(folder);
    }
    RELAYOUT_RETURN_IF_ERROR(Move(file.staged_path, file.final_path));
  }
  // Folders of a larger set that was replaced; one with other files in it stays.
  for (const std::string& path : replaced) {
    if (path != options_.single_file) static_cast<void>(fs_.RemoveDirectory(ParentPath(path)));
  }
  return OkStatus();
}

void CheckpointWriter::Rollback() {
  // Best effort, in reverse: new files back into the staging folder, old ones to their names.
  for (auto move = moves_.rbegin(); move != moves_.rend(); ++move) {
    if (!Exists(fs_, ParentPath(move->first))) {
      static_cast<void>(fs_.MakeDirectory(ParentPath(move->first)));
    }
    static_cast<void>(fs_.Rename(move->second, move->first));
  }
  moves_.clear();
  for (const std::string& folder : created_folders_) {
    static_cast<void>(fs_.RemoveDirectory(folder));
  }
}

Status CheckpointWriter::SyncFolders() {
  if (!options_.sync) return OkStatus();
  std::set<std::string> folders = {options_.directory};
  for (const std::string& created : created_directories_) folders.insert(ParentPath(created));
  for (const auto& [rank, file] : staged_) folders.insert(ParentPath(file.final_path));
  for (const std::string& folder : folders) {
    RELAYOUT_RETURN_IF_ERROR(fs_.SyncDirectory(folder));
  }
  return OkStatus();
}

// Step 10. Records of ranks that are gone go too.
Status CheckpointWriter::PublishRecords() {
  if (!options_.single_file.empty()) return OkStatus();
  RELAYOUT_ASSIGN_OR_RETURN(const auto entries, fs_.List(state_dir_));
  for (const DirectoryEntry& entry : entries) {
    const auto rank = RankOfFolder(entry.name);
    if (rank && !Exists(fs_, JoinPath(options_.directory, entry.name))) {
      RELAYOUT_RETURN_IF_ERROR(fs_.RemoveFile(JoinPath(state_dir_, entry.name)));
    }
  }
  for (const auto& [rank, file] : staged_) {
    const std::string name = Format("rank_{}", rank);
    const std::string record = JoinPath(staging_dir_, "record-" + name);
    RELAYOUT_RETURN_IF_ERROR(
        WriteWholeFile(fs_, record,
                       SerializeGeneration(generation_, JoinPath(name, BaseName(file.final_path)),
                                           file.size_bytes),
                       options_.sync));
    RELAYOUT_RETURN_IF_ERROR(fs_.Rename(record, RecordPath(rank)));
  }
  return options_.sync ? fs_.SyncDirectory(state_dir_) : OkStatus();
}

CheckpointWriter::~CheckpointWriter() {
  if (!moves_.empty()) Rollback();
  staging_lock_.reset();
  if (!staging_dir_.empty()) static_cast<void>(RemoveTree(fs_, staging_dir_));
  if (!state_dir_.empty()) RemoveEmptyState();
}

// The state folder stays only with records in it or while a sibling works in it; directories that
// were made for us go when nothing came into them.
void CheckpointWriter::RemoveEmptyState() {
  const std::string lock_path = JoinPath(state_dir_, "lock");
  const auto lock = LockIfPossible(fs_, lock_path, /*wait=*/false);
  const auto entries = fs_.List(state_dir_);
  if (!lock.ok() || !entries.ok() || entries->size() != 1) return;
  static_cast<void>(fs_.RemoveFile(lock_path));
  static_cast<void>(fs_.RemoveDirectory(state_dir_));
  for (const std::string& created : created_directories_) {
    if (!fs_.RemoveDirectory(created).ok()) return;
  }
}

}  // namespace relayout
