// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/dry_run.h"
#include "cli/options.h"
#include "cli/world.h"
#include "relayout/base/json_writer.h"
#include "relayout/base/text.h"
#include "relayout/convert/transform.h"
#include "relayout/io/posix_file_system.h"

namespace relayout::cli {
namespace {

constexpr char kDescription[] = "Convert a checkpoint from one sharding to another.";

constexpr char kDetails[] =
    R"(SRC holds rank_0/, rank_1/, ... with one .ckpt or .safetensors file each (or is one such file, if it holds
the whole model). DST gets rank_<r>/<prefix><r>.ckpt for every rank of the target strategy. Files appear
under their names only when all of them are whole and on disk.

  relayout transform src_checkpoints dst_checkpoints \
      --src-strategy src_strategy.ckpt --dst-strategy dst_strategy.ckpt

What it would take, to the byte, and how one tensor is put together:

  relayout transform src_checkpoints dst_checkpoints --dry-run --explain layer1.weight \
      --src-strategy src_strategy.ckpt --dst-strategy dst_strategy.ckpt

DST/.relayout keeps a record of each file: what it was made from, so that runs that each write one rank
of a set cannot mix two sets, and what its bytes hash to, for `relayout verify DST`. It may be deleted.

A model that is whole in several safetensors files (param_name_map.json or *.safetensors.index.json beside
them) can be SRC, and --unified makes DST one:

  relayout transform src_checkpoints model --src-strategy src_strategy.ckpt --unified
  relayout transform model dst_checkpoints --dst-strategy dst_strategy.ckpt --format ckpt

A run that was killed is gone on with by the same command and --resume.

Many processes share one conversion, on one machine or several with a common file system:

  mpirun -n 8 relayout transform src_checkpoints dst_checkpoints ...

One rank a machine, copying only the files that `relayout ranks` lists:

  relayout transform dst_checkpoints --rank 0 --source-file 0=a.ckpt --source-file 2=b.ckpt \
      --src-strategy src_strategy.ckpt --dst-strategy dst_strategy.ckpt)";

struct TransformOptions {
  SetOptions source;
  std::string target;
  std::string output_file;
  std::string target_strategy;
  std::string format;
  std::string memory = "256MiB";
  std::string replicas = "copy";
  std::vector<std::string> renames;    // "old=new"
  std::vector<std::string> left_outs;  // Names.
  bool unified = false;
  std::string part_size = "3GiB";
  std::string task = "1/1";
  TransformRequest request;
  DryRunFlags dry_run;
  bool no_sync = false;
  bool no_crc_check = false;
  bool json = false;
};

// With --source-file or --output one of the two paths is not needed; what is left is in
// `source.path`.
Status AssignPaths(TransformOptions& options) {
  const bool needs_source = options.source.rank_files.empty();
  const bool needs_target = options.output_file.empty();
  const int wanted = (needs_source ? 1 : 0) + (needs_target ? 1 : 0);
  const int given = (options.source.path.empty() ? 0 : 1) + (options.target.empty() ? 0 : 1);
  if (given != wanted) {
    return InvalidInput(Format("{} needed: {}{}{}", Count(wanted, "path"),
                               needs_source ? "SRC " : "(--source-file replaces SRC) ",
                               needs_target ? "DST" : "(--output replaces DST)",
                               Format("; {} given", given)));
  }
  if (!needs_source) std::swap(options.source.path, options.target);
  return OkStatus();
}

Result<std::map<std::string, std::optional<std::string>, std::less<>>> NewNames(
    const TransformOptions& options) {
  std::map<std::string, std::optional<std::string>, std::less<>> names;
  for (const std::string& text : options.renames) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
      return InvalidInput(Format("--rename {}: give OLD=NEW", text));
    }
    const std::string name = text.substr(0, equals);
    if (!names.emplace(name, text.substr(equals + 1)).second) {
      return InvalidInput(Format("--rename: {} is given twice", name));
    }
  }
  for (const std::string& name : options.left_outs) {
    if (!names.emplace(name, std::nullopt).second) {
      return InvalidInput(Format("--leave-out {}: is given twice, or is to be renamed", name));
    }
  }
  return names;
}

Result<UnifiedOptions> Unified(const TransformOptions& options) {
  const size_t slash = options.task.find('/');
  const auto task = ParseDecimal(std::string_view(options.task).substr(0, slash));
  const auto count =
      slash == std::string::npos ? std::nullopt : ParseDecimal(options.task.substr(slash + 1));
  if (!task || !count) return InvalidInput(Format("--task {}: give I/N, e.g. 2/4", options.task));
  return UnifiedOptions{
      .part_bytes = *ParseBytes(options.part_size), .task = *task - 1, .task_count = *count};
}

