// SPDX-License-Identifier: Apache-2.0
#include "relayout/checkpoint/unified_files.h"

#include <algorithm>
#include <set>
#include <utility>

#include "relayout/base/text.h"
#include "relayout/checkpoint/rank_files.h"
#include "relayout/checkpoint/target_names.h"
#include "relayout/format/checkpoint_file.h"

namespace relayout {
namespace {

// What lies directly in the folder.
struct FolderContents {
  std::vector<std::string> maps;
  std::set<std::string> files;  // Safetensors.
  std::vector<std::string> rank_folders;
};

Result<bool> HoldsCheckpoint(FileSystem& fs, const std::string& folder) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto entries, fs.List(folder));
  return std::any_of(entries.begin(), entries.end(), [](const DirectoryEntry& entry) {
    return entry.kind == FileKind::kFile && FormatOfName(entry.name);
  });
}

FolderContents ContentsOf(const std::vector<DirectoryEntry>& entries) {
  FolderContents contents;
  for (const DirectoryEntry& entry : entries) {
    if (entry.kind == FileKind::kDirectory && RankOfFolder(entry.name)) {
      contents.rank_folders.push_back(entry.name);
    }
    if (entry.kind != FileKind::kFile) continue;
    if (entry.name == kParamNameMapFile || entry.name.ends_with(kModelIndexEnding)) {
      contents.maps.push_back(entry.name);
    } else if (FormatOfName(entry.name) == FileFormat::kSafetensors) {
      contents.files.insert(entry.name);
    }
  }
  return contents;
}

// A rank folder that holds a checkpoint, or nothing: a killed run may leave empty ones.
Result<std::string> RankFolderInUse(FileSystem& fs, const std::string& directory,
                                    const FolderContents& contents) {
  for (const std::string& folder : contents.rank_folders) {
    RELAYOUT_ASSIGN_OR_RETURN(const bool holds, HoldsCheckpoint(fs, JoinPath(directory, folder)));
    if (holds) return folder;
  }
  return std::string();
}

// The files that the map names, and MindSpore's hyper parameters beside them.
Result<std::set<std::string>> FilesOfMap(const std::string& directory, const UnifiedFiles& found,
                                         const std::set<std::string>& there) {
  std::set<std::string> wanted;
  for (const NameMapEntry& entry : found.map) {
    if (!there.contains(entry.file)) {
      return NotFound(Format("{}: {} is in {}, which is not there", found.map_path,
                             Printable(entry.name), JoinPath(directory, entry.file)));
    }
    wanted.insert(entry.file);
  }
  if (there.contains(kHyperParamFile)) wanted.insert(kHyperParamFile);
  if (wanted.empty()) return InvalidInput(Format("{}: names no tensor", found.map_path));
  return wanted;
}

}  // namespace

Result<std::optional<UnifiedFiles>> FindUnifiedFiles(FileSystem& fs, const std::string& directory,
                                                     const std::vector<DirectoryEntry>& entries) {
  const FolderContents contents = ContentsOf(entries);
  if (contents.maps.empty() && contents.files.empty()) return std::optional<UnifiedFiles>();
  RELAYOUT_ASSIGN_OR_RETURN(const std::string rank_folder,
                            RankFolderInUse(fs, directory, contents));
  if (contents.maps.empty() && !rank_folder.empty()) return std::optional<UnifiedFiles>();
  if (contents.maps.size() > 1) {
    return InvalidInput(Format("{}: holds several maps of names, {}; leave one of them", directory,
                               JoinLimited(contents.maps)));
  }
  UnifiedFiles found;
  std::set<std::string> names = contents.files;
  if (!contents.maps.empty()) {
    found.map_path = JoinPath(directory, contents.maps[0]);
    if (!rank_folder.empty()) {
      return InvalidInput(Format("both kinds of checkpoint are there: {} and {}; leave one of them",
                                 found.map_path, JoinPath(directory, rank_folder)));
    }
    RELAYOUT_ASSIGN_OR_RETURN(found.map, ReadNameMap(fs, found.map_path));
    RELAYOUT_ASSIGN_OR_RETURN(names, FilesOfMap(directory, found, contents.files));
  } else if (names.size() - names.count(kHyperParamFile) > 1) {
    return InvalidInput(
        Format("{}: holds {} and no {} or *{} that says which of them make up the model; give one "
               "file, or rank folders",
               directory, Count(std::ssize(names), "safetensors file"), kParamNameMapFile,
               kModelIndexEnding));
  }
  int64_t number = 0;
  for (const std::string& name : names) found.path_of_rank[number++] = JoinPath(directory, name);
  return std::optional(std::move(found));
}

Status CheckUnifiedFiles(const UnifiedFiles& files, const Catalog& catalog) {
  std::map<std::string_view, int64_t> rank_of_file;
  std::vector<std::string> names;  // Keeps what the keys point at.
  names.reserve(files.path_of_rank.size());
  for (const auto& [rank, path] : files.path_of_rank) {
    names.push_back(BaseName(path));
    rank_of_file[names.back()] = rank;
  }
  for (const NameMapEntry& entry : files.map) {
    if (catalog.Find(rank_of_file.at(entry.file), entry.name)) continue;
    return InvalidInput(Format("{}: {} should be in {}, but is not", files.map_path,
                               Printable(entry.name), entry.file));
  }
  for (const std::string_view name : catalog.names()) {
    if (catalog.HolderCount(name) == 1) continue;
    const auto holders = catalog.Holders(name);
    return InvalidInput(
        Format("{} is both in {} and in {}; in such a model each tensor is in one "
               "file",
               Printable(name), holders[0].file->path, holders[1].file->path));
  }
  return OkStatus();
}

}  // namespace relayout
