// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/verify_manifest.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "relayout/base/parallel.h"
#include "relayout/base/text.h"
#include "relayout/checkpoint/catalog.h"
#include "relayout/checkpoint/file_hash.h"
#include "relayout/checkpoint/manifest.h"
#include "relayout/checkpoint/rank_files.h"
#include "relayout/checkpoint/target_names.h"
#include "relayout/format/checkpoint_file.h"

namespace relayout {
namespace {

class ManifestCheck {
 public:
  ManifestCheck(FileSystem& fs, const VerifyManifestRequest& request)
      : fs_(fs),
        request_(request),
        thread_count_(request.thread_count > 0 ? request.thread_count : DefaultThreadCount()) {}

  Result<VerifyReport> Run() {
    RELAYOUT_RETURN_IF_ERROR(ReadRecords());
    RELAYOUT_RETURN_IF_ERROR(CheckRanks());
    RELAYOUT_RETURN_IF_ERROR(CheckGenerations());
    RELAYOUT_RETURN_IF_ERROR(CheckOtherFiles());
    RELAYOUT_RETURN_IF_ERROR(CheckOtherFolders());
    SetForeignRecordsAside();
    std::vector<std::optional<std::string>> problems(records_.size());
    std::vector<const std::pair<const int64_t, ManifestRecord>*> items;
    for (const auto& item : records_) items.push_back(&item);
    RELAYOUT_RETURN_IF_ERROR(
        ParallelFor(thread_count_, std::ssize(items), [&](int64_t i) -> Status {
          const auto n = static_cast<size_t>(i);
          RELAYOUT_ASSIGN_OR_RETURN(problems[n], CheckFile(items[n]->first, items[n]->second));
          return OkStatus();
        }));
    for (auto& problem : problems) {
      if (problem) AddProblem(*std::move(problem));
    }
    report_.compared_bytes = done_bytes();
    report_.file_count = file_count_;
    report_.value_count = value_count_;
    return std::move(report_);
  }

 private:
  void AddProblem(std::string text) {
    ++report_.problem_count;
    if (report_.problems.size() < kMaxProblems) report_.problems.push_back(std::move(text));
  }

  std::atomic<int64_t>& done_bytes() {
    return request_.progress != nullptr ? request_.progress->written_bytes : own_done_bytes_;
  }
  bool IsWanted(int64_t rank) const {
    return request_.ranks.empty() ||
           std::find(request_.ranks.begin(), request_.ranks.end(), rank) != request_.ranks.end();
  }

  Status ReadRecords() {
    const auto entries = fs_.List(StateDirectory(request_.directory));
    if (!entries.ok() && entries.status().code() != StatusCode::kNotFound) {
      return entries.status();
    }
    int64_t total = 0;
    for (const DirectoryEntry& entry : entries.ok() ? *entries : std::vector<DirectoryEntry>()) {
      const auto rank = RankOfFolder(entry.name);
      if (!rank || !IsWanted(*rank)) continue;
      RELAYOUT_ASSIGN_OR_RETURN(records_[*rank], ReadRecord(fs_, request_.directory, *rank));
      total += records_[*rank].size_bytes;
    }
    if (records_.empty()) {
      return NotFound(
          Format("{}: has no manifest{}; give the source and both strategies to verify against "
                 "them",
                 request_.directory, request_.ranks.empty() ? "" : " of these ranks"));
    }
    if (request_.progress != nullptr) request_.progress->total_bytes = total;
    return OkStatus();
  }

  // The records say how many ranks the set has.
  Status CheckRanks() {
    std::vector<int64_t> missing;
    if (!request_.ranks.empty()) {
      for (const int64_t rank : request_.ranks) {
        if (!records_.contains(rank)) missing.push_back(rank);
      }
      std::sort(missing.begin(), missing.end());
    } else {
      for (int64_t rank = 0; rank < records_.begin()->second.rank_count; ++rank) {
        if (!records_.contains(rank)) missing.push_back(rank);
      }
    }
    if (!missing.empty()) {
      AddProblem(Format("{}: the manifest has no record of rank {}", request_.directory,
                        RankRuns(missing)));
    }
    return OkStatus();
  }

  Status CheckGenerations() {
    const auto& [first_rank, first] = *records_.begin();
    for (const auto& [rank, record] : records_) {
      if (rank >= record.rank_count) {
        AddProblem(Format("{}: the manifest has a record of rank {}, but the set has {}",
                          request_.directory, rank, Count(record.rank_count, "rank")));
      }
      std::string difference = DescribeDifference(first.generation, record.generation);
      if (record.rank_count != first.rank_count) difference = "the number of ranks";
      if (difference.empty()) continue;
      AddProblem(Format("{}: rank {} and rank {} are of different conversions: {} differs",
                        request_.directory, first_rank, rank, difference));
    }
    return OkStatus();
  }

  // The files of a unified set lie in one folder: who asks for some need not know of the others.
  bool IsWholeSetWanted(bool is_unified) const { return !is_unified || request_.ranks.empty(); }

