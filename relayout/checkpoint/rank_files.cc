// SPDX-License-Identifier: Apache-2.0
#include "relayout/checkpoint/rank_files.h"

#include <algorithm>
#include <set>
#include <utility>

#include "relayout/base/text.h"
#include "relayout/format/checkpoint_file.h"

namespace relayout {
namespace {

// The checkpoints of one rank folder.
struct Candidates {
  std::string folder;
  std::vector<std::string> names;
};
using CandidatesOfRank = std::map<int64_t, Candidates>;

Result<Candidates> ScanFolder(FileSystem& fs, const std::string& folder) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto entries, fs.List(folder));
  Candidates candidates{.folder = folder, .names = {}};
  for (const DirectoryEntry& entry : entries) {
    if (entry.kind == FileKind::kFile && FormatOfName(entry.name)) {
      candidates.names.push_back(entry.name);
    }
  }
  if (candidates.names.empty()) {
    return NotFound(Format("{}: holds no .ckpt or .safetensors file", folder));
  }
  return candidates;
}

Result<CandidatesOfRank> ScanDirectory(FileSystem& fs, const std::string& directory,
                                       std::vector<std::string>& notes) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto entries, fs.List(directory));
  CandidatesOfRank ranks;
  std::vector<std::string> passed_over;
  for (const DirectoryEntry& entry : entries) {
    const auto rank = RankOfFolder(entry.name);
    if (!rank || entry.kind != FileKind::kDirectory) {
      if (entry.name.starts_with("rank") || FormatOfName(entry.name)) {
        passed_over.push_back(Printable(entry.name));
      }
      continue;
    }
    const std::string folder = JoinPath(directory, entry.name);
    RELAYOUT_ASSIGN_OR_RETURN(Candidates candidates, ScanFolder(fs, folder));
    const auto [existing, inserted] = ranks.emplace(*rank, std::move(candidates));
    if (!inserted) {
      return InvalidInput(
          Format("{} and {} are both rank {}", existing->second.folder, folder, *rank));
    }
  }
  if (ranks.empty()) {
    return NotFound(
        Format("{}: holds no rank_<number> folders; a checkpoint directory looks like {}",
               directory, JoinPath(directory, "rank_0/NAME.ckpt")));
  }
  if (!passed_over.empty()) {
    notes.push_back(Format("passed over in {}: {}", directory, JoinLimited(passed_over)));
  }
  return ranks;
}

Result<FileFormat> CommonFormat(const CandidatesOfRank& ranks) {
  const std::string* first = nullptr;
  const std::string* first_folder = nullptr;
  for (const auto& [rank, candidates] : ranks) {
    for (const std::string& name : candidates.names) {
      if (first == nullptr) {
        first = &name;
        first_folder = &candidates.folder;
      } else if (FormatOfName(name) != FormatOfName(*first)) {
        return InvalidInput(
            Format("both formats are there: {} and {}; leave one kind in the rank folders",
                   JoinPath(*first_folder, *first), JoinPath(candidates.folder, name)));
      }
    }
  }
  return *FormatOfName(*first);
}

// The file of each step in a folder. Fails on names without a step beside others, and on two files
// of one step.
Result<std::map<TrainingStep, std::string>> FilesByStep(const Candidates& candidates) {
  std::map<TrainingStep, std::string> files;
  for (const std::string& name : candidates.names) {
    const auto step = StepOfName(name);
    if (!step && candidates.names.size() == 1) {
      return InvalidInput(Format("{}: carries no -<epoch>_<step>, by which other files are chosen",
                                 JoinPath(candidates.folder, name)));
    }
    if (!step) {
      return InvalidInput(Format(
          "{}: which of {} is meant? {} carries no -<epoch>_<step>; leave one file in the folder",
          candidates.folder, JoinLimited(candidates.names), Printable(name)));
    }
    const auto [existing, inserted] = files.emplace(*step, name);
    if (!inserted) {
      return InvalidInput(Format("{}: {} and {} are both {}; leave one of them", candidates.folder,
                                 existing->second, name, ToText(*step)));
    }
  }
  return files;
}

std::string StepList(const std::set<TrainingStep>& steps) {
  std::vector<std::string> texts;
  texts.reserve(steps.size());
  for (const TrainingStep& step : steps) texts.push_back(Format("{}_{}", step.epoch, step.step));
  return texts.empty() ? "none" : JoinLimited(texts);
}

