// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <optional>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/options.h"
#include "relayout/base/json_writer.h"
#include "relayout/base/text.h"
#include "relayout/convert/rank_list.h"
#include "relayout/io/posix_file_system.h"

namespace relayout::cli {
namespace {

constexpr char kDescription[] =
    "List the source ranks whose files a target rank needs: the fewest that hold it all.";

constexpr char kDetails[] =
    R"(Without a rank, a line for each target rank.

  relayout ranks 0 --src-strategy src_strategy.ckpt --dst-strategy dst_strategy.ckpt)";

struct RanksOptions {
  RankListRequest request;
  std::optional<int64_t> rank;
  std::string source_strategy;
  std::string target_strategy;
  bool json = false;
};

std::string RanksText(const RankCover& cover) {
  std::string text;
  for (const int64_t rank : cover.ranks) text += Format("{}{}", text.empty() ? "" : " ", rank);
  return text;
}

void AddCover(JsonWriter& json, const RankCover& cover) {
  json.Key("source_ranks").BeginArray();
  for (const int64_t rank : cover.ranks) json.Int(rank);
  json.EndArray().Key("is_minimal").Bool(cover.is_minimal);
}

Status RunOne(FileSystem& fs, const RanksOptions& options) {
  RELAYOUT_ASSIGN_OR_RETURN(const RankCover cover, RanksForTransform(fs, options.request));
  JsonWriter json;
  json.BeginObject().Key("ok").Bool(true).Key("rank").Int(options.request.rank);
  AddCover(json, cover);
  json.EndObject();
  Print(options.json ? json.text() : RanksText(cover));
  return OkStatus();
}

Status RunAll(FileSystem& fs, const RanksOptions& options) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto covers, AllRanksForTransform(fs, options.request));
  JsonWriter json;
  json.BeginObject().Key("ok").Bool(true).Key("ranks").BeginArray();
  for (size_t rank = 0; rank < covers.size(); ++rank) {
    json.BeginObject().Key("rank").Int(static_cast<int64_t>(rank));
    AddCover(json, covers[rank]);
    json.EndObject();
    if (!options.json) Print(Format("{}: {}", rank, RanksText(covers[rank])));
  }
  json.EndArray().EndObject();
  if (options.json) Print(json.text());
  return OkStatus();
}

int Run(RanksOptions& options) {
  options.request.source_strategy_path = Optional(options.source_strategy);
  options.request.target_strategy_path = Optional(options.target_strategy);
  options.request.rank = options.rank.value_or(0);
  const auto fs = NewPosixFileSystem();
  const Status status = options.rank ? RunOne(*fs, options) : RunAll(*fs, options);
  return status.ok() ? kExitOk : Fail(status, options.json);
}

}  // namespace

void AddRanksCommand(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("ranks", kDescription);
  command->footer(kDetails);
  const auto options = std::make_shared<RanksOptions>();
  command->add_option("RANK,--rank", options->rank, "The target rank; left out: all of them")
      ->type_name("R")
      ->check(CLI::NonNegativeNumber);
  AddStrategyOption(*command, "--src-strategy", options->source_strategy,
                    "How the source is sharded");
  AddStrategyOption(*command, "--dst-strategy", options->target_strategy,
                    "How the target is to be sharded");
  AddJsonOption(*command, options->json);
  command->callback([options, &exit_code] { exit_code = Run(*options); });
}

}  // namespace relayout::cli
