// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/load_strategy.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "relayout/base/heap.h"
#include "relayout/base/text.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

struct NamedFile {
  std::string path;
  StrategyFile file;
};

Result<std::vector<std::string>> StrategyPaths(FileSystem& fs, const std::string& directory,
                                               const std::string& excluded_path) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto entries, fs.List(directory));
  std::vector<std::string> protobuf;
  std::vector<std::string> json;
  for (const DirectoryEntry& entry : entries) {
    const std::string path = JoinPath(directory, entry.name);
    if (entry.kind != FileKind::kFile || path == excluded_path) continue;
    if (entry.name.ends_with(".ckpt")) protobuf.push_back(path);
    if (entry.name.ends_with(".json")) json.push_back(path);
  }
  if (!protobuf.empty() && !json.empty()) {
    return InvalidInput(
        Format("{}: holds both .ckpt and .json strategy files ({} and {}); keep one "
               "kind",
               directory, BaseName(protobuf[0]), BaseName(json[0])));
  }
  if (protobuf.empty() && json.empty()) {
    return NotFound(Format("{}: holds no .ckpt or .json strategy file", directory));
  }
  return protobuf.empty() ? json : protobuf;
}

bool HasLayouts(const StrategyFile& file) {
  return !file.stages.empty() && !file.stages[0].layouts.parameters.empty();
}

// The number a file's name ends in: "src_strategy_4.ckpt" -> 4.
std::optional<int64_t> NumberOfName(const std::string& path) {
  const std::string name = BaseName(path);
  const std::string stem = name.substr(0, name.rfind('.'));
  const size_t last_other = stem.find_last_not_of("0123456789");
  return ParseDecimal(last_other == std::string::npos ? stem : stem.substr(last_other + 1));
}

// Do the names' numbers count stages (or, with devices_per_stage > 1, ranks) for all files with
// layouts?
bool NumbersCount(const std::vector<NamedFile>& files, int64_t devices_per_stage) {
  return std::all_of(files.begin(), files.end(), [&](const NamedFile& named) {
    const auto number = NumberOfName(named.path);
    if (!number) return false;
    return !HasLayouts(named.file) || *number / devices_per_stage == named.file.stages[0].stage;
  });
}

// The stage of a file without layouts and operators.
Result<int64_t> StageFromName(const std::vector<NamedFile>& files, const std::string& path) {
  const auto with_layouts = std::find_if(files.begin(), files.end(),
                                         [](const NamedFile& f) { return HasLayouts(f.file); });
  if (with_layouts != files.end()) {
    const int64_t devices =
        with_layouts->file.stages[0].layouts.parameters[0].layout.device_count();
    const bool by_stage = NumbersCount(files, 1);
    const bool by_rank = NumbersCount(files, devices);
    const int64_t number = NumberOfName(path).value_or(0);
    if (by_stage && (!by_rank || number == number / devices)) return number;
    if (by_rank && !by_stage) return number / devices;
  }
  return InvalidInput(Format(
      "{}: names no parameter and no operator, and the file names do not tell its stage", path));
}

// Layouts by name, in words.
std::map<std::string, std::string> LayoutsOf(const StrategyFile::StageLayouts& stage) {
  std::map<std::string, std::string> layouts;
  for (const ParameterLayout& parameter : stage.layouts.parameters) {
    layouts[parameter.name] = ToText(parameter.layout);
  }
  return layouts;
}

Status CheckSameLayouts(const NamedFile& a, const NamedFile& b) {
  const auto layouts_a = LayoutsOf(a.file.stages[0]);
  const auto layouts_b = LayoutsOf(b.file.stages[0]);
  if (layouts_a == layouts_b) return OkStatus();
  const int64_t stage = a.file.stages[0].stage;
  for (const auto& [name, layout] : layouts_a) {
    const auto other = layouts_b.find(name);
    if (other == layouts_b.end() || other->second != layout) {
      return InvalidInput(
          Format("stage {} is there twice and differs: {} is {} in {}, but {} in {}", stage,
                 Printable(name), layout, a.path,
                 other == layouts_b.end() ? "missing" : other->second, b.path));
    }
  }
  return InvalidInput(Format("stage {} is there twice and differs: {} names {} parameters, {} {}",
                             stage, a.path, layouts_a.size(), b.path, layouts_b.size()));
}

