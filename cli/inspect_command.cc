// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <set>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/shown_strategy.h"
#include "cli/table.h"
#include "relayout/base/json_writer.h"
#include "relayout/base/near_names.h"
#include "relayout/base/text.h"
#include "relayout/convert/checkpoint_set.h"
#include "relayout/convert/contents.h"
#include "relayout/draw/text_picture.h"
#include "relayout/draw/words.h"
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
  relayout inspect src_strategy.ckpt --draw layer1.weight

Layouts read like this: {a:2,b:4} (b,-) opt:2 is a mesh of 2 x 4 devices, dim 0 cut in 4 along axis b, and
cut in 2 again by the optimizer split among the ranks that would hold the same.)";

struct InspectOptions {
  SetOptions set;
  std::string drawn_name;
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
  Print(Format("{}: {}, {}, {}{}", set.spec.text(),
               Count(std::ssize(set.catalog.files()), set.is_unified ? "file" : "rank"),
               Count(std::ssize(set.catalog.names()), "value"), HumanBytes(total),
               set.step ? ", " + ToText(*set.step) : ""));
  for (const std::string& note : set.notes) Print("note: " + note);
  if (!set.missing_ranks.empty()) {
    Print("note: no file of rank " + RankRuns(set.missing_ranks));
  }
  std::vector<std::string> head = {"NAME", "TYPE", "STORED"};
  if (set.has_strategy) head.insert(head.end(), {"WHOLE", "LAYOUT"});
  head.emplace_back(set.is_unified ? "FILE" : "RANKS");
  Table table(std::move(head));
  for (const std::string_view name : set.catalog.names()) {
    const ValueSummary summary = Summarize(set, name);
    std::vector<std::string> row = {Printable(name), TypeText(*summary.value), ShapesText(summary)};
    if (set.has_strategy) {
      row.push_back(summary.whole ? ToText(*summary.whole) : "");
      row.push_back(summary.layout.empty() ? "-" : summary.layout);
    }
    row.push_back(set.is_unified ? BaseName(set.catalog.FileOf(summary.ranks[0])->path)
                                 : RankRuns(summary.ranks));
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

// --- One tensor's devices (--draw) --------------------------------------------------------------

// What the terminal can show; only on one are colours wanted at all.
TextColors TerminalColors() {
  const auto is = [](const char* variable, const std::set<std::string_view>& values) {
    const char* value = std::getenv(variable);
    return value != nullptr && values.contains(value);
  };
  const char* no_color = std::getenv("NO_COLOR");
  const bool unwanted = no_color != nullptr && *no_color != '\0';
  if (isatty(STDOUT_FILENO) == 0 || unwanted || is("TERM", {"dumb", ""})) return TextColors::kNone;
  return is("COLORTERM", {"truecolor", "24bit"}) ? TextColors::kTrueColor : TextColors::k256;
}

Result<std::vector<Placement>> FindDrawn(const Strategy& strategy, const std::string& path,
                                         const std::string& name) {
  std::vector<Placement> placements = strategy.Find(name);
  if (!placements.empty()) return placements;
  NearNames near(name);
  for (const std::string_view known : strategy.Names()) near.Consider(known);
  return NotFound(Format("--draw {}: {} does not name this parameter{}", Printable(name), path,
                         near.Hint("; `relayout inspect` lists the names")));
}

void PrintDrawn(const Strategy& strategy, int64_t first_stage, const std::string& name,
                const std::vector<Placement>& placements, const std::optional<Dims>& shape) {
  constexpr int64_t kMaxDevices = 4096;
  for (const Placement& placement : placements) {
    const Layout& layout = placement.layout();
    if (&placement != placements.data()) Print("");
    Print(Format("{}  {}{}", Printable(name), shape ? ToText(*shape) + " @ " : "", ToText(layout)));
    for (const std::string& sentence : LayoutWords(layout)) Print("  " + sentence);
    Print("");
    const int64_t last = placement.first_rank + layout.device_count() - 1;
    if (strategy.stage_count() > 1 || first_stage > 0) {
      Print(Format("  stage {}, ranks {}-{}", first_stage + placement.stage, placement.first_rank,
                   last));
    }
    if (layout.device_count() > kMaxDevices) {
      Print(Format("  {} devices are too many to draw", layout.device_count()));
      continue;
    }
    const TextPictureOptions options = {.first_rank = placement.first_rank,
                                        .colors = TerminalColors()};
    for (const std::string& line : DrawDevices(layout, options)) Print(" " + line);
    Print("");
    const int64_t shard = layout.ShardIndexOf(layout.CellOf(layout.device_count() - 1));
    Print(Format("  {} #{}: rank {} holds shard {}, and so on. The shards:", last, shard, last,
                 shard));
    for (const auto& line : ListShards(layout, shape, placement.first_rank)) Print("    " + line);
  }
}

void PrintDrawnJson(int64_t first_stage, const std::string& name,
                    const std::vector<Placement>& placements, const std::optional<Dims>& shape) {
  JsonWriter json;
  json.BeginObject().Key("ok").Bool(true).Key("kind").String("layout").Key("name").String(name);
  if (shape) json.Key("whole_shape").Array(*shape);
  json.Key("places").BeginArray();
  for (const Placement& placement : placements) {
    const Layout& layout = placement.layout();
    json.BeginObject().Key("stage").Int(first_stage + placement.stage);
    json.Key("first_rank").Int(placement.first_rank).Key("layout").String(ToText(layout));
    json.Key("words").BeginArray();
    for (const std::string& sentence : LayoutWords(layout)) json.String(sentence);
    json.EndArray().Key("shard_of_rank").BeginArray();
    for (int64_t rank = 0; rank < layout.device_count(); ++rank) {
      json.Int(layout.ShardIndexOf(layout.CellOf(rank)));
    }
    json.EndArray().EndObject();
  }
  Print(json.EndArray().EndObject().text());
}

// `shape` is what files say about the whole tensor; the strategy may say it, too.
Status Draw(const InspectOptions& options, const Strategy& strategy, int64_t first_stage,
            std::optional<Dims> shape) {
  const std::string& path = options.set.strategy.empty() ? options.set.path : options.set.strategy;
  RELAYOUT_ASSIGN_OR_RETURN(const auto placements, FindDrawn(strategy, path, options.drawn_name));
  const StatedShape& stated = placements[0].parameter->whole_shape;
  if (!shape && stated) shape = *stated;
  options.json ? PrintDrawnJson(first_stage, options.drawn_name, placements, shape)
               : PrintDrawn(strategy, first_stage, options.drawn_name, placements, shape);
  return OkStatus();
}

// A checkpoint begins with a record (field 1, a message), a protobuf strategy with a number.
Result<bool> LooksLikeStrategy(FileSystem& fs, const std::string& path) {
  RELAYOUT_ASSIGN_OR_RETURN(const FileInfo info, fs.Stat(path));
  if (info.kind == FileKind::kDirectory) {
    RELAYOUT_ASSIGN_OR_RETURN(const auto entries, fs.List(path));
    const bool has_checkpoints = std::any_of(entries.begin(), entries.end(), [](const auto& entry) {
      return RankOfFolder(entry.name).has_value() || entry.name.ends_with(".safetensors");
    });
    const bool has_files = std::any_of(entries.begin(), entries.end(), [](const auto& entry) {
      return entry.name.ends_with(".ckpt") || entry.name.ends_with(".json");
    });
    return !has_checkpoints && has_files;
  }
  if (path.ends_with(".safetensors")) return false;
  if (path.ends_with(".json") || info.size_bytes == 0) return path.ends_with(".json");
  RELAYOUT_ASSIGN_OR_RETURN(const auto file, fs.OpenForRead(path));
  std::array<std::byte, 1> first{};
  RELAYOUT_RETURN_IF_ERROR(file->ReadAt(0, first));
  return first[0] != std::byte{0x0A} || !FormatOfName(BaseName(path));
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
                       .is_unified = files.is_unified,
                       .step = files.step,
                       .notes = std::move(files.notes),
                       .missing_ranks = {}};
}

Status Inspect(const InspectOptions& options) {
  const auto fs = NewPosixFileSystem();
  RELAYOUT_ASSIGN_OR_RETURN(const CheckpointSetSpec spec, options.set.Spec());
  RELAYOUT_ASSIGN_OR_RETURN(const bool is_strategy, LooksLikeStrategy(*fs, spec.path));
  if (is_strategy) {
    RELAYOUT_ASSIGN_OR_RETURN(const ShownStrategy shown, LoadStrategyToShow(*fs, spec.path));
    if (!options.drawn_name.empty()) {
      return Draw(options, shown.strategy, shown.first_stage, std::nullopt);
    }
    options.json ? PrintStrategyJson(shown.strategy, shown.first_stage)
                 : PrintStrategyText(spec.path, shown.strategy, shown.first_stage);
    return OkStatus();
  }
  RELAYOUT_ASSIGN_OR_RETURN(const CheckpointSet set, OpenForInspection(*fs, spec));
  if (!options.drawn_name.empty()) {
    if (!set.has_strategy) {
      return InvalidInput(
          Format("--draw {}: {} is a checkpoint; give --strategy to say how it lies",
                 Printable(options.drawn_name), spec.text()));
    }
    const bool is_held = set.catalog.Contains(options.drawn_name);
    return Draw(options, set.strategy, 0,
                is_held ? Summarize(set, options.drawn_name).whole : std::nullopt);
  }
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
  command
      ->add_option("--draw", options->drawn_name,
                   "Draw the devices of this parameter and the shards they hold")
      ->type_name("NAME");
  AddJsonOption(*command, options->json);
  command->callback([options, &exit_code] {
    const Status status = Inspect(*options);
    exit_code = status.ok() ? kExitOk : Fail(status, options->json);
  });
}

}  // namespace relayout::cli
