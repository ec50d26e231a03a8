// SPDX-License-Identifier: Apache-2.0
//
// What `transform --dry-run` and `--explain` print: on one page for any number of ranks; everything
// with --json.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "relayout/convert/transform.h"

namespace relayout::cli {

struct DryRunFlags {
  bool dry_run = false;
  bool no_probe = false;
  std::vector<std::string> explain;

  bool is_wanted() const { return dry_run || !explain.empty(); }
};

void AddDryRunOptions(CLI::App& command, DryRunFlags& flags);

// Prints what `request` would do. The exit code is kExitOk when nothing is known to stand in its
// way, kExitWrong when it could not work, else as the conversion's.
int DryRun(TransformRequest request, const DryRunFlags& flags, bool json);

}  // namespace relayout::cli
