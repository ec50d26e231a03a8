// SPDX-License-Identifier: Apache-2.0
//
// The programs of programs.h as one: tutorial PROGRAM [OPTIONS]. docs/tutorial.md tells the story.
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <string>
#include <vector>

#include "examples/tutorial/programs.h"
#include "examples/tutorial/ranks.h"

namespace {

using namespace relayout::tutorial;

struct Entry {
  const char* name;
  const char* description;
  int ranks;
  relayout::Status (*run)(relayout::Comm&, Output&, const ProgramOptions&);
};

constexpr Entry kPrograms[] = {
    {"train_saving", "Train on 8 ranks; save src_checkpoints and src_strategy.ckpt", 8,
     TrainSaving},
    {"retrain", "Go on with dst_checkpoints on 4 ranks under other cuts", 4, Retrain},
    {"infer", "Ask the network of dst_checkpoints on 4 ranks", 4, Infer},
    {"pipeline_train", "Train on 8 ranks in 2 pipeline stages", 8, PipelineTrain},
    {"retrain_pipeline", "Go on with dst_checkpoints_pipeline on 4 ranks without stages", 4,
     RetrainPipeline},
};

void AddOptions(CLI::App& app, ProgramOptions& options, int& ranks) {
  const CLI::Range count(int64_t{1}, int64_t{1} << 31);
  app.add_option("--ranks", ranks, "Threads, where mpirun does not say how many processes")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_flag("--only_compile{1}", options.only_compile,
               "=1: save the strategy and convert the checkpoint, do not train");
  app.add_option("--epochs", options.epochs, "Instead of the tutorial's 10 (later ones 3)")
      ->check(count);
  app.add_option("--batch_size", options.batch_size, "Rows that a rank is fed")
      ->check(count)
      ->capture_default_str();
  app.add_option("--hidden", options.hidden, "Width of the layers")
      ->check(count)
      ->capture_default_str();
  app.add_option("--optimizer", options.optimizer, "sgd, momentum or adam")->capture_default_str();
  app.add_option("--learning_rate", options.learning_rate)->capture_default_str();
  app.add_option("--print_steps", options.print_steps, "A line every so many steps")
      ->check(count)
      ->capture_default_str();
  app.add_option("--src_strategy_file", options.src_strategy_file);
  app.add_option("--dst_strategy_file", options.dst_strategy_file);
  app.add_option("--src_checkpoints_dir", options.src_checkpoints_dir);
  app.add_option("--dst_checkpoints_dir", options.dst_checkpoints_dir);
  app.add_option("--init_checkpoints_dir", options.init_checkpoints_dir,
                 "Begin with DIR/rank_x/checkpoint_x.ckpt (train_saving and pipeline_train)");
  app.add_option("--logits", options.logits_file,
                 "infer: rank 0 writes the network's results to this file");
  app.add_option("--losses", options.losses_file, "Rank 0 writes lines of step,loss to this file");
  app.add_option("--log_output", options.log_directory, "Where threads leave what they print")
      ->capture_default_str();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"The programs of MindSpore's tutorial on converting distributed checkpoints."};
  app.footer("DATA_PATH names the folder with the data: MNIST's files or those of make_data.");
  app.require_subcommand(1);
  // So that a script's options can be overruled behind them.
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  ProgramOptions options;
  if (const char* const path = std::getenv("DATA_PATH")) options.data_path = path;
  int ranks[std::size(kPrograms)];
  for (size_t i = 0; i < std::size(kPrograms); ++i) {
    ranks[i] = kPrograms[i].ranks;
    AddOptions(*app.add_subcommand(kPrograms[i].name, kPrograms[i].description), options, ranks[i]);
  }
  std::vector<std::string> parts;
  std::string svg_file;
  CLI::App& draw = *app.add_subcommand("draw_losses", "Draw losses of trainings as one curve");
  draw.add_option("LABEL=FILE", parts, "Written with --losses, in their order")
      ->required()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  draw.add_option("-o,--output", svg_file, "The picture, SVG")->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (draw.parsed()) return Finish(DrawLosses(parts, svg_file));
  for (size_t i = 0; i < std::size(kPrograms); ++i) {
    if (!app.got_subcommand(kPrograms[i].name)) continue;
    return RunRanks(ranks[i], options.log_directory, [&](relayout::Comm& comm, Output& output) {
      return kPrograms[i].run(comm, output, options);
    });
  }
  return 2;
}
