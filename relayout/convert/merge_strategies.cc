// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/merge_strategies.h"

#include <utility>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/convert/load_strategy.h"

namespace relayout {

Result<MergeReport> MergeStrategies(FileSystem& fs, const std::string& directory,
                                    const std::string& output_path, bool overwrite) {
  if (Exists(fs, output_path) && !overwrite) {
    return AlreadyExists(Format("{}: exists; use --overwrite to replace it", output_path));
  }
  // A result of an earlier run in the same folder is not an input.
  const std::string in_folder = JoinPath(directory, BaseName(output_path));
  const auto output = fs.Stat(output_path);
  const auto candidate = fs.Stat(in_folder);
  const bool is_inside = output.ok() && candidate.ok() && output->inode == candidate->inode &&
                         output->device == candidate->device;
  RELAYOUT_ASSIGN_OR_RETURN(
      const StrategyFile merged,
      MergeStageFiles(fs, directory, is_inside ? in_folder : "", MergedFiles::kRefuse));
  MergeReport report{.stage_count = std::ssize(merged.stages)};
  std::vector<StageStrategy> stages;
  for (const auto& stage : merged.stages) {
    report.parameter_count += std::ssize(stage.layouts.parameters);
    stages.push_back(stage.layouts);
  }
  const auto strategy = Strategy::Create(std::move(stages));
  if (!strategy.ok()) return strategy.status().WithContext(directory);
  report.rank_count = strategy->rank_count();

  const std::string bytes = output_path.ends_with(".json") ? SerializeStrategyJson(merged)
                                                           : SerializeStrategyProtobuf(merged);
  RELAYOUT_RETURN_IF_ERROR(PublishFile(fs, output_path, bytes, overwrite));
  return report;
}

}  // namespace relayout
