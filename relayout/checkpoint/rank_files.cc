// SPDX-License-Identifier: Apache-2.0
#include "relayout/checkpoint/rank_files.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "relayout/base/text.h"
#include "relayout/format/checkpoint_file.h"
#include "relayout/format/mindspore/last_save.h"

namespace relayout {
namespace {

// The checkpoints of one rank folder.
struct Candidates {
  std::string folder;
  std::vector<std::string> names = {};
  std::optional<TrainingStep> last_save = {};  // By meta.json.
  Status last_save_failure = {};               // It could not be read.
};
using CandidatesOfRank = std::map<int64_t, Candidates>;

constexpr char kLastSaveFile[] = "meta.json";

bool IsNumber(std::string_view text) { return ParseDecimal(text).has_value(); }

// "10_5".
bool IsStep(std::string_view text) {
  const size_t underscore = text.find('_');
  return underscore != std::string_view::npos && IsNumber(text.substr(0, underscore)) &&
         IsNumber(text.substr(underscore + 1));
}

// "1-10_5".
bool IsTaskAndStep(std::string_view text) {
  const size_t dash = text.find('-');
  return dash != std::string_view::npos && IsNumber(text.substr(0, dash)) &&
         IsStep(text.substr(dash + 1));
}

// A suffix of numbers with the mark that sets it off: "0_5" must not find 10_5.
std::string WithMark(const std::string& suffix) {
  if (IsStep(suffix)) return "-" + suffix;
  return IsTaskAndStep(suffix) || IsNumber(suffix) ? "_" + suffix : suffix;
}

bool EndsWith(std::string_view name, const std::string& suffix) {
  const std::string_view stem = name.substr(0, name.rfind('.'));
  if (!stem.ends_with(suffix)) return false;
  // net_rank_3-10_5 is of rank 3, not of task 3.
  const bool is_task = suffix.starts_with('_') && IsTaskAndStep(std::string_view(suffix).substr(1));
  return !is_task || !stem.ends_with("rank" + suffix);
}

// Those of the suffix, and of several the shortest.
Status KeepNamesWith(const std::string& suffix, Candidates& candidates,
                     std::vector<std::string>& notes) {
  const std::string wanted = WithMark(suffix);
  std::vector<std::string> kept;
  std::copy_if(candidates.names.begin(), candidates.names.end(), std::back_inserter(kept),
               [&](const std::string& name) { return EndsWith(name, wanted); });
  if (kept.empty()) {
    return NotFound(Format("{}: no file ends in {} (before its extension); there are {}",
                           candidates.folder, Printable(wanted), JoinLimited(candidates.names)));
  }
  const auto by_length = [](const std::string& a, const std::string& b) {
    return a.size() < b.size();
  };
  const size_t shortest = std::min_element(kept.begin(), kept.end(), by_length)->size();
  const std::vector<std::string> all = kept;
  std::erase_if(kept, [&](const std::string& name) { return name.size() > shortest; });
  if (kept.size() > 1) {
    return InvalidInput(Format("{}: {} end in {}; give a longer suffix", candidates.folder,
                               JoinLimited(kept), Printable(wanted)));
  }
  // 5 finds net-1_5 and net-11_5. One folder stands for all.
  const auto step = StepOfName(kept[0]);
  const bool is_of_tasks = step && std::all_of(all.begin(), all.end(), [&](const auto& name) {
                             return StepOfName(name) == step;
                           });
  if (all.size() > 1 && !is_of_tasks && notes.empty()) {
    notes.push_back(
        Format("took {}, the shortest of {}, which all end in {}; a longer suffix takes "
               "another",
               JoinPath(candidates.folder, kept[0]), JoinLimited(all), Printable(wanted)));
  }
  candidates.names = std::move(kept);
  return OkStatus();
}

Result<Candidates> ScanFolder(FileSystem& fs, const std::string& folder, const std::string& suffix,
                              std::vector<std::string>& notes) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto entries, fs.List(folder));
  Candidates candidates{.folder = folder};
  for (const DirectoryEntry& entry : entries) {
    if (entry.kind != FileKind::kFile) continue;
    if (FormatOfName(entry.name)) candidates.names.push_back(entry.name);
    if (entry.name != kLastSaveFile) continue;
    const auto save = ReadLastSave(fs, JoinPath(folder, entry.name));
    // Another program's, or torn: it matters only where it is asked which step to take.
    candidates.last_save_failure = save.status();
    if (save.ok()) candidates.last_save = TrainingStep{save->epoch, save->step};
  }
  if (candidates.names.empty()) {
    return NotFound(Format("{}: holds no .ckpt or .safetensors file", folder));
  }
  if (suffix.empty()) return candidates;
  RELAYOUT_RETURN_IF_ERROR(KeepNamesWith(suffix, candidates, notes));
  return candidates;
}