// A merged file beside the stages' files must say what they say.
Status CheckMergedFile(const NamedFile& merged, const StrategyFile& stages) {
  std::map<int64_t, std::map<std::string, std::string>> theirs;
  for (const auto& stage : merged.file.stages) theirs[stage.stage] = LayoutsOf(stage);
  for (const auto& stage : stages.stages) {
    if (theirs[stage.stage] == LayoutsOf(stage)) continue;
    return InvalidInput(
        Format("{}: differs from the files of the stages beside it in stage {}: give this file, or "
               "a folder without it",
               merged.path, stage.stage));
  }
  if (theirs.size() == stages.stages.size()) return OkStatus();
  return InvalidInput(Format(
      "{}: is of {}, but the files beside it are of {}: give this file, or "
      "a folder without it",
      merged.path, Count(std::ssize(theirs), "stage"), Count(std::ssize(stages.stages), "stage")));
}

// Merged ones go into `merged`.
Result<std::vector<NamedFile>> ReadStageFiles(FileSystem& fs, const std::string& directory,
                                              const std::string& excluded_path,
                                              std::vector<NamedFile>& merged) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto paths, StrategyPaths(fs, directory, excluded_path));
  std::vector<NamedFile> files;
  for (const std::string& path : paths) {
    RELAYOUT_ASSIGN_OR_RETURN(StrategyFile file, ReadStrategyFile(fs, path));
    (file.merged ? merged : files).push_back({.path = path, .file = std::move(file)});
  }
  for (NamedFile& named : files) {
    if (HasLayouts(named.file) || !named.file.operators.empty()) continue;
    RELAYOUT_ASSIGN_OR_RETURN(const int64_t stage, StageFromName(files, named.path));
    named.file.stages.assign(1, {.stage = stage, .layouts = {}});
  }
  return files;
}

}  // namespace

Result<StrategyFile> MergeStageFiles(FileSystem& fs, const std::string& directory,
                                     const std::string& excluded_path, MergedFiles merged_files) {
  std::vector<NamedFile> merged_already;
  RELAYOUT_ASSIGN_OR_RETURN(const auto files,
                            ReadStageFiles(fs, directory, excluded_path, merged_already));
  if (!merged_already.empty() && (files.empty() || merged_files == MergedFiles::kRefuse)) {
    return InvalidInput(
        Format("{}: is merged already; {}", merged_already[0].path,
               files.empty() ? "give this file itself" : "keep it out of the folder to merge"));
  }
  std::map<int64_t, const NamedFile*> file_of_stage;
  for (const NamedFile& named : files) {
    const auto [first, inserted] = file_of_stage.emplace(named.file.stages[0].stage, &named);
    if (!inserted) RELAYOUT_RETURN_IF_ERROR(CheckSameLayouts(*first->second, named));
  }
  std::vector<StrategyFile> stage_files;
  for (const auto& [stage, named] : file_of_stage) {
    if (stage != std::ssize(stage_files)) {
      return InvalidInput(Format("{}: no file is of stage {}, but {} is of stage {}", directory,
                                 stage_files.size(), named->path, stage));
    }
    stage_files.push_back(named->file);
  }
  StrategyFile merged = MergedStages(std::move(stage_files));
  for (const NamedFile& file : merged_already) {
    RELAYOUT_RETURN_IF_ERROR(CheckMergedFile(file, merged));
  }
  return merged;
}

Result<Strategy> LoadStrategy(FileSystem& fs, const std::string& path,
                              std::shared_ptr<NameTable> names) {
  RELAYOUT_ASSIGN_OR_RETURN(const FileInfo info, fs.Stat(path));
  const bool is_folder = info.kind == FileKind::kDirectory;
  RELAYOUT_ASSIGN_OR_RETURN(StrategyFile file,
                            is_folder ? MergeStageFiles(fs, path, "", MergedFiles::kMustAgree)
                                      : ReadStrategyFile(fs, path));
  if (!file.merged && file.stages.size() == 1 && file.stages[0].stage != 0) {
    return InvalidInput(
        Format("{}: describes pipeline stage {} alone; merge the stages' files with `relayout "
               "merge-strategies`, or give their folder",
               path, file.stages[0].stage));
  }
  std::vector<StageStrategy> stages;
  for (StrategyFile::StageLayouts& stage : file.stages) stages.push_back(std::move(stage.layouts));
  auto strategy = Strategy::Create(std::move(stages), std::move(names));
  ReturnFreedMemory();  // Of a million parameters, 150 MB in pieces of 64 bytes.
  if (!strategy.ok()) return strategy.status().WithContext(path);
  return strategy;
}

}  // namespace relayout
