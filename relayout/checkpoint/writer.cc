// SPDX-License-Identifier: Apache-2.0
#include "relayout/checkpoint/writer.h"

#include <algorithm>
#include <array>
#include <set>
#include <span>
#include <string_view>
#include <utility>

#include "relayout/base/check.h"
#include "relayout/base/content_hash.h"
#include "relayout/base/parallel.h"
#include "relayout/base/text.h"
#include "relayout/checkpoint/file_hash.h"
#include "relayout/checkpoint/rank_files.h"
#include "relayout/format/checkpoint_file.h"
#include "relayout/format/mindspore/crc_trailer.h"

namespace relayout {
namespace {

constexpr char kStagingPrefix[] = "staging-";
constexpr char kReplacedPrefix[] = "replaced-";
constexpr char kPlanFile[] = "plan";
constexpr int64_t kMaxPlanBytes = int64_t{64} << 20;

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

int64_t LastChangeOfSource(const StagedPlan& plan) {
  int64_t last_ns = 0;
  for (const auto& [rank, change] : plan.change_of_source) {
    const std::vector<std::string_view> words = SplitWords(change);
    if (!words.empty()) last_ns = std::max(last_ns, ParseDecimal(words.back()).value_or(0));
  }
  return last_ns;
}

// The first n from `n` on for which there is no STEM<n>. What cannot be looked at is a failure:
// the next one cannot either.
Result<int64_t> FirstFree(FileSystem& fs, const std::string& stem, int64_t n = 0) {
  while (true) {
    Status there = fs.Stat(Format("{}{}", stem, n)).status();
    if (there.code() == StatusCode::kNotFound) return n;
    if (!there.ok()) return there;
    ++n;
  }
}

bool IsSameFile(FileSystem& fs, const std::string& a, const std::string& b) {
  const auto first = fs.Stat(a);
  const auto second = fs.Stat(b);
  return first.ok() && second.ok() && first->device == second->device &&
         first->inode == second->inode;
}

// Hashes headers and writes them.
class HeaderSink final : public LayoutSink {
 public:
  HeaderSink(int64_t header_bytes, WritableFile* file)
      : header_bytes_(header_bytes), hasher_(NewHeaderHasher(header_bytes)), file_(file) {}

  Status AddHeader(int64_t offset_bytes, std::string_view bytes) override {
    hasher_.Add(done_bytes_, std::as_bytes(std::span(bytes)));
    done_bytes_ += std::ssize(bytes);
    if (file_ == nullptr) return OkStatus();
    return file_->WriteAt(offset_bytes, std::as_bytes(std::span(bytes)));
  }
  void AddExtents(std::span<const Extent> /*extents*/) override {}

  Hash128 Finish() const {
    RELAYOUT_CHECK(done_bytes_ == header_bytes_);
    return hasher_.sum();
  }

 private:
  const int64_t header_bytes_;
  BlockHasher hasher_;
  WritableFile* const file_;
  int64_t done_bytes_ = 0;
};

// Also writes them unless `file` is null.
Result<Hash128> HashHeaders(const FileFrame& frame, WritableFile* file) {
  HeaderSink sink(frame.size_bytes - frame.payload_bytes, file);
  RELAYOUT_RETURN_IF_ERROR(frame.lay_out(sink));
  return sink.Finish();
}

}  // namespace

std::string FinalPath(const CheckpointWriterOptions& options, int64_t rank) {
  if (!options.single_file.empty()) return options.single_file;
  return JoinPath(options.directory, RelativePath(options.names, options.format, rank));
}

bool CheckpointWriter::IsMine(int64_t rank) const {
  return std::binary_search(plan_.ranks.begin(), plan_.ranks.end(), rank);
}

std::string CheckpointWriter::StateLockPath() const { return JoinPath(state_dir_, "lock"); }

Result<std::unique_ptr<CheckpointWriter>> CheckpointWriter::Make(FileSystem& fs,
                                                                 CheckpointWriterOptions options,
                                                                 StagedPlan plan) {
  RELAYOUT_RETURN_IF_ERROR(CheckTargetNames(options.names));
  if (!options.single_file.empty()) {
    RELAYOUT_CHECK(plan.ranks.size() == 1);
    options.directory = ParentPath(options.single_file);
  }
  std::sort(plan.ranks.begin(), plan.ranks.end());
  return std::unique_ptr<CheckpointWriter>(
      new CheckpointWriter(fs, std::move(options), std::move(plan)));
}

Result<std::unique_ptr<CheckpointWriter>> CheckpointWriter::Begin(FileSystem& fs,
                                                                  CheckpointWriterOptions options,
                                                                  StagedPlan plan) {
  RELAYOUT_ASSIGN_OR_RETURN(auto writer, Make(fs, std::move(options), std::move(plan)));
  RELAYOUT_RETURN_IF_ERROR(writer->Prepare());
  return writer;
}

Status CheckpointWriter::CheckTarget(FileSystem& fs, CheckpointWriterOptions options,
                                     StagedPlan plan) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto writer, Make(fs, std::move(options), std::move(plan)));
  const auto info = fs.Stat(writer->options_.directory);
  if (info.status().code() == StatusCode::kNotFound) return OkStatus();
  RELAYOUT_RETURN_IF_ERROR(info.status());
  return writer->FilesToReplace().status();
}