Result<TransformRequest> BuildRequest(TransformOptions& options) {
  TransformRequest request = options.request;
  RELAYOUT_ASSIGN_OR_RETURN(request.source, options.source.Spec());
  request.target_directory = options.target;
  request.target_file = options.output_file;
  request.target_strategy_path = Optional(options.target_strategy);
  if (options.format == "ckpt") request.format = FileFormat::kMindSporeCheckpoint;
  if (options.format == "safetensors") request.format = FileFormat::kSafetensors;
  RELAYOUT_ASSIGN_OR_RETURN(request.contents.renames, NewNames(options));
  if (options.unified) {
    RELAYOUT_ASSIGN_OR_RETURN(request.unified, Unified(options));
  }
  request.sync = !options.no_sync;
  request.check_crc = !options.no_crc_check;
  request.memory_bytes = *ParseBytes(options.memory);
  if (options.replicas == "hardlink") request.replica_mode = ReplicaMode::kHardLink;
  if (options.replicas == "reflink") request.replica_mode = ReplicaMode::kReflink;
  return request;
}

// What this run did of the whole.
std::string WorkText(const TransformReport& report, double seconds) {
  if (report.is_complete) return "there already";
  if (report.resumed_bytes == 0) {
    return Format("written in {:.2f} s ({})", seconds, RateText(report.target_bytes, seconds));
  }
  return Format("of which {} were there already and {} written in {:.2f} s ({})",
                HumanBytes(report.resumed_bytes), HumanBytes(report.written_bytes), seconds,
                RateText(report.written_bytes, seconds));
}

void PrintText(const TransformReport& report, double seconds) {
  Print(Format("{} -> {}: {}, {} {}",
               Count(report.source_rank_count, report.source_is_unified ? "file" : "rank"),
               Count(report.target_rank_count, report.is_unified ? "file" : "rank"),
               Count(report.value_count, "value"), HumanBytes(report.target_bytes),
               WorkText(report, seconds)));
  if (!report.is_complete && !report.source_ranks_read.empty()) {
    const int64_t count = std::ssize(report.source_ranks_read);
    Print(Format("  read {} from {}", HumanBytes(report.read_bytes),
                 report.source_is_unified
                     ? Count(count, "file")
                     : Format("the files of rank {}", RankRuns(report.source_ranks_read))));
  }
  size_t listed = 0;
  for (const auto& [rank, path] : report.file_of_rank) {
    if (listed++ >= 8) continue;
    Print(report.is_unified ? "  " + path : Format("  rank {:<4} {}", rank, path));
  }
  if (listed > 8) Print(Format("  ... and {} more", listed - 8));
  for (const Note& note : report.notes) Print("  note: " + note.message);
}

void PrintJson(const TransformReport& report, double seconds) {
  JsonWriter json;
  json.BeginObject().Key("ok").Bool(true);
  json.Key("source_ranks").Int(report.source_rank_count);
  json.Key("target_ranks").Int(report.target_rank_count);
  json.Key("source_ranks_read").BeginArray();
  for (const int64_t rank : report.source_ranks_read) json.Int(rank);
  json.EndArray().Key("values").Int(report.value_count);
  json.Key("read_bytes").Int(report.read_bytes);
  json.Key("written_bytes").Int(report.written_bytes);
  json.Key("target_bytes").Int(report.target_bytes);
  json.Key("resumed_bytes").Int(report.resumed_bytes);
  json.Key("seconds").Double(seconds);
  if (report.step) {
    json.Key("step").BeginObject().Key("epoch").Int(report.step->epoch);
    json.Key("step").Int(report.step->step).EndObject();
  }
  json.Key("files").BeginObject();
  for (const auto& [rank, path] : report.file_of_rank) {
    json.Key(std::to_string(rank)).String(path);
  }
  json.EndObject().Key("notes").BeginArray();
  for (const Note& note : report.notes) {
    json.BeginObject().Key("kind").String(note.kind);
    json.Key("message").String(note.message).EndObject();
  }
  Print(json.EndArray().EndObject().text());
}

Result<TransformRequest> ReadOptions(TransformOptions& options) {
  RELAYOUT_RETURN_IF_ERROR(AssignPaths(options));
  return BuildRequest(options);
}

int Run(TransformOptions& options) {
  Result<std::unique_ptr<Comm>> world = JoinWorld();
  if (!world.ok()) return Fail(world.status(), options.json);
  // All processes have the same outcome, and one of them tells it.
  const bool speaks = (*world)->rank() == 0;
  Result<TransformRequest> request = ReadOptions(options);
  if (const Status status = Agree(**world, request.status()); !status.ok()) {
    if (speaks) Fail(status, options.json);
    return kExitUsage;
  }
  // A dry run is small: one process does it.
  if (options.dry_run.is_wanted()) {
    return speaks ? DryRun(*request, options.dry_run, options.json) : kExitOk;
  }
  const auto fs = NewPosixFileSystem();
  ProgressLine line("converting", speaks);
  request->progress = &line.progress();
  const Result<TransformReport> report = TransformCheckpoints(*fs, **world, *request);
  if (!report.ok())
    return speaks ? Fail(report.status(), options.json) : ExitCodeOf(report.status());
  if (speaks || !report->is_shared) {
    options.json ? PrintJson(*report, line.seconds()) : PrintText(*report, line.seconds());
  }
  return kExitOk;
}

