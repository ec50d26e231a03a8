// SPDX-License-Identifier: Apache-2.0
#include "examples/tutorial/programs.h"

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "examples/tutorial/networks.h"
#include "relayout/base/text.h"
#include "relayout/convert/merge_strategies.h"
#include "relayout/convert/transform.h"
#include "relayout/format/strategy_file.h"
#include "relayout/infer/infer_strategy.h"
#include "relayout/io/posix_file_system.h"
#include "relayout/train/load_param_into_net.h"
#include "relayout/train/loss_monitor.h"
#include "relayout/train/mnist_dataset.h"
#include "relayout/train/model.h"
#include "relayout/train/model_checkpoint.h"

namespace relayout::tutorial {
namespace {

const LayerCuts kSourceCuts = {.layer1 = {{2, 1}, {1, 2}}, .layer3 = {{2, 2}, {2, 1}}};
const LayerCuts kTargetCuts = {.layer1 = {{1, 4}, {4, 1}}, .layer3 = {{2, 2}, {2, 1}}};

// What one program is, beside the options that a user gives.
struct Program {
  NetworkFunction network;
  ParallelOptions parallel = {};
  int64_t epochs = 1;
  std::string strategy_file = {};    // Written when the network is compiled.
  std::string checkpoints_dir = {};  // Where training saves; empty: it does not.
};

std::string Or(const std::string& given, const char* otherwise) {
  return given.empty() ? otherwise : given;
}

// One rank at work.
class Session {
 public:
  Session(Comm& comm, Output& output, const ProgramOptions& options, Program program)
      : comm_(comm),
        output_(output),
        options_(options),
        program_(std::move(program)),
        files_(NewPosixFileSystem()) {}

  FileSystem& files() { return *files_; }
  Model& model() { return *model_; }

  Result<MnistDataset> Open(MnistPart part, int64_t batch_size) {
    if (options_.data_path.empty()) {
      return InvalidInput(
          "DATA_PATH is not set; it names the folder with MNIST's files, or with "
          "those that make_data writes");
    }
    auto opened = MnistDataset::Open(*files_, options_.data_path, part, {.batch_size = batch_size});
    RELAYOUT_RETURN_IF_ERROR(Agree(comm_, opened.status()));
    return opened;
  }

  Status Create() {
    ModelOptions model;
    model.network = program_.network;
    model.loss = Loss::kCrossEntropy;
    model.optimizer = {.type = options_.optimizer, .learning_rate = options_.learning_rate};
    model.optimizer.momentum.momentum = 0.9F;
    model.parallel = program_.parallel;
    RELAYOUT_ASSIGN_OR_RETURN(model_, Model::Create(comm_, model));
    return OkStatus();
  }

  // Compiles for training, and saves the strategy: with stages each rank its stage's.
  Status CompileForTraining(const Dataset& dataset) {
    RELAYOUT_RETURN_IF_ERROR(Create());
    RELAYOUT_RETURN_IF_ERROR(model_->Build(dataset));
    return SaveStrategy();
  }

  Status SaveStrategy() {
    const bool saves = program_.parallel.stage_count > 1 || comm_.rank() == 0;
    const auto& stages = model_->strategy().stages;
    const std::string bytes =
        SerializeStrategyProtobuf(stages[static_cast<size_t>(model_->place().stage)]);
    return Agree(comm_,
                 saves ? PublishFile(*files_, program_.strategy_file, bytes, true) : OkStatus());
  }

  // Trains, from initial values or those of a checkpoint.
  Status Begin(const Dataset& dataset) {
    if (!options_.init_checkpoints_dir.empty()) {
      RELAYOUT_RETURN_IF_ERROR(Load(options_.init_checkpoints_dir));
    }
    return Train(dataset);
  }

  Status WriteOnRank0(const std::string& path, const std::string& text) {
    const bool writes = comm_.rank() == 0 && !path.empty();
    return Agree(comm_, writes ? PublishFile(*files_, path, text, true) : OkStatus());
  }

  // This rank's part of the converted checkpoint.
  Status Load(const std::string& directory) {
    const std::string path = Format("{0}/rank_{1}/checkpoint_{1}.ckpt", directory, comm_.rank());
    RELAYOUT_ASSIGN_OR_RETURN(const LoadReport report,
                              LoadCheckpointIntoNet(model_->training_view(), *files_, path));
    if (!report.param_not_load.empty()) {
      output_.Print(
          Format("not in {}, so as they begin: {}", path, JoinLimited(report.param_not_load, 8)));
    }
    return OkStatus();
  }