Status CheckpointWriter::Prepare() {
  RELAYOUT_RETURN_IF_ERROR(FindMissingDirectories());
  state_dir_ = StateDirectory(options_.directory);
  RELAYOUT_ASSIGN_OR_RETURN(const auto lock, LockState());
  RELAYOUT_RETURN_IF_ERROR(LookAtDeadStaging());
  if (adopted_plan_) return OkStatus();  // What it may replace is looked at again in step 7.
  if (options_.resume) {
    RELAYOUT_ASSIGN_OR_RETURN(is_complete_, IsSetComplete());
    if (is_complete_) return OkStatus();
  }
  RELAYOUT_RETURN_IF_ERROR(FilesToReplace().status());
  return MakeStagingDirectory();
}

Status CheckpointWriter::MakeStagingDirectory() {
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t n, FirstFree(fs_, JoinPath(state_dir_, kStagingPrefix)));
  staging_dir_ = JoinPath(state_dir_, Format("{}{}", kStagingPrefix, n));
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

Status CheckpointWriter::LookAtDeadStaging() {
  RELAYOUT_ASSIGN_OR_RETURN(const auto entries, fs_.List(state_dir_));
  for (const DirectoryEntry& entry : entries) {
    if (!entry.name.starts_with(kStagingPrefix)) continue;
    const std::string folder = JoinPath(state_dir_, entry.name);
    auto lock = fs_.Lock(JoinPath(folder, "lock"), /*wait=*/false);
    // Held by a live process, or locks do not exist here: not ours to judge.
    if (lock.ok()) RELAYOUT_RETURN_IF_ERROR(AdoptOrRemove(folder, *std::move(lock)));
  }
  return OkStatus();
}

Status CheckpointWriter::AdoptOrRemove(const std::string& folder, std::unique_ptr<FileLock> lock) {
  if (!options_.resume) {
    lock.reset();
    return RemoveTree(fs_, folder);
  }
  const auto text = ReadWholeFile(fs_, JoinPath(folder, kPlanFile), kMaxPlanBytes);
  if (text.status().code() == StatusCode::kNotFound) return RemoveTree(fs_, folder);
  if (!text.ok()) return text.status();
  auto plan = ParsePlan(*text);
  if (!plan.ok()) return RemoveTree(fs_, folder);
  const std::string difference = DescribeDifference(*plan, plan_);
  if (difference.empty()) {
    if (adopted_plan_) return OkStatus();  // A twin; the next run sees to it.
    adopted_plan_ = *std::move(plan);
    is_plan_saved_ = true;
    staging_dir_ = folder;
    staging_lock_ = std::move(lock);
    return OkStatus();
  }
  // A sibling that writes other ranks of the same set.
  if (plan->ranks != plan_.ranks && IsSameGeneration(plan->generation, plan_.generation)) {
    return OkStatus();
  }
  return InvalidInput(
      Format("{}: holds the unfinished work of another conversion, {} has changed since; convert "
             "without --resume to start anew",
             options_.directory, difference));
}

