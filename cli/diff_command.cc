// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/options.h"
#include "relayout/base/json_writer.h"
#include "relayout/base/text.h"
#include "relayout/convert/compare.h"
#include "relayout/io/posix_file_system.h"

namespace relayout::cli {
namespace {

constexpr char kDescription[] = "Compare two checkpoints value by value, whatever their shardings.";

constexpr char kDetails[] =
    R"(Exit code 0 when all values are equal, 1 when not.

  relayout diff a_checkpoints b_checkpoints --a-strategy a.ckpt --b-strategy b.ckpt)";

struct DiffOptions {
  SetOptions a;
  SetOptions b;
  DiffRequest request;
  bool json = false;
};

void PrintText(const DiffReport& report) {
  for (const ValueDifference& difference : report.differences) {
    Print(Format("{}: {}", Printable(difference.name), difference.text));
  }
  Print(Format("{} equal, {} different", Count(report.equal_count, "value"),
               report.differences.size()));
}

void PrintJson(const DiffReport& report) {
  JsonWriter json;
  json.BeginObject().Key("ok").Bool(report.differences.empty());
  json.Key("equal").Int(report.equal_count);
  json.Key("compared_bytes").Int(report.compared_bytes);
  json.Key("differences").BeginArray();
  for (const ValueDifference& difference : report.differences) {
    json.BeginObject().Key("name").String(difference.name);
    json.Key("difference").String(difference.text).EndObject();
  }
  Print(json.EndArray().EndObject().text());
}

int Run(DiffOptions& options) {
  const auto a = options.a.Spec();
  const auto b = options.b.Spec();
  if (!a.ok() || !b.ok()) {
    Fail(a.ok() ? b.status() : a.status(), options.json);
    return kExitUsage;
  }
  options.request.a = *a;
  options.request.b = *b;
  ProgressLine line("comparing");
  options.request.progress = &line.progress();
  const auto fs = NewPosixFileSystem();
  const Result<DiffReport> report = DiffCheckpoints(*fs, options.request);
  if (!report.ok()) return Fail(report.status(), options.json);
  options.json ? PrintJson(*report) : PrintText(*report);
  return report->differences.empty() ? kExitOk : kExitWrong;
}

}  // namespace

void AddDiffCommand(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("diff", kDescription);
  command->footer(kDetails);
  const auto options = std::make_shared<DiffOptions>();
  command->add_option("A", options->a.path, "A checkpoint: folder or file")->required();
  command->add_option("B", options->b.path, "Another")->required();
  AddStrategyOption(*command, "--a-strategy", options->a.strategy, "How A is sharded");
  AddStrategyOption(*command, "--b-strategy", options->b.strategy, "How B is sharded");
  AddThreadsOption(*command, options->request.thread_count);
  AddJsonOption(*command, options->json);
  command->callback([options, &exit_code] { exit_code = Run(*options); });
}

}  // namespace relayout::cli
