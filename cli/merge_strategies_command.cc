// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/options.h"
#include "relayout/base/json_writer.h"
#include "relayout/base/text.h"
#include "relayout/convert/merge_strategies.h"
#include "relayout/io/posix_file_system.h"

namespace relayout::cli {
namespace {

constexpr char kDescription[] = "Merge the strategy files of all pipeline stages into one.";

constexpr char kDetails[] =
    R"(DIR holds one .ckpt (or .json) strategy file a stage or a rank; files of one stage must agree. OUT is
protobuf, or JSON if it ends in .json.

  relayout merge-strategies src_pipeline_strategys src_strategy.ckpt)";

struct MergeOptions {
  std::string directory;
  std::string output;
  bool overwrite = false;
  bool json = false;
};

int Run(const MergeOptions& options) {
  const auto fs = NewPosixFileSystem();
  const Result<MergeReport> report =
      MergeStrategies(*fs, options.directory, options.output, options.overwrite);
  if (!report.ok()) return Fail(report.status(), options.json);
  JsonWriter json;
  json.BeginObject().Key("ok").Bool(true).Key("file").String(options.output);
  json.Key("stages").Int(report->stage_count).Key("parameters").Int(report->parameter_count);
  json.Key("ranks").Int(report->rank_count).EndObject();
  Print(options.json ? json.text()
                     : Format("{}: {}, {}, {}", options.output, Count(report->stage_count, "stage"),
                              Count(report->rank_count, "rank"),
                              Count(report->parameter_count, "parameter")));
  return kExitOk;
}

}  // namespace

void AddMergeStrategiesCommand(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("merge-strategies", kDescription);
  command->footer(kDetails);
  const auto options = std::make_shared<MergeOptions>();
  command->add_option("DIR", options->directory, "The folder with the stages' files")->required();
  command->add_option("OUT", options->output, "The merged file")->required();
  command->add_flag("--overwrite", options->overwrite, "Replace OUT if it exists");
  AddJsonOption(*command, options->json);
  command->callback([options, &exit_code] { exit_code = Run(*options); });
}

}  // namespace relayout::cli
