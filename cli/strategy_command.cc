// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/table.h"
#include "relayout/base/json_writer.h"
#include "relayout/base/text.h"
#include "relayout/graph/mindir.h"
#include "relayout/infer/auto/explain.h"
#include "relayout/infer/infer_strategy.h"
#include "relayout/infer/optimizer_states.h"
#include "relayout/io/posix_file_system.h"
#include "relayout/layout/notation.h"

namespace relayout::cli {
namespace {

constexpr char kDescription[] =
    "Work out the strategy file that MindSpore would write for a network, without a cluster.";

constexpr char kDetails[] =
    R"(NET is a network as mindspore.export(..., file_format="MINDIR") writes it on any machine. Operators
that were given a strategy with shard() are cut so; --mode says what becomes of the others: their
batch is cut by all devices (semi_auto), or auto: what the annotated ones imply
(--search propagation), or what costs least under a model of the machine (--search cost).

Without --full-batch each device is fed a batch as large as NET was exported with.

  relayout strategy net.mindir --devices 8 -o src_strategy.ckpt
  relayout strategy net.mindir --devices 4 --optimizer-parallel --full-batch -o dst_strategy.ckpt
  relayout strategy net.mindir --devices 8 --stages 2 --stage layer1=0,layer2=1,layer3=1 \
      -o 'strategy_{stage}.ckpt')";

constexpr char kStageMark[] = "{stage}";

struct StrategyOptions {
  std::string network;
  InferOptions infer;
  std::string phase = "train";
  std::string mode = "semi_auto";
  std::string search = "propagation";
  std::vector<std::string> stages;
  std::string output;
  bool merged = false;
  bool overwrite = false;
  bool explain = false;
  bool json = false;
};

InferMode ModeOf(const StrategyOptions& options) {
  if (options.mode == "semi_auto") return InferMode::kAnnotated;
  return options.search == "cost" ? InferMode::kSearched : InferMode::kPropagated;
}

// Puts what was typed into options.infer.
Status Interpret(StrategyOptions& options) {
  options.infer.training = options.phase == "train";
  options.infer.mode = ModeOf(options);
  for (const std::string& text : options.stages) {
    RELAYOUT_ASSIGN_OR_RETURN(StageRule rule, ParseStageRule(text));
    options.infer.stage_rules.push_back(std::move(rule));
  }
  if (options.search == "cost" && options.mode != "auto") {
    return InvalidInput("--search cost is a way of --mode auto; add that");
  }
  if (options.infer.stage_count == 1 && !options.stages.empty()) {
    return InvalidInput("--stage says which cells are in which stage; add --stages, their number");
  }
  const bool has_mark = options.output.find(kStageMark) != std::string::npos;
  if (options.merged && has_mark) {
    return InvalidInput(Format("{}: --merged makes one file, but {} stands for the number of one",
                               options.output, kStageMark));
  }
  if (options.infer.stage_count > 1 && !options.merged && !has_mark) {
    return InvalidInput(Format(
        "{}: one name for the files of {} stages; put {} into it, or take --merged for one file",
        options.output, options.infer.stage_count, kStageMark));
  }
  return OkStatus();
}

struct OutputFile {
  std::string path;
  StrategyFile file;
};

std::string PathOfStage(std::string path, size_t stage) {
  const size_t mark = path.find(kStageMark);
  if (mark != std::string::npos) path.replace(mark, sizeof(kStageMark) - 1, std::to_string(stage));
  return path;
}

std::vector<OutputFile> OutputFiles(const StrategyOptions& options,
                                    std::vector<StrategyFile> stages) {
  if (options.merged) return {{options.output, MergedStages(std::move(stages))}};
  std::vector<OutputFile> files;
  for (size_t stage = 0; stage < stages.size(); ++stage) {
    files.push_back({PathOfStage(options.output, stage), std::move(stages[stage])});
  }
  return files;
}

Status Write(FileSystem& fs, const std::vector<OutputFile>& files, bool overwrite) {
  for (const OutputFile& output : files) {
    if (Exists(fs, output.path) && !overwrite) {
      return AlreadyExists(Format("{}: exists; use --overwrite to replace it", output.path));
    }
  }
  for (const OutputFile& output : files) {
    const std::string bytes = output.path.ends_with(".json")
                                  ? SerializeStrategyJson(output.file)
                                  : SerializeStrategyProtobuf(output.file);
    RELAYOUT_RETURN_IF_ERROR(PublishFile(fs, output.path, bytes, overwrite));
  }
  return OkStatus();
}

int64_t ParameterCount(const StrategyFile& file) {
  int64_t count = 0;
  for (const auto& stage : file.stages) count += std::ssize(stage.layouts.parameters);
  return count;
}

std::string ResultText(const StrategyOptions& options, const std::vector<OutputFile>& files) {
  std::string text;
  for (const OutputFile& output : files) {
    text += Format("{}{}: {}, {}", text.empty() ? "" : "\n", output.path,
                   Count(options.infer.device_count / options.infer.stage_count *
                             std::ssize(output.file.stages),
                         "device"),
                   Count(ParameterCount(output.file), "parameter"));
  }
  return text;
}

const char* OriginOf(const StrategyOptions& options, const Operator& op) {
  if (op.cuts || op.mesh_cuts) return "annotation";
  switch (options.infer.mode) {
    case InferMode::kAnnotated:
      return "default";
    case InferMode::kPropagated:
      return "propagation";
    case InferMode::kSearched:
      return "search";
  }
  return "";
}

// What an operator's cuts are called: those that name mesh axes are in its annotation.
std::string CutsText(const InferredStrategy& inferred, size_t id) {
  const Operator& op = inferred.graph.operators()[id];
  return op.mesh_cuts ? ToText(*op.mesh_cuts) : ToText(inferred.layouts[id].cuts);
}

void AddOperators(const StrategyOptions& options, const InferredStrategy& inferred,
                  JsonWriter& json) {
  json.Key("operators").BeginArray();
  for (size_t id = 0; id < inferred.layouts.size(); ++id) {
    const Operator& op = inferred.graph.operators()[id];
    json.BeginObject().Key("type").String(op.type).Key("name").String(op.name);
    json.Key("stage").Int(inferred.stage_of[id]).Key("cuts").String(CutsText(inferred, id));
    json.Key("from").String(OriginOf(options, op)).EndObject();
  }
  json.EndArray();
}

std::string ResultJson(const StrategyOptions& options, const InferredStrategy& inferred,
                       const std::vector<OutputFile>& files) {
  JsonWriter json;
  json.BeginObject().Key("ok").Bool(true).Key("devices").Int(options.infer.device_count);
  json.Key("stages").Int(options.infer.stage_count).Key("files").BeginArray();
  for (const OutputFile& output : files) {
    json.BeginObject().Key("file").String(output.path);
    json.Key("parameters").Int(ParameterCount(output.file)).EndObject();
  }
  json.EndArray();
  if (options.explain) AddOperators(options, inferred, json);
  json.EndObject();
  return json.text();
}

void ExplainOperators(const StrategyOptions& options, const InferredStrategy& inferred) {
  if (inferred.search) return Print(ExplainText(inferred.graph, *inferred.search));
  Table table({"stage", "operator", "cell", "cuts of its inputs", "from"});
  for (size_t id = 0; id < inferred.layouts.size(); ++id) {
    const Operator& op = inferred.graph.operators()[id];
    table.Add({std::to_string(inferred.stage_of[id]), Printable(op.type), Printable(CellOf(op)),
               CutsText(inferred, id), OriginOf(options, op)});
  }
  table.PrintAll();
}

void ExplainParameters(const InferredStrategy& inferred) {
  Table table({"stage", "parameter", "layout"});
  for (const StrategyFile& file : inferred.stages) {
    for (const ParameterLayout& parameter : file.stages[0].layouts.parameters) {
      const ValueId id = inferred.graph.FindParameter(parameter.name);
      if (id == kNoId) continue;  // The optimizer's; it lies as its parameter.
      const Value& value = inferred.graph.value(id);
      table.Add({std::to_string(file.stages[0].stage), Printable(parameter.name),
                 ToText(parameter.layout, value.dtype, value.shape)});
    }
  }
  table.PrintAll();
}

Status Run(FileSystem& fs, StrategyOptions& options) {
  RELAYOUT_RETURN_IF_ERROR(Interpret(options));
  RELAYOUT_ASSIGN_OR_RETURN(const Graph graph, ReadMindir(fs, options.network));
  Result<InferredStrategy> inferred = InferStrategy(graph, options.infer);
  if (!inferred.ok()) return inferred.status().WithContext(options.network);
  const std::vector<OutputFile> files = OutputFiles(options, inferred->stages);
  if (options.explain && !options.json) {
    ExplainOperators(options, *inferred);
    Print("");
    ExplainParameters(*inferred);
    Print("");
  }
  RELAYOUT_RETURN_IF_ERROR(Write(fs, files, options.overwrite));
  Print(options.json ? ResultJson(options, *inferred, files) : ResultText(options, files));
  return OkStatus();
}

// Whole numbers; for CLI::Option::check, whose own ranges are spelled with 309 digits.
std::string CheckCount(const std::string& text) {
  const std::optional<int64_t> count = ParseDecimal(text);
  return count && *count > 0 ? "" : Format("{} is not a whole number of at least 1", text);
}

std::string CheckThreshold(const std::string& text) {
  return ParseDecimal(text) ? "" : Format("{} is not a whole number of at least 0", text);
}

std::string CheckOutput(const std::string& text) {
  return text.empty() ? "the name of the strategy file is empty" : "";
}

// An option value like "layer1=0"; for CLI::Option::check.
std::string CheckStageRule(const std::string& text) {
  return ParseStageRule(text).status().message();
}

void AddOptimizerOptions(CLI::App& command, InferOptions& infer) {
  std::vector<std::string> optimizers;
  for (const std::string_view name : OptimizerNames()) optimizers.emplace_back(name);
  command.add_option("--optimizer", infer.optimizer, "Whose states the strategy lists")
      ->check(CLI::IsMember(optimizers))
      ->capture_default_str();
  OptimizerParallel& parallel = infer.optimizer_parallel;
  command.add_flag("--optimizer-parallel", parallel.enabled,
                   "Replicas keep a piece each (enable_parallel_optimizer)");
  command
      .add_option("--optimizer-threshold-kb", parallel.threshold_kib,
                  "... of parameters of at least so many KiB (parallel_optimizer_threshold)")
      ->check(CheckThreshold)
      ->capture_default_str();
  command.add_option("--optimizer-shard-size", parallel.group,
                     "... in groups of so many; -1: all (optimizer_weight_shard_size)");
  command
      .add_option("--frozen", infer.frozen,
                  "Parameters, or cells, that are not trained (requires_grad=False)")
      ->delimiter(',')
      ->type_name("NAME");
}

void AddStageOptions(CLI::App& command, StrategyOptions& options) {
  command.add_option("--stages", options.infer.stage_count, "Pipeline stages")
      ->check(CheckCount)
      ->capture_default_str();
  command
      .add_option("--stage", options.stages,
                  "Which cells (or parameters) are in which stage: layer1=0,layer2=1")
      ->delimiter(',')
      ->check(CheckStageRule)
      ->type_name("PREFIX=STAGE");
  command
      .add_option("--micro-batches", options.infer.micro_batch_count,
                  "Parts into which the pipeline deals a batch (micro_size)")
      ->check(CheckCount)
      ->capture_default_str();
  command.add_flag("--merged", options.merged, "One file for all stages");
}

}  // namespace

