// SPDX-License-Identifier: Apache-2.0
#include <memory>

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
    "List the source ranks whose files a target rank needs: the fewest that hold everything.";

constexpr char kDetails[] =
    R"(  relayout ranks 0 --src-strategy src_strategy.ckpt --dst-strategy dst_strategy.ckpt)";

struct RanksOptions {
  RankListRequest request;
  std::string source_strategy;
  std::string target_strategy;
  bool json = false;
};

int Run(RanksOptions& options) {
  options.request.source_strategy_path = Optional(options.source_strategy);
  options.request.target_strategy_path = Optional(options.target_strategy);
  const auto fs = NewPosixFileSystem();
  const Result<RankCover> cover = RanksForTransform(*fs, options.request);
  if (!cover.ok()) return Fail(cover.status(), options.json);
  JsonWriter json;
  json.BeginObject().Key("ok").Bool(true).Key("rank").Int(options.request.rank);
  json.Key("source_ranks").BeginArray();
  std::string text;
  for (const int64_t rank : cover->ranks) {
    json.Int(rank);
    text += Format("{}{}", text.empty() ? "" : " ", rank);
  }
  json.EndArray().Key("is_minimal").Bool(cover->is_minimal).EndObject();
  Print(options.json ? json.text() : text);
  return kExitOk;
}

}  // namespace

void AddRanksCommand(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("ranks", kDescription);
  command->footer(kDetails);
  const auto options = std::make_shared<RanksOptions>();
  command->add_option("RANK", options->request.rank, "The target rank")
      ->required()
      ->check(CLI::NonNegativeNumber);
  AddStrategyOption(*command, "--src-strategy", options->source_strategy,
                    "How the source is sharded");
  AddStrategyOption(*command, "--dst-strategy", options->target_strategy,
                    "How the target is to be sharded");
  AddJsonOption(*command, options->json);
  command->callback([options, &exit_code] { exit_code = Run(*options); });
}

}  // namespace relayout::cli
