// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/options.h"
#include "relayout/base/json_writer.h"
#include "relayout/base/text.h"
#include "relayout/convert/compare.h"
#include "relayout/convert/verify_manifest.h"
#include "relayout/io/posix_file_system.h"

namespace relayout::cli {
namespace {

constexpr char kDescription[] =
    "Check a converted checkpoint: against its source, element by element, without the planner; or "
    "alone, against its manifest.";

constexpr char kDetails[] =
    R"(Exit code 0 when every rank of DST holds exactly what it should, 1 when not.

  relayout verify src_checkpoints dst_checkpoints \
      --src-strategy src_strategy.ckpt --dst-strategy dst_strategy.ckpt

  relayout verify dst_checkpoints        # later, anywhere: is it what was written?

Alone, each file is held against the size and content hash in DST/.relayout, and all ranks must be
there. This finds damage, not a wrong conversion.)";

struct VerifyOptions {
  SetOptions source;
  SetOptions target;
  VerifyRequest request;
  bool json = false;
};

void PrintText(const VerifyReport& report, double seconds) {
  for (const std::string& problem : report.problems) Print(problem);
  if (report.problem_count > std::ssize(report.problems)) {
    Print(Format("... and {} more", report.problem_count - std::ssize(report.problems)));
  }
  Print(Format("{}: {}, {}, {} compared in {:.2f} s",
               report.problem_count == 0 ? "right" : Count(report.problem_count, "problem"),
               Count(report.file_count, "file"), Count(report.value_count, "value"),
               HumanBytes(report.compared_bytes), seconds));
}

void PrintJson(const VerifyReport& report, double seconds) {
  JsonWriter json;
  json.BeginObject().Key("ok").Bool(report.problem_count == 0);
  json.Key("files").Int(report.file_count).Key("values").Int(report.value_count);
  json.Key("compared_bytes").Int(report.compared_bytes).Key("seconds").Double(seconds);
  json.Key("problem_count").Int(report.problem_count).Key("problems").BeginArray();
  for (const std::string& problem : report.problems) json.String(problem);
  Print(json.EndArray().EndObject().text());
}

// SRC is the only path given, and it is the result.
Result<VerifyReport> VerifyAlone(const VerifyOptions& options, Progress& progress) {
  const auto fs = NewPosixFileSystem();
  return VerifyManifest(*fs, {.directory = options.source.path,
                              .ranks = options.request.ranks,
                              .thread_count = options.request.thread_count,
                              .progress = &progress});
}

Status CheckVerifiesAlone(const VerifyOptions& options) {
  if (options.source.strategy.empty() && options.target.strategy.empty() &&
      options.source.step.empty() && !options.request.keep_extra &&
      !options.request.remove_redundancy) {
    return OkStatus();
  }
  return InvalidInput(
      "give SRC and DST to verify against the source; or DST alone to verify against its manifest, "
      "without strategies, --step, --keep-extra and --remove-redundancy");
}

Result<VerifyReport> VerifyAgainstSource(VerifyOptions& options, Progress& progress) {
  options.request.progress = &progress;
  const auto fs = NewPosixFileSystem();
  return VerifyTransform(*fs, options.request);
}

int Run(VerifyOptions& options) {
  const bool alone = options.target.path.empty();
  if (const Status status = CheckVerifiesAlone(options); alone && !status.ok()) {
    Fail(status, options.json);
    return kExitUsage;
  }
  const auto source = options.source.Spec();
  const auto target = options.target.Spec();
  if (!source.ok() || !target.ok()) {
    Fail(source.ok() ? target.status() : source.status(), options.json);
    return kExitUsage;
  }
  options.request.source = *source;
  options.request.target = *target;
  ProgressLine line("verifying");
  const Result<VerifyReport> report =
      alone ? VerifyAlone(options, line.progress()) : VerifyAgainstSource(options, line.progress());
  if (!report.ok()) return Fail(report.status(), options.json);
  options.json ? PrintJson(*report, line.seconds()) : PrintText(*report, line.seconds());
  return report->problem_count == 0 ? kExitOk : kExitWrong;
}

}  // namespace

void AddVerifyCommand(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("verify", kDescription);
  command->footer(kDetails);
  const auto options = std::make_shared<VerifyOptions>();
  command
      ->add_option("SRC", options->source.path,
                   "The checkpoint that was converted; left out: DST is "
                   "verified alone")
      ->required()
      ->option_text("[SRC]");
  command->add_option("DST", options->target.path, "The result")->option_text("REQUIRED");
  AddStrategyOption(*command, "--src-strategy", options->source.strategy, "How SRC is sharded");
  AddStrategyOption(*command, "--dst-strategy", options->target.strategy, "How DST is sharded");
  AddFileChoiceOptions(*command, options->source);
  AddRankOption(*command, options->request.ranks, "Check only this target rank (repeatable)");
  command->add_flag("--keep-extra", options->request.keep_extra, "DST was made with --keep-extra");
  command->add_flag("--remove-redundancy", options->request.remove_redundancy,
                    "DST was made with --remove-redundancy");
  AddThreadsOption(*command, options->request.thread_count);
  AddJsonOption(*command, options->json);
  command->callback([options, &exit_code] { exit_code = Run(*options); });
}

}  // namespace relayout::cli