  // A loader that takes the last file of a folder would take a stranger.
  Status CheckOtherFiles() {
    std::set<std::string> known;
    std::map<std::string, bool> is_unified_folder;
    for (const auto& [rank, record] : records_) {
      const std::string path = JoinPath(request_.directory, record.file_name);
      known.insert(path);
      is_unified_folder[ParentPath(path)] = IsUnifiedName(record.file_name);
    }
    for (const auto& [folder, is_unified] : is_unified_folder) {
      const auto entries = fs_.List(folder);
      if (!entries.ok()) continue;  // Said when the file is looked at.
      for (const DirectoryEntry& entry : *entries) {
        const bool counts =
            is_unified ? IsUnifiedName(entry.name) : FormatOfName(entry.name).has_value();
        const std::string path = JoinPath(folder, entry.name);
        if (counts && !known.contains(path) && IsWholeSetWanted(is_unified)) {
          AddProblem(Format("{}: is not in the manifest", path));
        }
      }
    }
    return OkStatus();
  }

  // Nor would one that takes every rank folder miss those of a larger set.
  Status CheckOtherFolders() {
    if (!request_.ranks.empty()) return OkStatus();
    RELAYOUT_ASSIGN_OR_RETURN(const auto entries, fs_.List(request_.directory));
    for (const DirectoryEntry& entry : entries) {
      const auto rank = RankOfFolder(entry.name);
      if (!rank || records_.contains(*rank) || entry.kind != FileKind::kDirectory) continue;
      const std::string folder = JoinPath(request_.directory, entry.name);
      RELAYOUT_ASSIGN_OR_RETURN(const auto files, fs_.List(folder));
      for (const DirectoryEntry& file : files) {
        if (FormatOfName(file.name)) {
          AddProblem(Format("{}: is not in the manifest", JoinPath(folder, file.name)));
        }
      }
    }
    return OkStatus();
  }

  // A record that names another rank's file, or one elsewhere, says nothing about its own.
  void SetForeignRecordsAside() {
    std::erase_if(records_, [this](const auto& item) {
      const auto& [rank, record] = item;
      if (ParentPath(record.file_name) == Format("rank_{}", rank)) return false;
      if (IsUnifiedName(record.file_name)) return false;
      AddProblem(Format("{}: is no record of rank {}: its file is {}",
                        RecordPath(request_.directory, rank), rank, Printable(record.file_name)));
      return true;
    });
  }

  // What is wrong with a file, or nothing.
  Result<std::optional<std::string>> CheckFile(int64_t rank, const ManifestRecord& record) {
    const std::string path = JoinPath(request_.directory, record.file_name);
    const auto info = fs_.Stat(path);
    if (info.status().code() == StatusCode::kNotFound) {
      return std::optional(Format("{}: is missing", path));
    }
    if (!info.ok()) return info.status();
    if (info->size_bytes != record.size_bytes) {
      return std::optional(Format("{}: has {} bytes, its manifest says {}", path, info->size_bytes,
                                  record.size_bytes));
    }
    if (!FormatOfName(record.file_name)) {
      RELAYOUT_ASSIGN_OR_RETURN(const Hash128 hash, HashTextFile(fs_, path));
      static_cast<void>(NoteFile(0));
      return CompareHash(path, record, hash);
    }
    RELAYOUT_ASSIGN_OR_RETURN(const auto without_values, HashFileWithoutValues(fs_, path));
    if (without_values == record.content_hash) return NoteFile(0);
    const auto catalog = Catalog::Open(fs_, {{rank, path}}, 1);
    if (!catalog.ok()) {
      if (catalog.status().code() == StatusCode::kIoError) return catalog.status();
      return std::optional(catalog.status().message());
    }
    const auto* cancel = request_.progress ? &request_.progress->cancel_requested : nullptr;
    RELAYOUT_ASSIGN_OR_RETURN(const Hash128 hash,
                              HashCheckpointFile(fs_, catalog->files()[0], &done_bytes(), cancel));
    static_cast<void>(NoteFile(static_cast<int64_t>(catalog->files()[0].values->size())));
    return CompareHash(path, record, hash);
  }

  static std::optional<std::string> CompareHash(const std::string& path,
                                                const ManifestRecord& record, const Hash128& hash) {
    if (hash == record.content_hash) return std::nullopt;
    return Format("{}: damaged: its bytes hash to {}, its manifest says {}", path, ToHex(hash),
                  ToHex(record.content_hash));
  }

  std::optional<std::string> NoteFile(int64_t value_count) {
    ++file_count_;
    value_count_ += value_count;
    return std::nullopt;
  }

  FileSystem& fs_;
  const VerifyManifestRequest& request_;
  const int thread_count_;
  std::map<int64_t, ManifestRecord> records_;
  std::atomic<int64_t> own_done_bytes_ = 0;
  std::atomic<int64_t> file_count_ = 0;
  std::atomic<int64_t> value_count_ = 0;
  VerifyReport report_;
};

}  // namespace

Result<VerifyReport> VerifyManifest(FileSystem& fs, const VerifyManifestRequest& request) {
  return ManifestCheck(fs, request).Run();
}

}  // namespace relayout