void AddStrategyCommand(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("strategy", kDescription);
  command->footer(kDetails);
  const auto options = std::make_shared<StrategyOptions>();
  command->add_option("NET", options->network, "The network (.mindir)")->required();
  command->add_option("--devices", options->infer.device_count, "Devices, of all stages together")
      ->required()
      ->check(CheckCount);
  command->add_option("--phase", options->phase, "train, or predict: no optimizer")
      ->check(CLI::IsMember({"train", "predict"}))
      ->capture_default_str();
  AddOptimizerOptions(*command, options->infer);
  command->add_flag("--full-batch", options->infer.full_batch,
                    "Each device is fed the whole batch (full_batch)");
  AddStageOptions(*command, *options);
  command->add_option("--mode", options->mode, "What becomes of operators without a strategy")
      ->check(CLI::IsMember({"semi_auto", "auto"}))
      ->capture_default_str();
  command->add_option("--search", options->search, "How --mode auto finds cuts")
      ->check(CLI::IsMember({"propagation", "cost"}))
      ->capture_default_str();
  command
      ->add_option("-o,--output", options->output,
                   "The strategy file; JSON if it ends in .json, else protobuf; with stages a name "
                   "with {stage} in it, or --merged")
      ->check(CheckOutput)
      ->required();
  command->add_flag("--overwrite", options->overwrite, "Replace files that exist");
  command->add_flag("--explain", options->explain, "Print how each operator is cut, and why");
  AddJsonOption(*command, options->json);
  command->callback([options, &exit_code] {
    const auto fs = NewPosixFileSystem();
    const Status status = Run(*fs, *options);
    exit_code = status.ok() ? kExitOk : Fail(status, options->json);
  });
}

}  // namespace relayout::cli
