// SPDX-License-Identifier: Apache-2.0
#include "cli/shown_strategy.h"

#include <utility>
#include <vector>

#include "relayout/convert/load_strategy.h"
#include "relayout/format/strategy_file.h"

namespace relayout::cli {

Result<ShownStrategy> LoadStrategyToShow(FileSystem& fs, const std::string& path) {
  RELAYOUT_ASSIGN_OR_RETURN(const FileInfo info, fs.Stat(path));
  if (info.kind == FileKind::kDirectory) {
    RELAYOUT_ASSIGN_OR_RETURN(Strategy merged, LoadStrategy(fs, path));
    return ShownStrategy{.strategy = std::move(merged), .first_stage = 0};
  }
  RELAYOUT_ASSIGN_OR_RETURN(StrategyFile file, ReadStrategyFile(fs, path));
  const int64_t first_stage = file.stages[0].stage;
  std::vector<StageStrategy> stages;
  for (StrategyFile::StageLayouts& stage : file.stages) stages.push_back(std::move(stage.layouts));
  auto strategy = Strategy::Create(std::move(stages));
  if (!strategy.ok()) return strategy.status().WithContext(path);
  return ShownStrategy{.strategy = std::move(*strategy), .first_stage = first_stage};
}

}  // namespace relayout::cli