// Does every rank of the plan have its file, and does its record say that it is of this plan? A
// source that was changed after the record was written is another one: fingerprints miss most
// bytes.
Result<bool> CheckpointWriter::IsSetComplete() {
  if (!options_.single_file.empty()) return false;
  const int64_t source_change_ns = LastChangeOfSource(plan_);
  for (const int64_t rank : plan_.ranks) {
    const auto record_info = fs_.Stat(RecordPath(options_.directory, rank));
    if (record_info.ok() && record_info->modified_ns < source_change_ns) return false;
    const auto record = ReadRecord(fs_, options_.directory, rank);
    if (record.status().code() == StatusCode::kIoError) return record.status();
    if (!record.ok() || !IsSameGeneration(record->generation, plan_.generation)) return false;
    const auto info = fs_.Stat(FinalPath(rank));
    if (info.status().code() == StatusCode::kIoError) return info.status();
    if (!info.ok() || info->size_bytes != record->size_bytes) return false;
  }
  return true;
}

Result<std::vector<std::string>> CheckpointWriter::FilesToReplace() {
  if (options_.single_file.empty()) return FilesToReplaceInSet();
  if (!Exists(fs_, options_.single_file) || IsPublished(plan_.ranks[0], options_.single_file)) {
    return std::vector<std::string>();
  }
  if (!options_.overwrite) {
    return AlreadyExists(Format("{}: exists; use --overwrite to replace it", options_.single_file));
  }
  return std::vector<std::string>{options_.single_file};
}

// A record that cannot be read is an error and no stranger's: the file beside it would be replaced.
Result<bool> CheckpointWriter::IsSibling(int64_t rank) {
  const auto record = ReadRecord(fs_, options_.directory, rank);
  if (record.status().code() == StatusCode::kIoError) return record.status();
  return record.ok() && IsSameGeneration(record->generation, plan_.generation);
}

