// SPDX-License-Identifier: Apache-2.0
//
// The verbs of the command line; each lives in <verb>_command.cc.
#pragma once

#include <CLI/CLI.hpp>

namespace relayout::cli {

// Each adds a subcommand to `app`. When it was chosen, its exit code is put into `exit_code`.
void AddTransformCommand(CLI::App& app, int& exit_code);
void AddRanksCommand(CLI::App& app, int& exit_code);
void AddMergeStrategiesCommand(CLI::App& app, int& exit_code);
void AddInspectCommand(CLI::App& app, int& exit_code);
void AddVerifyCommand(CLI::App& app, int& exit_code);
void AddDiffCommand(CLI::App& app, int& exit_code);
void AddDrawCommand(CLI::App& app, int& exit_code);
void AddStrategyCommand(CLI::App& app, int& exit_code);

}  // namespace relayout::cli
