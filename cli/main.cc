// SPDX-License-Identifier: Apache-2.0
#include <csignal>
#include <cstdio>
#include <new>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/world.h"
#include "relayout/base/text.h"
#include "relayout/io/posix_file_system.h"

namespace {

constexpr char kDescription[] =
    R"(relayout turns a distributed MindSpore checkpoint saved on M devices under one sharding strategy
into the checkpoint that N devices under another can fine-tune from or infer with.)";

constexpr char kFooter[] =
    R"(Exit codes: 0 all is right; 1 the input or the request is wrong, or sets differ; 2 the command
line is wrong; 3 the machine failed (I/O, memory); 130 interrupted.
`relayout VERB --help` explains a verb.)";

int Main(int argc, char** argv) {
  CLI::App app{kDescription};
  app.name("relayout");
  app.footer(kFooter);
  app.set_version_flag("--version",
                       relayout::Format("{} ({})", RELAYOUT_VERSION, relayout::cli::MpiSupport()));
  app.require_subcommand(1);
  int exit_code = relayout::cli::kExitOk;
  relayout::cli::AddTransformCommand(app, exit_code);
  relayout::cli::AddRanksCommand(app, exit_code);
  relayout::cli::AddMergeStrategiesCommand(app, exit_code);
  relayout::cli::AddStrategyCommand(app, exit_code);
  relayout::cli::AddInspectCommand(app, exit_code);
  relayout::cli::AddDrawCommand(app, exit_code);
  relayout::cli::AddVerifyCommand(app, exit_code);
  relayout::cli::AddDiffCommand(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // 0 for --help and --version, which CLI11 also throws.
    return app.exit(error) == 0 ? relayout::cli::kExitOk : relayout::cli::kExitUsage;
  }
  // A full disk shows here at the latest when stdout goes to a file.
  if (std::fflush(stdout) != 0 && exit_code == relayout::cli::kExitOk) {
    std::fprintf(stderr, "relayout: error: cannot write to stdout\n");
    return relayout::cli::kExitMachine;
  }
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  relayout::RaiseOpenFileLimit();
  // Beyond `ulimit -f` a write then fails like on a full disk, and we clean up.
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    return Main(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "relayout: error: out of memory\n");
    return relayout::cli::kExitMachine;
  }
}