// Several files in some folder: the step to take.
Status ChooseByStep(const CandidatesOfRank& ranks, const std::optional<TrainingStep>& wanted,
                    RankFiles& found) {
  std::map<int64_t, std::map<TrainingStep, std::string>> files;
  // The folders with a choice first: they are why steps matter.
  for (const bool several : {true, false}) {
    for (const auto& [rank, candidates] : ranks) {
      if ((candidates.names.size() > 1) != several) continue;
      RELAYOUT_ASSIGN_OR_RETURN(files[rank], FilesByStep(candidates));
    }
  }
  std::set<TrainingStep> common;
  std::set<TrainingStep> all;
  for (const auto& [rank, by_step] : files) {
    std::set<TrainingStep> mine;
    for (const auto& [step, name] : by_step) mine.insert(step);
    all.insert(mine.begin(), mine.end());
    if (rank == files.begin()->first) {
      common = std::move(mine);
    } else {
      std::erase_if(common, [&](const TrainingStep& step) { return !mine.contains(step); });
    }
  }
  if (common.empty()) {
    return InvalidInput(
        Format("{}: no epoch and step is common to all rank folders; between them "
               "they hold {}",
               ParentPath(ranks.begin()->second.folder), StepList(all)));
  }
  const TrainingStep chosen = wanted ? *wanted : *common.rbegin();
  if (!common.contains(chosen)) {
    return NotFound(Format("--step {}_{}: not in every rank folder of {}; common to all are {}",
                           chosen.epoch, chosen.step, ParentPath(ranks.begin()->second.folder),
                           StepList(common)));
  }
  found.step = chosen;
  if (all.size() > 1 && !wanted) {
    found.notes.push_back(Format("took {} ({}_{}), the highest of {} that every rank has",
                                 ToText(chosen), chosen.epoch, chosen.step, StepList(all)));
  }
  for (const auto& [rank, by_step] : files) {
    found.path_of_rank[rank] = JoinPath(ranks.at(rank).folder, by_step.at(chosen));
  }
  return OkStatus();
}

// One file in each folder: taken whatever its name, but not of different steps.
Status TakeOnlyFiles(const CandidatesOfRank& ranks, RankFiles& found) {
  for (const auto& [rank, candidates] : ranks) {
    const std::string path = JoinPath(candidates.folder, candidates.names[0]);
    const auto step = StepOfName(candidates.names[0]);
    if (rank == ranks.begin()->first) {
      found.step = step;
    } else if (step && found.step && *step != *found.step) {
      return InvalidInput(Format("the ranks are of different steps: {} and {}",
                                 found.path_of_rank.begin()->second, path));
    }
    found.path_of_rank[rank] = path;
  }
  return OkStatus();
}

}  // namespace

std::string ToText(const TrainingStep& step) {
  return Format("epoch {}, step {}", step.epoch, step.step);
}

std::optional<TrainingStep> ParseStep(std::string_view text) {
  const size_t underscore = text.find('_');
  if (underscore == std::string_view::npos) return std::nullopt;
  const auto epoch = ParseDecimal(text.substr(0, underscore));
  const auto step = ParseDecimal(text.substr(underscore + 1));
  if (!epoch || !step) return std::nullopt;
  return TrainingStep{*epoch, *step};
}

std::optional<TrainingStep> StepOfName(std::string_view file_name) {
  const std::string_view stem = file_name.substr(0, file_name.rfind('.'));
  const size_t dash = stem.rfind('-');
  if (dash == std::string_view::npos) return std::nullopt;
  return ParseStep(stem.substr(dash + 1));
}

std::optional<int64_t> RankOfFolder(std::string_view folder_name) {
  constexpr std::string_view kPrefix = "rank_";
  if (!folder_name.starts_with(kPrefix)) return std::nullopt;
  return ParseDecimal(folder_name.substr(kPrefix.size()));
}

Result<RankFiles> FindRankFiles(FileSystem& fs, const std::string& directory,
                                const std::optional<TrainingStep>& wanted_step) {
  RankFiles found;
  RELAYOUT_ASSIGN_OR_RETURN(const CandidatesOfRank ranks,
                            ScanDirectory(fs, directory, found.notes));
  RELAYOUT_ASSIGN_OR_RETURN(found.format, CommonFormat(ranks));
  const bool several = std::any_of(ranks.begin(), ranks.end(),
                                   [](const auto& entry) { return entry.second.names.size() > 1; });
  if (several || wanted_step) {
    RELAYOUT_RETURN_IF_ERROR(ChooseByStep(ranks, wanted_step, found));
  } else {
    RELAYOUT_RETURN_IF_ERROR(TakeOnlyFiles(ranks, found));
  }
  return found;
}

}  // namespace relayout