  Status Train(const Dataset& dataset) {
    LossMonitor monitor([this](std::string_view line) { output_.Print(line); },
                        options_.print_steps, LossLineStyle::kTutorial);
    LossRecorder recorder;
    ModelCheckpoint checkpoint(*files_, "checkpoint",
                               Format("{}/rank_{}", program_.checkpoints_dir, comm_.rank()),
                               {.save_checkpoint_steps = 1000,
                                .keep_checkpoint_max = 1,
                                .integrated_save = false,
                                .append_info = {.epoch_num = 0, .step_num = 0}});
    std::vector<Callback*> callbacks = {&monitor, &recorder};
    if (!program_.checkpoints_dir.empty()) callbacks.push_back(&checkpoint);
    const int64_t epochs = options_.epochs == 0 ? program_.epochs : options_.epochs;
    RELAYOUT_RETURN_IF_ERROR(model_->Train(epochs, dataset, callbacks));
    return WriteOnRank0(options_.losses_file, recorder.Csv());
  }

  // All ranks together.
  Status Convert(const std::string& source_directory, const std::string& source_strategy,
                 const std::string& target_directory) {
    TransformRequest request;
    request.source.path = source_directory;
    request.source.strategy_path = source_strategy;
    request.target_strategy_path = program_.strategy_file;
    request.target_directory = target_directory;
    request.overwrite = true;
    RELAYOUT_ASSIGN_OR_RETURN(const TransformReport report,
                              TransformCheckpoints(*files_, comm_, request));
    if (comm_.rank() == 0) {
      output_.Print(Format("converted {} -> {}: {} -> {}, {}", source_directory, target_directory,
                           Count(report.source_rank_count, "rank"), report.target_rank_count,
                           Count(report.value_count, "value")));
    }
    return OkStatus();
  }

