// SPDX-License-Identifier: Apache-2.0
//
// CheckpointSet: checkpoint files together with the strategy they were saved under. What every
// command starts from.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/name_table.h"
#include "relayout/base/status.h"
#include "relayout/checkpoint/catalog.h"
#include "relayout/checkpoint/rank_files.h"
#include "relayout/io/file_system.h"
#include "relayout/layout/strategy.h"

namespace relayout {

// How a user names a set.
struct CheckpointSetSpec {
  // A directory with rank folders, one with a unified set (checkpoint/unified_files.h), or one
  // checkpoint file (rank 0).
  std::string path;
  // Instead of `path`: the file of each rank, as in transform_checkpoint_by_rank.
  std::map<int64_t, std::string> files;
  // A strategy file or a folder of stage files. Nothing: one rank that holds every tensor whole.
  std::optional<std::string> strategy_path;
  std::optional<TrainingStep> step;
  // Only files whose names, without extension, end like this: "-10_5", "10_5"; see rank_files.h.
  std::string file_suffix = {};

  // For messages: the path, or the first file.
  const std::string& text() const { return path.empty() ? files.begin()->second : path; }
};

// Names of the strategy and the catalog are in one table.
struct CheckpointSet {
  CheckpointSetSpec spec;
  Catalog catalog;
  bool has_strategy = false;
  Strategy strategy;
  FileFormat format = FileFormat::kMindSporeCheckpoint;
  // The ranks are the files of a unified set.
  bool is_unified = false;
  std::optional<TrainingStep> step;
  std::vector<std::string> notes;
  // Ranks of the strategy for which there is no file, ascending.
  std::vector<int64_t> missing_ranks;
};

// What a process must know of `set` beside its spec, for others that take part in the same work.
// Names are in it once.
std::string SerializeCheckpointSet(const CheckpointSet& set);
// Fails on bytes that are no set.
Result<CheckpointSet> DeserializeCheckpointSet(std::string_view bytes, CheckpointSetSpec spec);

// The files that `spec` names, headers unread.
Result<RankFiles> FindCheckpointFiles(FileSystem& fs, const CheckpointSetSpec& spec);

// Reads strategy and headers. Fails when a file or strategy cannot be read, when files are of ranks
// that the strategy does not have, or when there are several ranks and no strategy. Missing ranks
// are listed, not refused: whether they matter is for the caller to say.
// Names are added to `names`, which another strategy may share; null = its own.
Result<CheckpointSet> OpenCheckpointSet(FileSystem& fs, const CheckpointSetSpec& spec,
                                        int thread_count,
                                        std::shared_ptr<NameTable> names = nullptr);

}  // namespace relayout
