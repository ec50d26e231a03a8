// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/checkpoint_set.h"

#include <algorithm>
#include <utility>

#include "relayout/base/byte_io.h"
#include "relayout/base/text.h"
#include "relayout/checkpoint/unified_files.h"
#include "relayout/convert/load_strategy.h"
#include "relayout/format/checkpoint_file.h"

namespace relayout {
namespace {

Result<RankFiles> FilesOf(FileSystem& fs, const CheckpointSetSpec& spec,
                          std::optional<UnifiedFiles>& unified) {
  RankFiles found;
  if (spec.files.empty()) {
    RELAYOUT_ASSIGN_OR_RETURN(const FileInfo info, fs.Stat(spec.path));
    if (info.kind == FileKind::kDirectory) {
      RELAYOUT_ASSIGN_OR_RETURN(const auto entries, fs.List(spec.path));
      RELAYOUT_ASSIGN_OR_RETURN(unified, FindUnifiedFiles(fs, spec.path, entries));
      if (!unified) {
        return FindRankFiles(fs, spec.path, entries,
                             {.step = spec.step, .suffix = spec.file_suffix});
      }
      found.path_of_rank = unified->path_of_rank;
      found.format = FileFormat::kSafetensors;
      found.is_unified = true;
      return found;
    }
    found.path_of_rank[0] = spec.path;
  } else {
    found.path_of_rank = spec.files;
  }
  std::optional<FileFormat> common;
  for (const auto& [rank, path] : found.path_of_rank) {
    const auto format = FormatOfName(BaseName(path));
    if (!format) {
      return InvalidInput(Format("{}: is neither a .ckpt nor a .safetensors file", path));
    }
    if (common && *common != *format) {
      return InvalidInput(
          Format("both formats are given: {} and {}", path, found.path_of_rank.begin()->second));
    }
    common = format;
  }
  found.format = *common;
  return found;
}

Status CheckRanks(const CheckpointSetSpec& spec, const RankFiles& files, const Strategy& strategy) {
  const auto stranger = std::find_if(
      files.path_of_rank.rbegin(), files.path_of_rank.rend(),
      [&](const auto& entry) { return entry.first < 0 || entry.first >= strategy.rank_count(); });
  if (stranger == files.path_of_rank.rend()) return OkStatus();
  return InvalidInput(
      Format("{}: rank {} ({}) has no place in {}, which is for {} (0-{}); is it the strategy of "
             "this checkpoint?",
             spec.text(), stranger->first, stranger->second, *spec.strategy_path,
             Count(strategy.rank_count(), "rank"), strategy.rank_count() - 1));
}

}  // namespace

Result<RankFiles> FindCheckpointFiles(FileSystem& fs, const CheckpointSetSpec& spec) {
  std::optional<UnifiedFiles> unified;
  return FilesOf(fs, spec, unified);
}

Result<CheckpointSet> OpenCheckpointSet(FileSystem& fs, const CheckpointSetSpec& spec,
                                        int thread_count, std::shared_ptr<NameTable> names) {
  // The strategy first: it is small, and a wrong path should show before thousands of headers are
  // read.
  if (!names) names = std::make_shared<NameTable>();
  std::optional<Strategy> strategy;
  if (spec.strategy_path) {
    RELAYOUT_ASSIGN_OR_RETURN(strategy, LoadStrategy(fs, *spec.strategy_path, names));
  }
  std::optional<UnifiedFiles> unified;
  RELAYOUT_ASSIGN_OR_RETURN(RankFiles files, FilesOf(fs, spec, unified));
  if (unified) {
    if (strategy) {
      return InvalidInput(Format(
          "{}: holds every tensor whole in {}; without rank folders there is nothing that {} could "
          "say about it. Convert it without a source strategy",
          spec.text(), files.path_of_rank.begin()->second, *spec.strategy_path));
    }
    strategy = Strategy::Empty(std::ssize(files.path_of_rank));
  } else if (strategy) {
    RELAYOUT_RETURN_IF_ERROR(CheckRanks(spec, files, *strategy));
  } else if (files.path_of_rank.size() > 1) {
    return InvalidInput(Format(
        "{}: holds {} ranks; without their strategy file nobody can tell how the tensors are cut. "
        "Give the strategy, or one rank's file if every rank holds the whole model",
        spec.text(), files.path_of_rank.size()));
  } else {
    // One file that holds everything is rank 0, whatever its folder is called.
    files.path_of_rank = {{0, files.path_of_rank.begin()->second}};
    strategy = Strategy::Empty(1);
  }
  std::vector<int64_t> missing;
  for (int64_t rank = 0; rank < strategy->rank_count(); ++rank) {
    if (!files.path_of_rank.contains(rank)) missing.push_back(rank);
  }
  RELAYOUT_ASSIGN_OR_RETURN(Catalog catalog,
                            Catalog::Open(fs, files.path_of_rank, thread_count, names));
  if (unified) RELAYOUT_RETURN_IF_ERROR(CheckUnifiedFiles(*unified, catalog));
  return CheckpointSet{.spec = spec,
                       .catalog = std::move(catalog),
                       .has_strategy = spec.strategy_path.has_value(),
                       .strategy = std::move(*strategy),
                       .format = files.format,
                       .is_unified = files.is_unified,
                       .step = files.step,
                       .notes = std::move(files.notes),
                       .missing_ranks = std::move(missing)};
}

std::string SerializeCheckpointSet(const CheckpointSet& set) {
  // A strategy that names nothing needs no table.
  RELAYOUT_CHECK(!set.has_strategy || set.strategy.name_table() == set.catalog.name_table());
  ByteWriter writer;
  set.catalog.name_table()->Write(writer);
  set.catalog.Write(writer);
  set.strategy.Write(writer);
  writer.Int(set.has_strategy ? 1 : 0);
  writer.Int(static_cast<int64_t>(set.format));
  writer.Int(set.is_unified ? 1 : 0);
  writer.Int(set.step ? 1 : 0);
  writer.Int(set.step ? set.step->epoch : 0);
  writer.Int(set.step ? set.step->step : 0);
  writer.Int(std::ssize(set.notes));
  for (const std::string& note : set.notes) writer.Text(note);
  writer.Int(std::ssize(set.missing_ranks));
  for (const int64_t rank : set.missing_ranks) writer.Int(rank);
  return writer.Take();
}

Result<CheckpointSet> DeserializeCheckpointSet(std::string_view bytes, CheckpointSetSpec spec) {
  ByteReader reader(bytes);
  const auto names = std::make_shared<NameTable>(NameTable::Read(reader));
  RELAYOUT_ASSIGN_OR_RETURN(Catalog catalog, Catalog::Read(reader, names));
  RELAYOUT_ASSIGN_OR_RETURN(Strategy strategy, Strategy::Read(reader, names));
  CheckpointSet set{.spec = std::move(spec),
                    .catalog = std::move(catalog),
                    .has_strategy = reader.IntIn(0, 1) == 1,
                    .strategy = std::move(strategy),
                    .format = static_cast<FileFormat>(
                        reader.IntIn(0, static_cast<int64_t>(FileFormat::kSafetensors))),
                    .is_unified = reader.IntIn(0, 1) == 1,
                    .step = {},
                    .notes = {},
                    .missing_ranks = {}};
  const bool has_step = reader.IntIn(0, 1) == 1;
  TrainingStep step;
  step.epoch = reader.Int();
  step.step = reader.Int();
  if (has_step) set.step = step;
  for (size_t left = reader.Count(); left > 0; --left) set.notes.emplace_back(reader.Text());
  for (size_t left = reader.Count(); left > 0; --left) set.missing_ranks.push_back(reader.Int());
  if (!reader.AtEnd()) return InvalidInput("the bytes are no checkpoint set");
  return set;
}

}  // namespace relayout
