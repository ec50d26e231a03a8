// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/shown_strategy.h"
#include "relayout/base/json_writer.h"
#include "relayout/base/text.h"
#include "relayout/convert/checkpoint_set.h"
#include "relayout/convert/contents.h"
#include "relayout/draw/page.h"
#include "relayout/io/posix_file_system.h"

namespace relayout::cli {
namespace {

constexpr char kDescription[] =
    "Draw how every tensor of a strategy lies on the devices, or of two strategies and the copies "
    "between them, as a page for a browser.";

constexpr char kDetails[] =
    R"(The page is one file that needs no network. It finds parameters by name, layout and stage. Strategy
files mostly do not say how large a tensor is; --checkpoint does.

  relayout draw src_strategy.ckpt -o layout.html
  relayout draw src_strategy.ckpt --dst-strategy dst_strategy.ckpt \
      --checkpoint src_checkpoints -o layout.html

`relayout inspect STRATEGY --draw NAME` draws one tensor on the terminal.)";

struct DrawOptions {
  std::string source;
  std::string target;
  SetOptions checkpoint;
  std::string output;
  bool overwrite = false;
  bool json = false;
};

// The whole shape of what the files hold under `name`. Scratch is stored with shapes that its
// layout does not explain.
std::optional<TensorFacts> FactsOf(const CheckpointSet& set, std::string_view name) {
  const auto held = set.catalog.FirstHolder(name);
  if (!held || held->value.kind != ValueKind::kTensor || IsScratch(name)) return std::nullopt;
  for (const Placement& placement : set.strategy.Find(name)) {
    const int64_t local = held->rank() - placement.first_rank;
    if (local < 0 || local >= placement.layout().device_count()) continue;
    const auto shape = WholeShape(placement.layout(), local, held->value.shape);
    if (shape.ok()) return TensorFacts{.shape = *shape, .dtype = held->value.dtype};
  }
  return std::nullopt;
}

// Shapes of another model's checkpoint would be left out without a word.
Status CheckBelongs(const CheckpointSet& set) {
  const std::vector<std::string_view> names = set.strategy.Names();
  const bool holds_any = std::any_of(names.begin(), names.end(), [&](std::string_view name) {
    return set.catalog.Contains(name);
  });
  if (holds_any) return OkStatus();
  return InvalidInput(Format("{}: holds none of the {} that {} names (the first is {})",
                             set.spec.text(), Count(std::ssize(names), "parameter"),
                             *set.spec.strategy_path, Printable(names[0])));
}

void Report(const DrawOptions& options, const PageInput& input, size_t page_bytes) {
  size_t parameters = input.source.strategy->Names().size();
  if (input.target) {
    for (const std::string_view name : input.target->strategy->Names()) {
      parameters += input.source.strategy->Contains(name) ? 0 : 1;
    }
  }
  if (!options.json) {
    Print(Format("{}: {}, {}; open it in a browser", options.output,
                 Count(static_cast<int64_t>(parameters), "parameter"),
                 HumanBytes(static_cast<int64_t>(page_bytes))));
    return;
  }
  JsonWriter json;
  json.BeginObject().Key("ok").Bool(true).Key("file").String(options.output);
  json.Key("parameters").Int(static_cast<int64_t>(parameters));
  json.Key("size_bytes").Int(static_cast<int64_t>(page_bytes)).EndObject();
  Print(json.text());
}

Status Draw(DrawOptions options) {
  const auto fs = NewPosixFileSystem();
  if (Exists(*fs, options.output) && !options.overwrite) {
    return AlreadyExists(Format("{}: exists; use --overwrite to replace it", options.output));
  }
  RELAYOUT_ASSIGN_OR_RETURN(const ShownStrategy source, LoadStrategyToShow(*fs, options.source));
  PageInput input;
  input.source = {options.source, &source.strategy, source.first_stage};
  std::optional<ShownStrategy> target;
  if (!options.target.empty()) {
    RELAYOUT_ASSIGN_OR_RETURN(target, LoadStrategyToShow(*fs, options.target));
    input.target = {options.target, &target->strategy, target->first_stage};
  }
  std::optional<CheckpointSet> set;
  if (!options.checkpoint.path.empty()) {
    options.checkpoint.strategy = options.source;
    RELAYOUT_ASSIGN_OR_RETURN(const CheckpointSetSpec spec, options.checkpoint.Spec());
    RELAYOUT_ASSIGN_OR_RETURN(set, OpenCheckpointSet(*fs, spec, /*thread_count=*/1));
    RELAYOUT_RETURN_IF_ERROR(CheckBelongs(*set));
    input.facts_of = [&set](std::string_view name) { return FactsOf(*set, name); };
  }
  RELAYOUT_ASSIGN_OR_RETURN(const std::string page, LayoutPage(input));
  RELAYOUT_RETURN_IF_ERROR(PublishFile(*fs, options.output, page, options.overwrite));
  Report(options, input, page.size());
  return OkStatus();
}

}  // namespace

void AddDrawCommand(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("draw", kDescription);
  command->footer(kDetails);
  const auto options = std::make_shared<DrawOptions>();
  command
      ->add_option("STRATEGY", options->source,
                   "What to draw: a strategy file or a folder of stage files")
      ->required();
  command->add_option("-o,--output", options->output, "The page to write")
      ->type_name("FILE.html")
      ->required();
  command
      ->add_option("--dst-strategy", options->target,
                   "Draw this strategy beside the first, and the copies from the first to it")
      ->type_name("FILE");
  CLI::Option* checkpoint =
      command
          ->add_option("--checkpoint", options->checkpoint.path,
                       "Take the tensors' shapes from this checkpoint, saved under STRATEGY")
          ->type_name("SRC");
  AddFileChoiceOptions(*command, options->checkpoint);
  for (const char* choice : {"--step", "--file-suffix"}) {
    command->get_option(choice)->needs(checkpoint);
  }
  command->add_flag("--overwrite", options->overwrite, "Replace the page if it exists");
  AddJsonOption(*command, options->json);
  command->callback([options, &exit_code] {
    const Status status = Draw(*options);
    exit_code = status.ok() ? kExitOk : Fail(status, options->json);
  });
}

}  // namespace relayout::cli
