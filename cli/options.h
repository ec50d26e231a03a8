// SPDX-License-Identifier: Apache-2.0
//
// Options that several verbs share, with one spelling and one help text each.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/checkpoint/rank_files.h"
#include "relayout/convert/checkpoint_set.h"

namespace relayout::cli {

// What the user typed to name a checkpoint set.
struct SetOptions {
  std::string path;
  std::string strategy;
  std::vector<std::string> rank_files;  // "3=path/to/file.ckpt"
  std::string step;
  std::string file_suffix;

  // Fails on a malformed rank file or step.
  Result<CheckpointSetSpec> Spec() const;
};

void AddStrategyOption(CLI::App& command, const std::string& name, std::string& value,
                       const std::string& whose);
// Which of several files in rank folders: --step and --file-suffix.
void AddFileChoiceOptions(CLI::App& command, SetOptions& options);
void AddRankOption(CLI::App& command, std::vector<int64_t>& ranks, const std::string& help);
void AddThreadsOption(CLI::App& command, int& threads);
void AddJsonOption(CLI::App& command, bool& json);

// An option value like "256MiB" as bytes; for CLI::Option::check.
std::string CheckBytes(const std::string& text);

// "" -> nothing.
std::optional<std::string> Optional(const std::string& text);

}  // namespace relayout::cli