void AddUnifiedOptions(CLI::App& command, TransformOptions& options) {
  CLI::Option* const unified =
      command.add_flag("--unified", options.unified,
                       "Write the whole model into DST/part<n>.safetensors, with "
                       "param_name_map.json, instead of rank folders");
  command.add_option("--part-size", options.part_size, "About how large the parts are to be")
      ->type_name("SIZE")
      ->check(CLI::Validator(CheckBytes, ""))
      ->capture_default_str()
      ->needs(unified);
  command.add_option("--task", options.task, "Write only the I-th of N shares of the parts")
      ->type_name("I/N")
      ->needs(unified);
}

}  // namespace

void AddTransformCommand(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("transform", kDescription);
  command->footer(kDetails);
  const auto options = std::make_shared<TransformOptions>();
  TransformRequest& request = options->request;
  command->add_option("SRC", options->source.path, "The checkpoint to convert: folder or file");
  command->add_option("DST", options->target, "The folder to write; created if missing");
  AddStrategyOption(*command, "--src-strategy", options->source.strategy, "How SRC is sharded");
  AddStrategyOption(*command, "--dst-strategy", options->target_strategy,
                    "How DST is to be sharded");
  command->add_option("--prefix", request.prefix, "Files are named <prefix><rank>.ckpt")
      ->type_name("TEXT")
      ->capture_default_str();
  command
      ->add_option("--file-name", request.file_name,
                   "Every rank's file has this name, without extension, instead of <prefix><rank>")
      ->type_name("TEXT");
  AddRankOption(
      *command, request.ranks,
      "Write only this target rank (repeatable); source ranks that it does not need may be "
      "missing");
  command
      ->add_option("--source-file", options->source.rank_files,
                   "A source rank's file, instead of SRC (repeatable)")
      ->type_name("RANK=FILE")
      ->allow_extra_args(false);
  command
      ->add_option("--output", options->output_file,
                   "The file to write, instead of DST, with one --rank")
      ->type_name("FILE");
  command->add_option("--format", options->format, "Of the files written; default: as the source's")
      ->check(CLI::IsMember({"ckpt", "safetensors"}));
  AddFileChoiceOptions(*command, options->source);
  AddUnifiedOptions(*command, *options);
  command->add_option("--rename", options->renames, "Give a value another name (repeatable)")
      ->type_name("OLD=NEW")
      ->allow_extra_args(false);
  command->add_option("--leave-out", options->left_outs, "Leave a value out (repeatable)")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command->add_flag("--keep-extra", request.contents.keep_extra,
                    "Keep parameters that only the source strategy knows, whole, on every rank");
  command->add_flag(
      "--allow-missing", request.contents.allow_missing,
      "Go on without parameters that no file holds and rank folders that replicas replace");
  command->add_flag("--strict", request.contents.strict,
                    "Make it an error when a parameter is in one strategy only");
  command->add_flag("--check-replicas", request.check_replicas,
                    "First compare all replicas of the source bit by bit");
  command->add_flag("--trust-strategy", request.trust_strategy,
                    "Go on although the files look as if saved under another strategy");
  command->add_flag("--no-crc-check", options->no_crc_check,
                    "Do not check CRC trailers of source files");
  command->add_flag("--crc", request.crc_trailer, "Append CRC trailers (.ckpt)");
  command->add_flag(
      "--overwrite", request.overwrite,
      "Replace the checkpoints that DST holds, all of them, once the new ones are whole");
  command->add_flag(
      "--keep-others", request.keep_others,
      "Leave checkpoints of other names in DST's rank folders alone; without it they are "
      "in the way, or replaced");
  command->add_flag("--no-sync", options->no_sync,
                    "Do not wait for the disk: faster, but a power cut may lose files");
  command->add_flag("--resume", request.resume,
                    "Go on where an earlier run of this command stopped, and leave what this one "
                    "has done if it is stopped");
  command
      ->add_option("--replicas", options->replicas,
                   "How ranks get files that equal another rank's: written each, or once and then "
                   "linked (hardlink: changing one changes both)")
      ->check(CLI::IsMember({"copy", "hardlink", "reflink"}))
      ->capture_default_str();
  command->add_flag("--remove-redundancy", request.remove_redundancy,
                    "Store each value with one of the ranks that hold the same of it, as "
                    "MindSpore's remove_redundancy does");
  AddDryRunOptions(*command, options->dry_run);
  AddThreadsOption(*command, request.thread_count);
  command->add_option("--memory", options->memory, "Memory to use, at least 64MiB")
      ->type_name("SIZE")
      ->check(CLI::Validator(CheckBytes, ""))
      ->capture_default_str();
  AddJsonOption(*command, options->json);
  command->callback([options, &exit_code] { exit_code = Run(*options); });
}

}  // namespace relayout::cli