Result<CandidatesOfRank> ScanDirectory(FileSystem& fs, const std::string& directory,
                                       const std::vector<DirectoryEntry>& entries,
                                       const std::string& suffix, std::vector<std::string>& notes) {
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
    RELAYOUT_ASSIGN_OR_RETURN(Candidates candidates, ScanFolder(fs, folder, suffix, notes));
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

// The highest of the common steps that no rank's meta.json denies.
Result<TrainingStep> LastCompleteStep(const CandidatesOfRank& ranks,
                                      const std::set<TrainingStep>& common,
                                      std::vector<std::string>& notes) {
  const Candidates* earliest = nullptr;
  for (const auto& [rank, candidates] : ranks) {
    if (const Status& failure = candidates.last_save_failure; !failure.ok()) {
      return Status(failure.code(),
                    Format("{}; it should say which step was saved last: --step takes one of {} "
                           "without it",
                           failure.message(), StepList(common)));
    }
    if (!candidates.last_save) continue;
    if (earliest == nullptr || *candidates.last_save < *earliest->last_save) earliest = &candidates;
  }
  if (earliest == nullptr || *common.rbegin() <= *earliest->last_save) return *common.rbegin();
  const std::string meta = JoinPath(earliest->folder, kLastSaveFile);
  const auto after = common.upper_bound(*earliest->last_save);
  if (after == common.begin()) {
    return InvalidInput(
        Format("{}: {} was the last complete save, but the files that all ranks "
               "have are of {}; --step takes one of them all the same",
               meta, ToText(*earliest->last_save), StepList(common)));
  }
  const TrainingStep last = *std::prev(after);
  notes.push_back(Format(
      "took {} ({}_{}): by {} {} was the last complete save, so {} is passed over", ToText(last),
      last.epoch, last.step, meta, ToText(*earliest->last_save), StepList({after, common.end()})));
  return last;
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
  RELAYOUT_ASSIGN_OR_RETURN(const TrainingStep chosen,
                            wanted ? *wanted : LastCompleteStep(ranks, common, found.notes));
  if (!common.contains(chosen)) {
    return NotFound(Format("--step {}_{}: not in every rank folder of {}; common to all are {}",
                           chosen.epoch, chosen.step, ParentPath(ranks.begin()->second.folder),
                           StepList(common)));
  }
  found.step = chosen;
  if (all.size() > 1 && !wanted && chosen == *common.rbegin()) {
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
                                const FileChoice& choice) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto entries, fs.List(directory));
  return FindRankFiles(fs, directory, entries, choice);
}

Result<RankFiles> FindRankFiles(FileSystem& fs, const std::string& directory,
                                const std::vector<DirectoryEntry>& entries,
                                const FileChoice& choice) {
  RankFiles found;
  RELAYOUT_ASSIGN_OR_RETURN(const CandidatesOfRank ranks,
                            ScanDirectory(fs, directory, entries, choice.suffix, found.notes));
  RELAYOUT_ASSIGN_OR_RETURN(found.format, CommonFormat(ranks));
  const bool several = std::any_of(ranks.begin(), ranks.end(),
                                   [](const auto& entry) { return entry.second.names.size() > 1; });
  if (several || choice.step) {
    RELAYOUT_RETURN_IF_ERROR(ChooseByStep(ranks, choice.step, found));
  } else {
    RELAYOUT_RETURN_IF_ERROR(TakeOnlyFiles(ranks, found));
  }
  return found;
}

}  // namespace relayout
