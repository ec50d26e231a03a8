// SPDX-License-Identifier: Apache-2.0
//
// The losses of real MindSpore in one process (../shared/fixtures/training: IDX digits, initial
// weights, 60 steps with each optimizer), followed on 1 to 16 ranks under the strategies that
// MindSpore's compiler made for the tutorial's networks (../shared/fixtures/strategies). Skipped
// where that folder is not beside the project; tests/train/training_runs_test.cc has small runs.
//
//   STEPS=60 train_reference_losses_test     all steps, and the accuracy behind them
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "examples/tutorial/networks.h"
#include "relayout/base/text.h"
#include "relayout/comm/thread_comm.h"
#include "relayout/format/strategy_file.h"
#include "relayout/io/posix_file_system.h"
#include "relayout/spmd/kernels/threads.h"
#include "relayout/train/load_param_into_net.h"
#include "relayout/train/loss_monitor.h"
#include "relayout/train/mnist_dataset.h"
#include "relayout/train/model.h"

namespace relayout {
namespace {

using tutorial::LayerCuts;

const std::string kShared = RELAYOUT_SHARED;

struct Case {
  std::string strategy;  // Of ../shared/fixtures/strategies; "" for none.
  int ranks = 1;
  ParallelOptions parallel = {};
  LayerCuts cuts = {};
  bool nn_dense = false;
  std::vector<std::string> optimizers = {"sgd", "momentum", "adam"};
};

const LayerCuts kSource = {.layer1 = {{2, 1}, {1, 2}}, .layer3 = {{2, 2}, {2, 1}}};
const LayerCuts kTarget = {.layer1 = {{1, 4}, {4, 1}}, .layer3 = {{2, 2}, {2, 1}}};

ParallelOptions OptimizerParallelOf(int64_t threshold_kib, bool full_batch, int64_t group = -1) {
  return {.full_batch = full_batch,
          .optimizer_parallel = {.enabled = true, .threshold_kib = threshold_kib, .group = group}};
}

ParallelOptions Pipeline(int64_t threshold_kib) {
  ParallelOptions parallel = OptimizerParallelOf(threshold_kib, false);
  parallel.stage_count = 2;
  parallel.micro_batch_count = 4;
  parallel.stage_rules = {{"layer1", 0}, {"layer2", 1}, {"layer3", 1}};
  return parallel;
}

std::vector<Case> Cases() {
  const ParallelOptions full{.full_batch = true};
  const ParallelOptions propagated{.mode = InferMode::kPropagated};
  const ParallelOptions searched{.mode = InferMode::kSearched};
  const LayerCuts layer2 = {
      .layer1 = {{4, 1}, {1, 2}}, .layer2 = {{2, 2}, {2, 2}}, .layer3 = {{1, 8}, {8, 1}}};
  return {
      {.strategy = "", .ranks = 1},
      {.strategy = "", .ranks = 1, .nn_dense = true},
      {.strategy = "", .ranks = 2, .parallel = full},
      {.strategy = "save_8", .ranks = 8, .cuts = kSource},
      {.strategy = "save_8_opt0",
       .ranks = 8,
       .parallel = OptimizerParallelOf(0, false),
       .cuts = kSource},
      {.strategy = "save_16", .ranks = 16, .cuts = kSource},
      {.strategy = "retrain_4",
       .ranks = 4,
       .parallel = OptimizerParallelOf(64, true),
       .cuts = kTarget},
      {.strategy = "retrain_4_opt0",
       .ranks = 4,
       .parallel = OptimizerParallelOf(0, true),
       .cuts = kTarget},
      {.strategy = "retrain_8_opt0_adam",
       .ranks = 8,
       .parallel = OptimizerParallelOf(0, true),
       .cuts = kTarget,
       .optimizers = {"adam"}},
      {.strategy = "opt_group_2",
       .ranks = 8,
       .parallel = OptimizerParallelOf(0, true, 2),
       .cuts = kTarget},
      {.strategy = "layer2_8",
       .ranks = 8,
       .parallel = OptimizerParallelOf(0, false),
       .cuts = layer2},
      {.strategy = "auto_propagation_8", .ranks = 8, .parallel = propagated, .cuts = kSource},
      {.strategy = "", .ranks = 8, .parallel = searched},
      {.strategy = "pipeline_8", .ranks = 8, .parallel = Pipeline(64), .nn_dense = true},
      {.strategy = "pipeline_8_opt0", .ranks = 8, .parallel = Pipeline(0), .nn_dense = true},
      {.strategy = "pipeline_retrain_4", .ranks = 4, .parallel = full, .nn_dense = true},
  };
}

std::string NameOf(const Case& c) {
  return Format("{} on {} ranks, {}", c.strategy.empty() ? "no file" : c.strategy, c.ranks,
                c.nn_dense ? "nn.Dense" : "Dense");
}

// "losses": [..] of "dense/sgd"; the file is flat enough to be read by searching.
std::vector<double> ReferenceLosses(const std::string& run, double& accuracy) {
  std::ifstream file(kShared + "/fixtures/training/losses.json");
  std::stringstream text;
  text << file.rdbuf();
  const std::string all = text.str();
  const size_t at = all.find(Format("\"{}\"", run));
  const size_t begin = all.find('[', all.find("\"losses\"", at)) + 1;
  std::vector<double> losses;
  std::istringstream numbers(all.substr(begin, all.find(']', begin) - begin));
  for (std::string number; std::getline(numbers, number, ',');) losses.push_back(std::stod(number));
  accuracy = std::stod(all.substr(all.find(':', all.find("\"test_accuracy\"", at)) + 1));
  return losses;
}

OptimizerOptions OptimizerOf(const std::string& type) {
  return {.type = type, .learning_rate = type == "adam" ? 0.001F : 0.01F};
}

constexpr int64_t kBatch = 256;
constexpr int64_t kAllSteps = 60;  // 10 epochs of 6 batches.

struct Outcome {
  std::vector<float> losses;
  double accuracy = 0;
};

// The first steps of the reference; all of its epochs when `steps` says so.
class FirstSteps final : public Dataset {
 public:
  FirstSteps(const MnistDataset& all, int64_t count) : all_(all), count_(count) {}
  int64_t batch_count() const override { return count_; }
  std::vector<std::string> names() const override { return all_.names(); }
  std::vector<TensorType> types() const override { return all_.types(); }
  Result<std::vector<Tensor>> Batch(int64_t epoch, int64_t index) const override {
    (void)epoch;
    return all_.Batch(0, index % all_.batch_count());
  }

