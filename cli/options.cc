// SPDX-License-Identifier: Apache-2.0
#include "cli/options.h"

#include "relayout/base/text.h"

namespace relayout::cli {

Result<CheckpointSetSpec> SetOptions::Spec() const {
  CheckpointSetSpec spec;
  spec.path = path;
  spec.strategy_path = Optional(strategy);
  spec.file_suffix = file_suffix;
  if (!step.empty()) {
    spec.step = ParseStep(step);
    if (!spec.step) return InvalidInput(Format("--step {}: give EPOCH_STEP, e.g. 10_5", step));
  }
  for (const std::string& text : rank_files) {
    const size_t equals = text.find('=');
    const auto rank = ParseDecimal(std::string_view(text).substr(0, equals));
    if (!rank || equals == std::string::npos || equals + 1 == text.size()) {
      return InvalidInput(Format("--source-file {}: give RANK=FILE, e.g. 3=rank_3/x.ckpt", text));
    }
    if (!spec.files.emplace(*rank, text.substr(equals + 1)).second) {
      return InvalidInput(Format("--source-file: rank {} is given twice", *rank));
    }
  }
  return spec;
}

void AddStrategyOption(CLI::App& command, const std::string& name, std::string& value,
                       const std::string& whose) {
  command
      .add_option(name, value,
                  whose + ": strategy file or folder of stage files; left out: whole on one rank")
      ->type_name("FILE");
}

void AddFileChoiceOptions(CLI::App& command, SetOptions& options) {
  command
      .add_option("--step", options.step,
                  "Take the files named ...-EPOCH_STEP; default: the highest that every rank has")
      ->type_name("EPOCH_STEP");
  command
      .add_option("--file-suffix", options.file_suffix,
                  "Take the files whose names end so before .ckpt or .safetensors: 10_5, 1-10_5 "
                  "(task 1), or any text")
      ->type_name("TEXT");
}

void AddRankOption(CLI::App& command, std::vector<int64_t>& ranks, const std::string& help) {
  command.add_option("--rank", ranks, help)
      ->type_name("R")
      ->check(CLI::NonNegativeNumber)
      ->allow_extra_args(false);
}

void AddThreadsOption(CLI::App& command, int& threads) {
  command.add_option("--threads", threads, "Threads; default: one for each processor")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
}

void AddJsonOption(CLI::App& command, bool& json) {
  command.add_flag("--json", json, "Print the result as one JSON object on stdout");
}

std::string CheckBytes(const std::string& text) {
  if (ParseBytes(text)) return "";
  return Format("{} is not a size; write e.g. 256MiB or 1GiB", text);
}

std::optional<std::string> Optional(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

}  // namespace relayout::cli