// A set of the other kind beside ours would be as confusing as an old one of the same kind.
Result<std::vector<std::string>> CheckpointWriter::FilesToReplaceInSet() {
  RELAYOUT_ASSIGN_OR_RETURN(const auto entries, fs_.List(options_.directory));
  std::vector<std::string> replaced;
  for (const DirectoryEntry& entry : entries) {
    const std::string path = JoinPath(options_.directory, entry.name);
    // Beside it nobody could tell which set is meant, and its files have names that we do not know.
    if (entry.kind == FileKind::kFile && entry.name.ends_with(kModelIndexEnding)) {
      return AlreadyExists(
          Format("{}: is the index of another model; write to another folder", path));
    }
    if (const auto rank = RankOfFolder(entry.name); rank && entry.kind == FileKind::kDirectory) {
      RELAYOUT_RETURN_IF_ERROR(FilesToReplaceOfRank(*rank, path, replaced));
    } else if (entry.kind == FileKind::kFile && IsUnifiedName(entry.name) &&
               !(options_.keep_others && !options_.names.unified_file_count)) {
      RELAYOUT_RETURN_IF_ERROR(FilesToReplaceOfUnified(path, replaced));
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

Status CheckpointWriter::FilesToReplaceOfRank(int64_t rank, const std::string& folder,
                                              std::vector<std::string>& replaced) {
  const bool may_be_sibling = !options_.whole_set && !options_.names.unified_file_count;
  if (may_be_sibling && !IsMine(rank)) {
    RELAYOUT_ASSIGN_OR_RETURN(const bool is_sibling, IsSibling(rank));
    if (is_sibling) return OkStatus();
  }
  RELAYOUT_ASSIGN_OR_RETURN(const auto files, fs_.List(folder));
  for (const DirectoryEntry& file : files) {
    const std::string path = JoinPath(folder, file.name);
    if (!FormatOfName(file.name) || IsPublished(rank, path) || IsOther(rank, path)) continue;
    replaced.push_back(path);
  }
  return OkStatus();
}

// A file of a rank's folder that is to stay beside this set.
bool CheckpointWriter::IsOther(int64_t rank, const std::string& path) const {
  return options_.keep_others && (options_.names.unified_file_count || FinalPath(rank) != path);
}

Status CheckpointWriter::FilesToReplaceOfUnified(const std::string& path,
                                                 std::vector<std::string>& replaced) {
  for (int64_t rank = 0; rank < options_.names.unified_file_count.value_or(0); ++rank) {
    if (FinalPath(rank) != path) continue;
    if (IsPublished(rank, path)) return OkStatus();
    if (options_.whole_set || IsMine(rank)) break;
    RELAYOUT_ASSIGN_OR_RETURN(const bool is_sibling, IsSibling(rank));
    if (is_sibling) return OkStatus();
  }
  replaced.push_back(path);
  return OkStatus();
}

// By the dead run that we go on with.
bool CheckpointWriter::IsPublished(int64_t rank, const std::string& path) const {
  const auto file = staged_.find(rank);
  return file != staged_.end() && file->second.is_published && file->second.final_path == path;
}

std::string CheckpointWriter::StagedPath(int64_t rank) const {
  return JoinPath(staging_dir_, Format("rank_{}{}", rank, Extension(options_.format)));
}

Result<std::string> CheckpointWriter::Create(int64_t rank, const FileFrame& frame) {
  RELAYOUT_CHECK(IsMine(rank) && !options_.original_of_replica.contains(rank));
  StagedFile& file = staged_[rank];
  file = {.staged_path = StagedPath(rank),
          .final_path = FinalPath(rank),
          .size_bytes = frame.size_bytes};
  if (adopted_plan_) return FindAdopted(file, frame);
  const int64_t trailer = options_.crc_trailer ? kCrcTrailerBytes : 0;
  RELAYOUT_ASSIGN_OR_RETURN(const auto opened,
                            fs_.CreateForWrite(file.staged_path, frame.size_bytes + trailer));
  RELAYOUT_ASSIGN_OR_RETURN(file.hash, HashHeaders(frame, opened.get()));
  RELAYOUT_RETURN_IF_ERROR(opened->Close());
  return file.staged_path;
}

// A power cut may undo the removal of the staged name and not the final one.
bool CheckpointWriter::IsStaged(const StagedFile& file) const {
  return Exists(fs_, file.staged_path) && !IsSameFile(fs_, file.staged_path, file.final_path);
}

// Where the dead run left the file: still staged, or published already. Headers are written again:
// nobody synced those of a staged file.
Result<std::string> CheckpointWriter::FindAdopted(StagedFile& file, const FileFrame& frame) {
  if (IsStaged(file)) {
    RELAYOUT_ASSIGN_OR_RETURN(const auto opened, fs_.OpenForWrite(file.staged_path));
    RELAYOUT_ASSIGN_OR_RETURN(file.hash, HashHeaders(frame, opened.get()));
    RELAYOUT_RETURN_IF_ERROR(opened->Close());
    return file.staged_path;
  }
  RELAYOUT_RETURN_IF_ERROR(
      fs_.Stat(file.final_path)
          .status()
          .WithContext(Format("{}: cannot be gone on with; convert without --resume to start anew",
                              staging_dir_)));
  RELAYOUT_ASSIGN_OR_RETURN(file.hash, HashHeaders(frame, nullptr));
  file.is_published = true;
  return file.final_path;
}

Status CheckpointWriter::SavePlan(const StagedPlan& plan) {
  if (adopted_plan_) return OkStatus();
  const std::string path = JoinPath(staging_dir_, kPlanFile);
  RELAYOUT_RETURN_IF_ERROR(WriteWholeFile(fs_, path + ".tmp", SerializePlan(plan), options_.sync));
  RELAYOUT_RETURN_IF_ERROR(fs_.Rename(path + ".tmp", path));
  std::set<std::string> folders = {staging_dir_, state_dir_, options_.directory};
  for (const std::string& created : created_directories_) folders.insert(ParentPath(created));
  RELAYOUT_RETURN_IF_ERROR(SyncAll(folders));
  is_plan_saved_ = true;
  return OkStatus();
}

// Step 6 for one file.
Status CheckpointWriter::Finish(StagedFile& file) {
  if (file.is_published || (!options_.crc_trailer && !options_.sync)) {
    return options_.crc_trailer ? AddTrailerHash(file, file.final_path) : OkStatus();
  }
  RELAYOUT_ASSIGN_OR_RETURN(const auto opened, fs_.OpenForWrite(file.staged_path));
  if (options_.crc_trailer) {
    RELAYOUT_ASSIGN_OR_RETURN(const auto written, fs_.OpenForRead(file.staged_path));
    RELAYOUT_ASSIGN_OR_RETURN(const uint32_t crc, CrcOfFile(*written, file.size_bytes));
    const std::string trailer = SerializeCrcTrailer(crc);
    RELAYOUT_RETURN_IF_ERROR(opened->WriteAt(file.size_bytes, std::as_bytes(std::span(trailer))));
    RELAYOUT_RETURN_IF_ERROR(AddTrailerHash(file, file.staged_path));
  }
  if (options_.sync) RELAYOUT_RETURN_IF_ERROR(opened->Sync());
  return opened->Close();
}

Status CheckpointWriter::AddTrailerHash(StagedFile& file, const std::string& path) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto written, fs_.OpenForRead(path));
  std::array<std::byte, kCrcTrailerBytes> trailer{};
  RELAYOUT_RETURN_IF_ERROR(written->ReadAt(file.size_bytes, trailer));
  file.hash += HashTrailer(trailer);
  return OkStatus();
}

Status CheckpointWriter::MakeReplicas() {
  for (const auto& [replica, original] : options_.original_of_replica) {
    RELAYOUT_RETURN_IF_ERROR(MakeReplica(replica, original));
  }
  return OkStatus();
}

Status CheckpointWriter::MakeReplica(int64_t replica, int64_t original) {
  const StagedFile& from = staged_.at(original);
  StagedFile file = from;
  file.staged_path = StagedPath(replica);
  file.final_path = FinalPath(replica);
  // Also before its original, whose new name a power cut may undo alone.
  file.is_published =
      IsSameFile(fs_, file.staged_path, file.final_path) ||
      (from.is_published && !Exists(fs_, file.staged_path) && Exists(fs_, file.final_path));
  if (!file.is_published) {
    const std::string& path = from.is_published ? from.final_path : from.staged_path;
    // What a dead run left half-made.
    if (Exists(fs_, file.staged_path)) RELAYOUT_RETURN_IF_ERROR(fs_.RemoveFile(file.staged_path));
    Status made = options_.replica_mode == ReplicaMode::kHardLink
                      ? fs_.HardLink(path, file.staged_path)
                      : fs_.CloneFile(path, file.staged_path);
    if (made.code() == StatusCode::kUnsupported) {
      return Unsupported(made.message() + "; use --replicas=copy");
    }
    RELAYOUT_RETURN_IF_ERROR(made);
    if (options_.sync && options_.replica_mode == ReplicaMode::kReflink) {
      RELAYOUT_ASSIGN_OR_RETURN(const auto opened, fs_.OpenForWrite(file.staged_path));
      RELAYOUT_RETURN_IF_ERROR(opened->Sync());
    }
  }
  staged_[replica] = std::move(file);
  return OkStatus();
}

std::map<int64_t, std::string> CheckpointWriter::FinalPaths() const {
  std::map<int64_t, std::string> paths;
  for (const int64_t rank : plan_.ranks) paths[rank] = FinalPath(rank);
  return paths;
}

Status CheckpointWriter::Publish(int thread_count, const std::map<int64_t, Hash128>& payload_sums) {
  std::vector<StagedFile*> files;
  for (auto& [rank, file] : staged_) {
    const auto sum = payload_sums.find(rank);
    if (sum != payload_sums.end()) file.hash += sum->second;
    files.push_back(&file);
  }
  RELAYOUT_RETURN_IF_ERROR(ParallelFor(thread_count, std::ssize(files), [&](int64_t i) {
    return Finish(*files[static_cast<size_t>(i)]);
  }));
  RELAYOUT_RETURN_IF_ERROR(MakeReplicas());
  RELAYOUT_RETURN_IF_ERROR(StageRecords());
  // Names of replicas: where a power cut undoes step 9 in part, MakeReplica sees it by them.
  RELAYOUT_RETURN_IF_ERROR(SyncAll({staging_dir_}));

  RELAYOUT_ASSIGN_OR_RETURN(const auto lock, LockState());
  RELAYOUT_ASSIGN_OR_RETURN(const auto replaced, FilesToReplace());
  Status status = MoveOldAway(replaced);
  if (status.ok()) status = MoveNewIn(replaced);
  if (!status.ok()) return Rollback(status);
  // From here on the set stands. What is left over goes with the staging folder, now or in the next
  // run.
  moves_.clear();
  is_plan_saved_ = false;
  // The plan first: killed in between, the next run must not take this one for unfinished.
  static_cast<void>(fs_.RemoveFile(JoinPath(staging_dir_, kPlanFile)));
  staging_lock_.reset();
  static_cast<void>(RemoveTree(fs_, staging_dir_));
  static_cast<void>(SyncAll({state_dir_}));
  staging_dir_.clear();
  return OkStatus();
}

std::string CheckpointWriter::StagedRecordPath(int64_t rank) const {
  return JoinPath(staging_dir_, Format("record-{}", rank));
}

Status CheckpointWriter::StageRecords() {
  if (!options_.single_file.empty()) return OkStatus();
  const int64_t trailer = options_.crc_trailer ? kCrcTrailerBytes : 0;
  for (const auto& [rank, file] : staged_) {
    const std::string path = StagedRecordPath(rank);
    if (adopted_plan_ && Exists(fs_, path)) RELAYOUT_RETURN_IF_ERROR(fs_.RemoveFile(path));
    const ManifestRecord record{.generation = plan_.generation,
                                .rank_count = options_.rank_count,
                                .file_name = RelativePath(options_.names, options_.format, rank),
                                .size_bytes = file.size_bytes + trailer,
                                .content_hash = file.hash};
    RELAYOUT_RETURN_IF_ERROR(WriteWholeFile(fs_, path, SerializeRecord(record), options_.sync));
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
  int64_t n = 0;
  for (const std::string& path : replaced) {
    // A dead run that we go on with may have moved some away already.
    RELAYOUT_ASSIGN_OR_RETURN(n, FirstFree(fs_, JoinPath(staging_dir_, kReplacedPrefix), n));
    RELAYOUT_RETURN_IF_ERROR(
        Move(path, JoinPath(staging_dir_, Format("{}{}", kReplacedPrefix, n))));
    folders.insert(ParentPath(path));
  }
  return SyncAll(folders);
}

// Those of files that are written, replaced or not there any more, and those of an older set whose
// files stay: records are of one set. Siblings keep theirs.
Result<std::vector<std::string>> CheckpointWriter::RecordsToReplace(
    const std::vector<std::string>& replaced) {
  std::vector<std::string> records;
  if (!options_.single_file.empty()) return records;
  const std::set<std::string> gone(replaced.begin(), replaced.end());
  const bool all = options_.keep_others && options_.whole_set;
  RELAYOUT_ASSIGN_OR_RETURN(const auto entries, fs_.List(state_dir_));
  for (const DirectoryEntry& entry : entries) {
    const auto rank = RankOfFolder(entry.name);
    if (!rank) continue;
    const auto record = ReadRecord(fs_, options_.directory, *rank);
    if (record.status().code() == StatusCode::kIoError) return record.status();
    const std::string path = record.ok() ? JoinPath(options_.directory, record->file_name) : "";
    if (all || staged_.contains(*rank) || path.empty() || gone.contains(path) ||
        !Exists(fs_, path)) {
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
    folders.insert(folder);
    if (file.is_published) continue;
    Status there = fs_.Stat(folder).status();
    if (there.code() == StatusCode::kNotFound) {
      RELAYOUT_RETURN_IF_ERROR(fs_.MakeDirectory(folder));
      created_folders_.push_back(folder);
    } else if (!there.ok()) {
      return there;
    }
    RELAYOUT_RETURN_IF_ERROR(Move(file.staged_path, file.final_path));
  }
  RELAYOUT_RETURN_IF_ERROR(RemoveEmptyFolders(replaced));
  RELAYOUT_RETURN_IF_ERROR(SyncAll(folders));
  if (!options_.single_file.empty()) return OkStatus();
  for (const auto& [rank, file] : staged_) {
    RELAYOUT_RETURN_IF_ERROR(Move(StagedRecordPath(rank), RecordPath(options_.directory, rank)));
  }
  return SyncAll({state_dir_});
}

// Folders of the set that was replaced, and those that a dead run had emptied before; one with
// other files in it stays.
Status CheckpointWriter::RemoveEmptyFolders(const std::vector<std::string>& replaced) {
  if (!options_.single_file.empty()) return OkStatus();
  std::set<std::string> folders;
  for (const std::string& path : replaced) {
    if (RankOfFolder(BaseName(ParentPath(path)))) folders.insert(ParentPath(path));
  }
  RELAYOUT_ASSIGN_OR_RETURN(const auto entries, fs_.List(options_.directory));
  for (const DirectoryEntry& entry : entries) {
    const auto rank = RankOfFolder(entry.name);
    if (!rank || entry.kind != FileKind::kDirectory) continue;
    const bool is_of_our_set = !options_.names.unified_file_count && *rank < options_.rank_count;
    if (!is_of_our_set) folders.insert(JoinPath(options_.directory, entry.name));
  }
  for (const std::string& folder : folders) static_cast<void>(fs_.RemoveDirectory(folder));
  return OkStatus();
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
  if (state_dir_.empty() || (options_.resume && is_plan_saved_)) return;
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