 private:
  const MnistDataset& all_;
  int64_t count_;
};

// What is trained lies as MindSpore's compiler has it in the case's file.
void ExpectMindSporesLayouts(FileSystem& fs, const Case& c, const RankPlace& place,
                             const std::vector<StateTensor>& state) {
  const auto file = ReadStrategyFile(
      fs, Format("{}/fixtures/strategies/{}/strategy_{}.ckpt", kShared, c.strategy, place.stage));
  ASSERT_TRUE(file.ok()) << file.status().message();
  size_t compared = 0;
  for (const ParameterLayout& wanted : file->stages[0].layouts.parameters) {
    const auto found = std::ranges::find(state, wanted.name, &StateTensor::name);
    if (found == state.end()) continue;  // A state of another optimizer.
    EXPECT_TRUE(HoldSameShards(found->layout, wanted.layout)) << wanted.name;
    ++compared;
  }
  EXPECT_GE(compared, c.parallel.stage_count == 1 ? 6U : 2U);
}

Status Train(Comm& comm, const Case& c, const std::string& optimizer, int64_t steps, Outcome& run) {
  kernels::UseKernelThreads(1);
  const int64_t readers = c.parallel.full_batch ? 1 : comm.size() / c.parallel.stage_count;
  const auto file_system = NewPosixFileSystem();
  FileSystem& fs = *file_system;
  const std::string data = kShared + "/fixtures/training";
  RELAYOUT_ASSIGN_OR_RETURN(
      const MnistDataset all,
      MnistDataset::Open(fs, data, MnistPart::kTrain,
                         {.batch_size = kBatch / readers,
                          .num_shards = readers,
                          .shard_id = c.parallel.full_batch ? 0 : comm.rank() % readers}));
  const FirstSteps dataset(all, steps);
  ModelOptions options;
  options.network =
      c.nn_dense ? tutorial::NnDenseNetwork(512) : tutorial::DenseNetwork(c.cuts, 512);
  options.loss = Loss::kCrossEntropy;
  options.optimizer = OptimizerOf(optimizer);
  options.parallel = c.parallel;
  RELAYOUT_ASSIGN_OR_RETURN(const auto model, Model::Create(comm, options));
  RELAYOUT_RETURN_IF_ERROR(model->Build(dataset));
  if (!c.strategy.empty()) ExpectMindSporesLayouts(fs, c, model->place(), model->state());
  const std::string init = Format("{}/init_{}.ckpt", data, c.nn_dense ? "nn_dense" : "dense");
  RELAYOUT_RETURN_IF_ERROR(
      LoadCheckpointIntoNet(model->training_view(), fs, init, {}, {.slice_whole = true}).status());
  LossRecorder recorder;
  RELAYOUT_RETURN_IF_ERROR(model->Train(1, dataset, {&recorder}));
  if (steps >= kAllSteps) {
    RELAYOUT_ASSIGN_OR_RETURN(const MnistDataset test,
                              MnistDataset::Open(fs, data, MnistPart::kTest,
                                                 {.batch_size = 64, .drop_remainder = false}));
    RELAYOUT_ASSIGN_OR_RETURN(run.accuracy, model->Accuracy(test));
  }
  run.losses = recorder.losses();
  return OkStatus();
}

class Strategies : public testing::TestWithParam<size_t> {};

TEST_P(Strategies, AreFollowed) {
  if (!std::filesystem::exists(kShared + "/fixtures/training/losses.json")) {
    GTEST_SKIP() << "there are no fixtures in " << kShared;
  }
  const char* const given = std::getenv("STEPS");
  const int64_t steps = given == nullptr ? 20 : std::atoll(given);
  const Case c = Cases()[GetParam()];
  SCOPED_TRACE(NameOf(c));
  for (const std::string& optimizer : c.optimizers) {
    SCOPED_TRACE(optimizer);
    double want_accuracy = 0;
    const std::vector<double> want = ReferenceLosses(
        Format("{}/{}", c.nn_dense ? "nn_dense" : "dense", optimizer), want_accuracy);
    std::vector<Outcome> runs(static_cast<size_t>(c.ranks));
    const Status status = RunThreadComm(c.ranks, [&](Comm& comm) {
      return Train(comm, c, optimizer, steps, runs[static_cast<size_t>(comm.rank())]);
    });
    ASSERT_TRUE(status.ok()) << status.message();
    const Outcome& got = runs[0];
    ASSERT_EQ(std::ssize(got.losses), steps);
    double worst = 0;
    for (size_t i = 0; i < std::min<size_t>(20, got.losses.size()); ++i) {
      worst = std::max(worst, std::abs(got.losses[i] - want[i]) / want[i]);
    }
    EXPECT_LT(worst, 1e-4);
    std::printf("%-45s %-9s worst of the first 20 steps %.1e", NameOf(c).c_str(), optimizer.c_str(),
                worst);
    if (steps >= kAllSteps) {
      EXPECT_NEAR(got.accuracy, want_accuracy, 0.005);
      std::printf(", accuracy %.4f, MindSpore %.4f", got.accuracy, want_accuracy);
    }
    std::printf("\n");
  }
}
INSTANTIATE_TEST_SUITE_P(Cases, Strategies, testing::Range<size_t>(0, Cases().size()));

}  // namespace
}  // namespace relayout
