// SPDX-License-Identifier: Apache-2.0
//
// Which file of a checkpoint directory belongs to which rank.
//
//   ckpt/rank_0/net-10_5.ckpt   rank 0, epoch 10, step 5
//   ckpt/rank_0/net-9_5.ckpt    an older one
//   ckpt/rank_1/...
//
// Folders are named rank_<number> (leading zeros do not count). Names ending in -<epoch>_<step>
// carry a step. When folders hold several files, the highest (epoch, step) that every rank has is
// taken, compared as numbers; --step takes another, and --file-suffix looks at some names only.
//
// MindFormers keeps the last complete save of a rank in its folder's meta.json. Steps after the
// earliest of these were cut off on some rank: they are passed over.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/format/file_index.h"
#include "relayout/io/file_system.h"

namespace relayout {

struct TrainingStep {
  int64_t epoch = 0;
  int64_t step = 0;
  friend auto operator<=>(const TrainingStep&, const TrainingStep&) = default;
};

// "epoch 10, step 5".
std::string ToText(const TrainingStep& step);

// The step in a file name, its extension included: "net-10_5.ckpt" is epoch 10, step 5; nothing for
// names without the ending -<epoch>_<step>.
std::optional<TrainingStep> StepOfName(std::string_view file_name);

// "10_5" as in file names.
std::optional<TrainingStep> ParseStep(std::string_view text);

struct RankFiles {
  std::map<int64_t, std::string> path_of_rank;
  FileFormat format = FileFormat::kMindSporeCheckpoint;
  // The files of a unified set (unified_files.h), numbered like ranks.
  bool is_unified = false;
  // The step that was chosen, when names carry steps.
  std::optional<TrainingStep> step;
  // What the user may want to know: entries passed over, the step that was chosen among several.
  std::vector<std::string> notes;
};

// Which of several files to take.
struct FileChoice {
  std::optional<TrainingStep> step = {};
  // Names end like this before their extension. "10_5" and "-10_5" are an epoch and step, "1-10_5"
  // and "_1-10_5" MindSpore's task, epoch and step, "100" and "_100" a step. Where several names of
  // a folder end so, the shortest is meant: the others are of tasks.
  std::string suffix = {};
};

// Scans `directory`, headers unread. Fails, naming the folders and files, when there is no rank
// folder, two folders are the same rank, a folder holds no checkpoint, formats are mixed, no step
// is common to all ranks, files of one folder cannot be compared, or ranks are of different steps.
Result<RankFiles> FindRankFiles(FileSystem& fs, const std::string& directory,
                                const FileChoice& choice = {});
// The same with the entries of `directory`, for who listed it already.
Result<RankFiles> FindRankFiles(FileSystem& fs, const std::string& directory,
                                const std::vector<DirectoryEntry>& entries,
                                const FileChoice& choice);

// "rank_12" -> 12; nothing for other names.
std::optional<int64_t> RankOfFolder(std::string_view folder_name);

}  // namespace relayout