 private:
  Comm& comm_;
  Output& output_;
  const ProgramOptions& options_;
  const Program program_;
  const std::unique_ptr<FileSystem> files_;
  std::unique_ptr<Model> model_;
};

ParallelOptions OptimizerParallelOf(bool full_batch) {
  return {.full_batch = full_batch, .optimizer_parallel = {.enabled = true}};
}

std::string Row(const std::vector<std::string>& words) {
  std::string row;
  for (const std::string& word : words) row.append(row.empty() ? "" : " ").append(word);
  return row;
}

std::string NumbersText(std::span<const float> numbers) {
  std::string text;
  for (const float number : numbers) {
    text.append(text.empty() ? "" : ",").append(PythonDigits(number));
  }
  return text;
}

// The classes that the network sees in the first rows of its test data, and in how many of all it
// is right.
Status PrintPredictions(Session& session, Output& output, const std::string& logits_file) {
  RELAYOUT_ASSIGN_OR_RETURN(const MnistDataset test, session.Open(MnistPart::kTest, 1));
  constexpr int64_t kShown = 10;
  std::vector<std::string> seen;
  std::vector<std::string> labels;
  std::string rows;
  for (int64_t i = 0; i < std::min(kShown, test.batch_count()); ++i) {
    RELAYOUT_ASSIGN_OR_RETURN(const std::vector<Tensor> batch, test.Batch(0, i));
    const Tensor* const image = &batch[0];
    RELAYOUT_ASSIGN_OR_RETURN(const std::vector<Tensor> results,
                              session.model().Predict({&image, 1}));
    const auto logits = results.front().f32().elements();
    rows.append(NumbersText(logits)).append("\n");
    seen.push_back(std::to_string(std::ranges::max_element(logits) - logits.begin()));
    labels.push_back(std::to_string(batch[1].i32().data[0]));
  }
  output.Print(Format("predictions: {}", Row(seen)));
  output.Print(Format("labels:      {}", Row(labels)));
  RELAYOUT_RETURN_IF_ERROR(session.WriteOnRank0(logits_file, rows));
  RELAYOUT_ASSIGN_OR_RETURN(
      const MnistDataset rest,
      test.With({.batch_size = std::min<int64_t>(test.row_count(), 64), .drop_remainder = false}));
  RELAYOUT_ASSIGN_OR_RETURN(const double accuracy, session.model().Accuracy(rest));
  output.Print(Format("accuracy: {:.4f} of {} images", accuracy, test.row_count()));
  return OkStatus();
}

}  // namespace

Status TrainSaving(Comm& comm, Output& output, const ProgramOptions& options) {
  Session session(comm, output, options,
                  {.network = DenseNetwork(kSourceCuts, options.hidden),
                   .epochs = 10,
                   .strategy_file = Or(options.src_strategy_file, "src_strategy.ckpt"),
                   .checkpoints_dir = Or(options.src_checkpoints_dir, "src_checkpoints")});
  RELAYOUT_ASSIGN_OR_RETURN(const MnistDataset data,
                            session.Open(MnistPart::kTrain, options.batch_size));
  RELAYOUT_RETURN_IF_ERROR(session.CompileForTraining(data));
  return options.only_compile ? OkStatus() : session.Begin(data);
}

Status Retrain(Comm& comm, Output& output, const ProgramOptions& options) {
  const std::string converted = Or(options.dst_checkpoints_dir, "dst_checkpoints");
  Session session(comm, output, options,
                  {.network = DenseNetwork(kTargetCuts, options.hidden),
                   .parallel = OptimizerParallelOf(/*full_batch=*/true),
                   .epochs = 3,
                   .strategy_file = Or(options.dst_strategy_file, "dst_strategy.ckpt")});
  RELAYOUT_ASSIGN_OR_RETURN(const MnistDataset data,
                            session.Open(MnistPart::kTrain, options.batch_size));
  RELAYOUT_RETURN_IF_ERROR(session.CompileForTraining(data));
  if (options.only_compile) {
    return session.Convert(Or(options.src_checkpoints_dir, "src_checkpoints"),
                           Or(options.src_strategy_file, "src_strategy.ckpt"), converted);
  }
  RELAYOUT_RETURN_IF_ERROR(session.Load(converted));
  return session.Train(data);
}

Status Infer(Comm& comm, Output& output, const ProgramOptions& options) {
  const std::string converted = Or(options.dst_checkpoints_dir, "dst_checkpoints");
  Session session(comm, output, options,
                  {.network = DenseNetwork(kTargetCuts, options.hidden),
                   .parallel = OptimizerParallelOf(/*full_batch=*/false),
                   .strategy_file = Or(options.dst_strategy_file, "dst_strategy.ckpt")});
  RELAYOUT_RETURN_IF_ERROR(session.Create());
  RELAYOUT_RETURN_IF_ERROR(session.model().BuildPredict({{DType::kFloat32, {1, 1, 28, 28}}}));
  RELAYOUT_RETURN_IF_ERROR(session.SaveStrategy());
  if (options.only_compile) {
    return session.Convert(Or(options.src_checkpoints_dir, "src_checkpoints"),
                           Or(options.src_strategy_file, "src_strategy.ckpt"), converted);
  }
  RELAYOUT_RETURN_IF_ERROR(session.Load(converted));
  return PrintPredictions(session, output, options.logits_file);
}

Status PipelineTrain(Comm& comm, Output& output, const ProgramOptions& options) {
  ParallelOptions parallel = OptimizerParallelOf(/*full_batch=*/false);
  parallel.stage_count = 2;
  parallel.stage_rules = {{"layer1", 0}, {"layer2", 1}, {"layer3", 1}};
  parallel.micro_batch_count = 4;
  Session session(
      comm, output, options,
      {.network = NnDenseNetwork(options.hidden),
       .parallel = parallel,
       .epochs = 3,
       .strategy_file = Format("src_pipeline_strategys/src_strategy_{}.ckpt", comm.rank()),
       .checkpoints_dir = Or(options.src_checkpoints_dir, "src_checkpoints_pipeline")});
  RELAYOUT_ASSIGN_OR_RETURN(const MnistDataset data,
                            session.Open(MnistPart::kTrain, options.batch_size));
  RELAYOUT_RETURN_IF_ERROR(session.CompileForTraining(data));
  return options.only_compile ? OkStatus() : session.Begin(data);
}

Status RetrainPipeline(Comm& comm, Output& output, const ProgramOptions& options) {
  const std::string converted = Or(options.dst_checkpoints_dir, "dst_checkpoints_pipeline");
  const std::string merged = Or(options.src_strategy_file, "src_pipeline_strategy.ckpt");
  Session session(comm, output, options,
                  {.network = NnDenseNetwork(options.hidden),
                   .parallel = {.full_batch = true},
                   .epochs = 3,
                   .strategy_file = Or(options.dst_strategy_file, "dst_pipeline_strategy.ckpt")});
  RELAYOUT_ASSIGN_OR_RETURN(const MnistDataset data,
                            session.Open(MnistPart::kTrain, options.batch_size));
  RELAYOUT_RETURN_IF_ERROR(session.CompileForTraining(data));
  if (options.only_compile) {
    const auto merge = [&] {
      return MergeStrategies(session.files(), "src_pipeline_strategys", merged, true).status();
    };
    RELAYOUT_RETURN_IF_ERROR(Agree(comm, comm.rank() == 0 ? merge() : OkStatus()));
    return session.Convert(Or(options.src_checkpoints_dir, "src_checkpoints_pipeline"), merged,
                           converted);
  }
  RELAYOUT_RETURN_IF_ERROR(session.Load(converted));
  return session.Train(data);
}

}  // namespace relayout::tutorial
