// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <memory>
#include <set>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/table.h"
#include "relayout/base/json_writer.h"
#include "relayout/base/text.h"
#include "relayout/convert/checkpoint_set.h"
#include "relayout/convert/contents.h"
#include "relayout/convert/load_strategy.h"
#include "relayout/format/checkpoint_file.h"
#include "relayout/io/posix_file_system.h"
#include "relayout/layout/notation.h"

namespace relayout::cli {
namespace {

constexpr char kDescription[] =
    "Show what a checkpoint folder, a checkpoint file, a strategy file or a folder of stage "
    "strategies holds.";

constexpr char kDetails[] =
    R"(  relayout inspect src_checkpoints --strategy src_strategy.ckpt
  relayout inspect src_strategy.ckpt

Layouts read like this: {a:2,b:4} (b,-) opt:2 is a mesh of 2 x 4 devices, dim 0 cut in 4 along axis b, and
cut in 2 again by the optimizer split among the ranks that would hold the same.)";

struct InspectOptions {
  SetOptions set;
  bool json = false;
};

std::string TypeText(const ValueView& value) {
  switch (value.kind) {
    case ValueKind::kString:
      return "string";
    case ValueKind::kMapTensor:
      return "MapTensor";
    case ValueKind::kTensor:
      break;
  }
  return std::string(ShortName(value.dtype));
}

// What the files hold under one name.
struct ValueSummary {
  std::optional<ValueView> value;  // The lowest rank's.
  std::vector<int64_t> ranks;
  std::set<std::string> shapes;  // As stored.
  std::string layout;            // Empty: not in the strategy.
  std::optional<Dims> whole;
};

ValueSummary Summarize(const CheckpointSet& set, std::string_view name) {
  ValueSummary summary{};
  const std::vector<HeldValue> holders = set.catalog.Holders(name);
  summary.value.emplace(holders[0].value);
  for (const HeldValue& held : holders) {
    summary.ranks.push_back(held.rank());
    summary.shapes.insert(ToText(held.value.shape));
  }
  for (const Placement& placement : set.strategy.Find(name)) {
    if (!summary.layout.empty()) summary.layout += " | ";
    summary.layout += ToText(placement.layout());
    const int64_t local = holders[0].rank() - placement.first_rank;
    // Scratch is stored with shapes that its layout does not explain.
    if (summary.whole || IsScratch(name) || local < 0 || local >= placement.layout().device_count())
      continue;
    if (auto whole = WholeShape(placement.layout(), local, holders[0].value.shape); whole.ok()) {
      summary.whole = *whole;
    }
  }
  return summary;
}

std::string ShapesText(const ValueSummary& summary) {
  return JoinLimited({summary.shapes.begin(), summary.shapes.end()}, 3);
}

void PrintSetText(const CheckpointSet& set) {
  int64_t total = 0;
  for (const RankFile& file : set.catalog.files()) total += file.info.size_bytes;
  Print(Format("{}: {}, {}, {}{}", set.spec.text(), Count(std::ssize(set.catalog.files()), "rank"),
               Count(std::ssize(set.catalog.names()), "value"), HumanBytes(total),
               set.step ? ", " + ToText(*set.step) : ""));
  for (const std::string& note : set.notes) Print("note: " + note);
  if (!set.missing_ranks.empty()) {
    Print("note: no file of rank " + RankRuns(set.missing_ranks));
  }
  std::vector<std::string> head = {"NAME", "TYPE", "STORED"};
  if (set.has_strategy) head.insert(head.end(), {"WHOLE", "LAYOUT"});
  head.emplace_back("RANKS");
  Table table(std::move(head));
  for (const std::string_view name : set.catalog.names()) {
    const ValueSummary summary = Summarize(set, name);
    std::vector<std::string> row = {Printable(name), TypeText(*summary.value), ShapesText(summary)};
    if (set.has_strategy) {
      row.push_back(summary.whole ? ToText(*summary.whole) : "");
      row.push_back(summary.layout.empty() ? "-" : summary.layout);
    }
    row.push_back(RankRuns(summary.ranks));
    table.Add(std::move(row));
  }
  table.PrintAll();
}

void PrintSetJson(const CheckpointSet& set) {
  JsonWriter json;
  json.BeginObject().Key("ok").Bool(true).Key("kind").String("checkpoint");
  json.Key("files").BeginArray();
  for (const RankFile& file : set.catalog.files()) {
    json.BeginObject().Key("rank").Int(file.rank).Key("path").String(file.path);
    json.Key("size_bytes").Int(file.info.size_bytes);
    json.Key("has_crc").Bool(file.crc32.has_value()).EndObject();
  }
  json.EndArray().Key("values").BeginArray();
  for (const std::string_view name : set.catalog.names()) {
    const ValueSummary summary = Summarize(set, name);
    json.BeginObject().Key("name").String(name).Key("type").String(TypeText(*summary.value));
    json.Key("stored_shape").Array(summary.value->shape);
    if (summary.whole) json.Key("whole_shape").Array(*summary.whole);
    if (!summary.layout.empty()) json.Key("layout").String(summary.layout);
    json.Key("ranks").BeginArray();
    for (const int64_t rank : summary.ranks) json.Int(rank);
    json.EndArray().EndObject();
  }
  Print(json.EndArray().EndObject().text());
}

void PrintStrategyText(const std::string& path, const Strategy& strategy, int64_t first_stage) {
  Print(Format("{}: strategy for {}, {}", path, Count(strategy.rank_count(), "rank"),
               Count(strategy.stage_count(), "stage")));
  Table table({"STAGE", "RANKS", "NAME", "LAYOUT", "SLICES", "REPLICAS"});
  for (int64_t stage = 0; stage < strategy.stage_count(); ++stage) {
    const std::string ranks =
        Format("{}-{}", strategy.first_rank(stage), strategy.first_rank(stage + 1) - 1);
    for (const auto& parameter : strategy.parameters(stage)) {
      table.Add({std::to_string(first_stage + stage), ranks, Printable(parameter.name),
                 ToText(parameter.layout), std::to_string(parameter.layout.shard_count()),
                 std::to_string(parameter.layout.replica_count())});
    }
  }
  table.PrintAll();
}

void PrintStrategyJson(const Strategy& strategy, int64_t first_stage) {
  JsonWriter json;
  json.BeginObject().Key("ok").Bool(true).Key("kind").String("strategy");
  json.Key("ranks").Int(strategy.rank_count()).Key("first_stage").Int(first_stage);
  json.Key("stages").BeginArray();
  for (int64_t stage = 0; stage < strategy.stage_count(); ++stage) {
    json.BeginObject().Key("first_rank").Int(strategy.first_rank(stage));
    json.Key("rank_count").Int(strategy.first_rank(stage + 1) - strategy.first_rank(stage));
    json.Key("parameters").BeginArray();
    for (const auto& parameter : strategy.parameters(stage)) {
      json.BeginObject().Key("name").String(parameter.name);
      json.Key("layout").String(ToText(parameter.layout));
      json.Key("slices").Int(parameter.layout.shard_count());
      json.Key("replicas").Int(parameter.layout.replica_count());
      if (parameter.whole_shape) json.Key("whole_shape").Array(*parameter.whole_shape);
      json.EndObject();
    }
    json.EndArray().EndObject();
  }
  Print(json.EndArray().EndObject().text());
}

// A checkpoint begins with a record (field 1, a message), a protobuf strategy with a number.
Result<bool> LooksLikeStrategy(FileSystem& fs, const std::string& path) {
  RELAYOUT_ASSIGN_OR_RETURN(const FileInfo info, fs.Stat(path));
  if (info.kind == FileKind::kDirectory) {
    RELAYOUT_ASSIGN_OR_RETURN(const auto entries, fs.List(path));
    const bool has_ranks = std::any_of(entries.begin(), entries.end(), [](const auto& entry) {
      return RankOfFolder(entry.name).has_value();
    });
    const bool has_files = std::any_of(entries.begin(), entries.end(), [](const auto& entry) {
      return entry.name.ends_with(".ckpt") || entry.name.ends_with(".json");
    });
    return !has_ranks && has_files;
  }
  if (path.ends_with(".safetensors")) return false;
  if (path.ends_with(".json") || info.size_bytes == 0) return path.ends_with(".json");
  RELAYOUT_ASSIGN_OR_RETURN(const auto file, fs.OpenForRead(path));
  std::array<std::byte, 1> first{};
  RELAYOUT_RETURN_IF_ERROR(file->ReadAt(0, first));
  return first[0] != std::byte{0x0A} || !FormatOfName(BaseName(path));
}

// One stage's file of a pipeline says too little for a conversion, but can be shown; its ranks are
// then counted within the stage.
Result<Strategy> LoadForInspection(FileSystem& fs, const std::string& path, int64_t& first_stage) {
  RELAYOUT_ASSIGN_OR_RETURN(const FileInfo info, fs.Stat(path));
  if (info.kind == FileKind::kDirectory) return LoadStrategy(fs, path);
  RELAYOUT_ASSIGN_OR_RETURN(StrategyFile file, ReadStrategyFile(fs, path));
  first_stage = file.stages[0].stage;
  std::vector<StageStrategy> stages;
  for (StrategyFile::StageLayouts& stage : file.stages) stages.push_back(std::move(stage.layouts));
  auto strategy = Strategy::Create(std::move(stages));
  if (!strategy.ok()) return strategy.status().WithContext(path);
  return strategy;
}

// Without a strategy a folder of several ranks can still be listed.
Result<CheckpointSet> OpenForInspection(FileSystem& fs, const CheckpointSetSpec& spec) {
  RELAYOUT_ASSIGN_OR_RETURN(const FileInfo info, fs.Stat(spec.path));
  if (spec.strategy_path || info.kind != FileKind::kDirectory) {
    return OpenCheckpointSet(fs, spec, 1);
  }
  RELAYOUT_ASSIGN_OR_RETURN(RankFiles files, FindCheckpointFiles(fs, spec));
  RELAYOUT_ASSIGN_OR_RETURN(Catalog catalog, Catalog::Open(fs, files.path_of_rank, 1));
  return CheckpointSet{.spec = spec,
                       .catalog = std::move(catalog),
                       .has_strategy = false,
                       .strategy = Strategy::Empty(1),
                       .format = files.format,
                       .step = files.step,
                       .notes = std::move(files.notes),
                       .missing_ranks = {}};
}

Status Inspect(const InspectOptions& options) {
  const auto fs = NewPosixFileSystem();
  RELAYOUT_ASSIGN_OR_RETURN(const CheckpointSetSpec spec, options.set.Spec());
  RELAYOUT_ASSIGN_OR_RETURN(const bool is_strategy, LooksLikeStrategy(*fs, spec.path));
  if (is_strategy) {
    int64_t first_stage = 0;
    RELAYOUT_ASSIGN_OR_RETURN(const Strategy strategy,
                              LoadForInspection(*fs, spec.path, first_stage));
    options.json ? PrintStrategyJson(strategy, first_stage)
                 : PrintStrategyText(spec.path, strategy, first_stage);
    return OkStatus();
  }
  RELAYOUT_ASSIGN_OR_RETURN(const CheckpointSet set, OpenForInspection(*fs, spec));
  options.json ? PrintSetJson(set) : PrintSetText(set);
  return OkStatus();
}

}  // namespace

void AddInspectCommand(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("inspect", kDescription);
  command->footer(kDetails);
  const auto options = std::make_shared<InspectOptions>();
  command->add_option("PATH", options->set.path, "What to show")->required();
  AddStrategyOption(*command, "--strategy", options->set.strategy, "How the checkpoint is sharded");
  AddFileChoiceOptions(*command, options->set);
  AddJsonOption(*command, options->json);
  command->callback([options, &exit_code] {
    const Status status = Inspect(*options);
    exit_code = status.ok() ? kExitOk : Fail(status, options->json);
  });
}

}  // namespace relayout::cli
