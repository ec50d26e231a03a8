// SPDX-License-Identifier: Apache-2.0
//
// Train 30 steps on some ranks, save, convert, go on with 30 on others: the losses are those of 60
// steps on one rank that nothing interrupted. In memory, with threads.
//
//   src/rank_0/checkpoint-1_30.ckpt ...    src_strategies/0.ckpt ... -> src_strategy.ckpt
//   dst/rank_0/checkpoint_0.ckpt ...       dst_strategies/0.ckpt ... -> dst_strategy.ckpt
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "relayout/comm/thread_comm.h"
#include "relayout/convert/merge_strategies.h"
#include "relayout/convert/transform.h"
#include "relayout/format/strategy_file.h"
#include "relayout/infer/infer_strategy.h"
#include "relayout/io/memory_file_system.h"
#include "relayout/spmd/kernels/threads.h"
#include "relayout/train/loss_monitor.h"
#include "relayout/train/model_checkpoint.h"
#include "tests/train/small_runs.h"

namespace relayout {
namespace {

using testing::IsEmpty;
using testing::IsSupersetOf;

constexpr int64_t kSteps = 30;  // Before, and after.
constexpr int64_t kRows = 48, kWidth = 48, kClasses = 24;

// Lengths are such that 6 and 8 divide.
enum class Kind {
  kClassifier,  // 48 -> 48 -> 48 -> 24.
  kTied,        // 48 -> 48 -> 48 -> 48, where the last layer has the first one's weights.
  kDropout,     // 48 -> 48 -> 48 -> 24, half of what lies between the layers dropped.
};

struct Side {
  int ranks = 1;
  std::vector<Cuts> cuts = {};
  ParallelOptions parallel = {};
  Kind kind = Kind::kClassifier;
};

// Eight batches of noisy pictures, one for each class.
struct Pictures {
  Tensor x{DType::kFloat32, {8, kRows, kWidth}};
  Tensor labels{DType::kInt32, {8, kRows}};

  Pictures() {
    oracle::Random random(7);
    const Array classes = RandomArray(random, {kClasses, kWidth}, 1);
    const Array noise = RandomArray(random, {8, kRows, kWidth}, 1);
    for (int64_t row = 0; row < labels.size(); ++row) {
      const auto label = static_cast<int32_t>(random.Below(kClasses));
      labels.i32().data[row] = label;
      for (int64_t i = 0; i < kWidth; ++i) {
        x.f32().data[row * kWidth + i] =
            static_cast<float>(classes.values[static_cast<size_t>(label * kWidth + i)] +
                               noise.values[static_cast<size_t>(row * kWidth + i)]);
      }
    }
  }
};

const Pictures& Data() {
  static const Pictures pictures;
  return pictures;
}

StepBatches BatchesFor(const Comm& comm, const Side& side, int64_t steps, int64_t first_step) {
  return {{"x", "label"},
          {&Data().x, &Data().labels},
          Reader::Of(comm, side.parallel),
          steps,
          first_step};
}

OptimizerOptions OptimizerOf(const std::string& name) {
  OptimizerOptions options{.type = name, .learning_rate = name == "adam" ? 0.005F : 0.02F};
  if (name == "plain sgd") {
    options.type = "sgd";
    options.learning_rate = 0.1F;
  }
  if (name == "sgd") options.sgd = {.momentum = 0.9F, .dampening = 0.1F};
  options.momentum.momentum = 0.9F;
  return options;
}

NetworkTensor LayerOf(NetworkBuilder& net, const std::string& name, const NetworkTensor& x,
                      const Side& side, size_t index) {
  const Scope scope(net, name);
  return ClassifierLayer(net, x, kWidth, false,
                         index < side.cuts.size() ? side.cuts[index] : Cuts{});
}

NetworkFunction Tied(const Side& side) {
  return [side](NetworkBuilder& net, std::span<const NetworkTensor> inputs) {
    const NetworkTensor first =
        net.Parameter("table", {kWidth, kWidth}, {.initializer = "normal(0.2)"});
    NetworkTensor x = inputs[0];
    {
      const Scope scope(net, "layer1");
      x = net.ReLU(net.MatMul(x, first));
    }
    x = net.ReLU(LayerOf(net, "layer2", x, side, 1));
    const Scope scope(net, "layer3");
    return std::vector{net.MatMul(x, first, {.transpose_b = true})};
  };
}

NetworkFunction WithDropout(const Side& side) {
  return [side](NetworkBuilder& net, std::span<const NetworkTensor> inputs) {
    NetworkTensor x = net.Dropout(net.ReLU(LayerOf(net, "layer1", inputs[0], side, 0)), 0.5);
    x = net.Dropout(net.ReLU(LayerOf(net, "layer2", x, side, 1)), 0.5);
    return std::vector{LayerOf(net, "layer3", x, side, 2)};
  };
}

NetworkFunction NetworkOf(Kind kind, const Side& side) {
  switch (kind) {
    case Kind::kTied:
      return Tied(side);
    case Kind::kDropout:
      return WithDropout(side);
    case Kind::kClassifier:
      break;
  }
  return Classifier({false, {kWidth, kWidth, kClasses}, side.cuts});
}

ModelOptions ModelOf(const Side& side, const std::string& optimizer) {
  ModelOptions options;
  options.network = NetworkOf(side.kind, side);
  options.loss = Loss::kCrossEntropy;
  options.optimizer = OptimizerOf(optimizer);
  options.parallel = side.parallel;
  return options;
}

// The losses of 60 steps on one rank.
const std::vector<float>& Uninterrupted(Kind kind, const std::string& optimizer) {
  static std::map<std::pair<Kind, std::string>, std::vector<float>> all;
  std::vector<float>& losses = all[{kind, optimizer}];
  if (!losses.empty()) return losses;
  const Status status = RunThreadComm(1, [&](Comm& comm) -> Status {
    kernels::UseKernelThreads(1);
    const StepBatches batches = BatchesFor(comm, {}, 2 * kSteps, 0);
    RELAYOUT_ASSIGN_OR_RETURN(const auto model,
                              Model::Create(comm, ModelOf({.kind = kind}, optimizer)));
    LossRecorder recorder;
    RELAYOUT_RETURN_IF_ERROR(model->Train(1, batches, {&recorder}));
    losses = recorder.losses();
    return OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_LT(losses.back(), losses.front() * 0.8F) << "it learns nothing";
  return losses;
}

// Each stage's first rank writes the stage's file; then they are one.
Status WriteStrategy(Comm& comm, FileSystem& fs, const Model& model, const std::string& name) {
  const RankPlace& place = model.place();
  const auto& stages = model.strategy().stages;
  const auto write = [&]() -> Status {
    if (place.local_rank() != 0) return OkStatus();
    const std::string path = Format("{}_strategies/{}.ckpt", name, place.stage);
    return PublishFile(fs, path,
                       SerializeStrategyProtobuf(stages[static_cast<size_t>(place.stage)]), true);
  };
  RELAYOUT_RETURN_IF_ERROR(Agree(comm, write()));
  const auto merge = [&]() -> Status {
    const std::string merged = Format("{}_strategy.ckpt", name);
    if (stages.size() == 1)
      return PublishFile(fs, merged, SerializeStrategyProtobuf(stages[0]), true);
    return MergeStrategies(fs, Format("{}_strategies", name), merged, true).status();
  };
  return Agree(comm, comm.rank() == 0 ? merge() : OkStatus());
}

// The first part of a training: its losses, and what it saves.
Status TrainAndSave(Comm& comm, FileSystem& fs, const Side& side, const std::string& optimizer,
                    bool integrated_save, std::vector<float>& losses) {
  kernels::UseKernelThreads(1);
  const StepBatches batches = BatchesFor(comm, side, kSteps, 0);
  RELAYOUT_ASSIGN_OR_RETURN(const auto model, Model::Create(comm, ModelOf(side, optimizer)));
  RELAYOUT_RETURN_IF_ERROR(model->Build(batches));
  RELAYOUT_RETURN_IF_ERROR(WriteStrategy(comm, fs, *model, "src"));
  LossRecorder recorder;
  ModelCheckpoint save(fs, "checkpoint", Format("src/rank_{}", comm.rank()),
                       {.save_checkpoint_steps = kSteps, .integrated_save = integrated_save});
  RELAYOUT_RETURN_IF_ERROR(model->Train(1, batches, {&recorder, &save}));
  if (comm.rank() == 0) losses = recorder.losses();
  return OkStatus();
}

// How the second part takes up what the first one left.
struct Resumption {
  // The target strategy is one for inference, which has no states.
  bool for_inference = false;
  bool integrated_save = false;
  LoadCheckpointOptions load = {};
};

Status Convert(Comm& comm, FileSystem& fs) {
  TransformRequest request;
  request.source.path = "src";
  request.source.strategy_path = "src_strategy.ckpt";
  request.target_strategy_path = "dst_strategy.ckpt";
  request.target_directory = "dst";
  request.thread_count = 1;
  return TransformCheckpoints(fs, comm, request).status();
}

Status WriteTargetStrategy(Comm& comm, FileSystem& fs, const Model& model, const Side& side,
                           const std::string& optimizer, bool for_inference) {
  if (!for_inference) return WriteStrategy(comm, fs, model, "dst");
  RELAYOUT_ASSIGN_OR_RETURN(const auto asked, Model::Create(comm, ModelOf(side, optimizer)));
  const Reader reader = Reader::Of(comm, side.parallel);
  const TensorType input{DType::kFloat32, {kRows / reader.shard_count, kWidth}};
  RELAYOUT_RETURN_IF_ERROR(asked->BuildPredict({input}));
  return WriteStrategy(comm, fs, *asked, "dst");
}

struct Resumed {
  std::vector<float> losses;
  LoadReport report;
  int32_t global_step = 0;
};

Status Resume(Comm& comm, FileSystem& fs, const Side& side, const std::string& optimizer,
              const Resumption& how, Resumed& resumed) {
  kernels::UseKernelThreads(1);
  const StepBatches batches = BatchesFor(comm, side, kSteps, kSteps);
  RELAYOUT_ASSIGN_OR_RETURN(const auto model, Model::Create(comm, ModelOf(side, optimizer)));
  RELAYOUT_RETURN_IF_ERROR(model->Build(batches));
  std::string path = "src/rank_0/checkpoint-1_30.ckpt";
  if (!how.integrated_save) {
    RELAYOUT_RETURN_IF_ERROR(
        WriteTargetStrategy(comm, fs, *model, side, optimizer, how.for_inference));
    RELAYOUT_RETURN_IF_ERROR(Convert(comm, fs));
    path = Format("dst/rank_{0}/checkpoint_{0}.ckpt", comm.rank());
  }
  RELAYOUT_ASSIGN_OR_RETURN(const LoadReport report,
                            LoadCheckpointIntoNet(model->training_view(), fs, path, how.load,
                                                  {.slice_whole = how.integrated_save}));
  LossRecorder recorder;
  RELAYOUT_RETURN_IF_ERROR(model->Train(1, batches, {&recorder}));
  for (const StateTensor& state : model->state()) {
    if (state.name == "global_step") resumed.global_step = state.value->i32().data[0];
  }
  resumed.losses = recorder.losses();
  resumed.report = report;
  return OkStatus();
}

// Both parts; what each rank of the second met with.
Result<std::vector<Resumed>> TrainInTwoParts(const Side& from, const Side& to,
                                             const std::string& optimizer,
                                             const Resumption& how = {}) {
  MemoryFileSystem fs;
  std::vector<float> first;
  RELAYOUT_RETURN_IF_ERROR(RunThreadComm(from.ranks, [&](Comm& comm) {
    return TrainAndSave(comm, fs, from, optimizer, how.integrated_save, first);
  }));
  EXPECT_EQ(std::ssize(first), kSteps);
  EXPECT_LE(WorstOf(first, Uninterrupted(to.kind, optimizer), kSteps), 1e-5)
      << "before the conversion";
  std::vector<Resumed> resumed(static_cast<size_t>(to.ranks));
  RELAYOUT_RETURN_IF_ERROR(RunThreadComm(to.ranks, [&](Comm& comm) {
    return Resume(comm, fs, to, optimizer, how, resumed[static_cast<size_t>(comm.rank())]);
  }));
  return resumed;
}

// The losses behind the conversion, against those of one run: the first `count` of them.
double DifferenceOf(const Resumed& resumed, const std::string& optimizer, size_t count,
                    Kind kind = Kind::kClassifier) {
  EXPECT_EQ(std::ssize(resumed.losses), kSteps);
  const auto want = std::span(Uninterrupted(kind, optimizer)).subspan(kSteps);
  return WorstOf(resumed.losses, want, count);
}

// ------------------------------------------------------------------------------------- strategies

const std::vector<Cuts> kEight = {{{2, 1}, {1, 2}}, {{1, 8}, {8, 1}}, {{2, 2}, {2, 2}}};
const std::vector<Cuts> kSix = {{{2, 1}, {1, 3}}, {{1, 3}, {3, 2}}, {{6, 1}, {1, 1}}};
const std::vector<Cuts> kFour = {{{1, 4}, {4, 1}}, {}, {{2, 2}, {2, 1}}};

ParallelOptions OptimizerParallelOf(bool full_batch) {
  return {.full_batch = full_batch, .optimizer_parallel = {.enabled = true, .threshold_kib = 0}};
}

ParallelOptions Pipeline(ParallelOptions parallel, int64_t stages) {
  parallel.stage_count = stages;
  parallel.micro_batch_count = 4;
  parallel.stage_rules = {{"layer1", 0}, {"layer2", 1}, {"layer3", stages - 1}};
  return parallel;
}

struct Case {
  std::string name;
  Side from;
  Side to;
};

std::vector<Case> Cases() {
  const ParallelOptions full{.full_batch = true};
  const auto tied = [](int ranks, const ParallelOptions& parallel) {
    return Side{.ranks = ranks, .parallel = parallel, .kind = Kind::kTied};
  };
  const auto dropout = [](int ranks, const std::vector<Cuts>& cuts,
                          const ParallelOptions& parallel) {
    return Side{ranks, cuts, parallel, Kind::kDropout};
  };
  const Side eight{8, kEight};
  return {
      {"8 -> 4", eight, {4, kFour, full}},
      {"8 -> 6", eight, {6, kSix}},
      {"6 -> 8", {6, kSix, full}, eight},
      {"8 -> 1", eight, {1}},
      {"1 -> 8", {1}, eight},
      {"8 with optimizer parallel -> 4", {8, kEight, OptimizerParallelOf(false)}, {4, kFour}},
      {"8 -> 4 with optimizer parallel", eight, {4, kFour, OptimizerParallelOf(true)}},
      {"optimizer parallel, 8 -> 6",
       {8, {}, OptimizerParallelOf(false)},
       {6, kSix, OptimizerParallelOf(true)}},
      {"pipeline of 8 -> 4", {8, {}, Pipeline({}, 2)}, {4, kFour, full}},
      {"pipeline of 8 with optimizer parallel -> 4",
       {8, {}, Pipeline(OptimizerParallelOf(false), 2)},
       {4, {}, full}},
      {"pipeline of 3 stages on 6 -> pipeline of 2 on 8",
       {6, {}, Pipeline(full, 3)},
       {8, {}, Pipeline({}, 2)}},
      {"4 -> pipeline of 8", {4, kFour}, {8, {}, Pipeline({}, 2)}},
      {"weights of two stages, 8 -> 4", tied(8, Pipeline({}, 2)), tied(4, full)},
      {"weights of two stages, optimizer parallel, 8 -> 6",
       tied(8, Pipeline(OptimizerParallelOf(true), 2)), tied(6, OptimizerParallelOf(false))},
      {"weights of one stage, 4 -> two stages on 8", tied(4, {}), tied(8, Pipeline(full, 2))},
      {"weights of three stages on 6, two on 4", tied(6, Pipeline(full, 3)),
       tied(4, Pipeline({}, 2))},
      {"dropout, 8 -> 4", dropout(8, kEight, {}), dropout(4, kFour, full)},
      {"dropout, 8 -> 6", dropout(8, {}, full), dropout(6, kSix, OptimizerParallelOf(false))},
      {"searched 8 -> 4",
       {8, {}, {.mode = InferMode::kSearched}},
       {4, {}, {.mode = InferMode::kSearched}}},
  };
}

class Conversions : public testing::TestWithParam<size_t> {};

TEST_P(Conversions, GoOnAsIfNothingHadHappened) {
  const Case c = Cases()[GetParam()];
  for (const std::string optimizer : {"plain sgd", "sgd", "momentum", "adam"}) {
    SCOPED_TRACE(Format("{}, {}", c.name, optimizer));
    const auto ranks = TrainInTwoParts(c.from, c.to, optimizer);
    ASSERT_TRUE(ranks.ok()) << ranks.status().message();
    for (const Resumed& rank : *ranks) {
      EXPECT_THAT(rank.report.param_not_load, IsEmpty());
      EXPECT_THAT(rank.report.ckpt_not_load, IsEmpty());
      EXPECT_EQ(rank.global_step, 2 * kSteps);
      EXPECT_EQ(rank.losses, (*ranks)[0].losses) << "ranks have different losses";
    }
    const double worst = DifferenceOf((*ranks)[0], optimizer, kSteps, c.to.kind);
    std::printf("%-50s %-10s losses within %.1e\n", c.name.c_str(), optimizer.c_str(), worst);
    EXPECT_LE(worst, 1e-5);
  }
}
INSTANTIATE_TEST_SUITE_P(Cases, Conversions, testing::Range<size_t>(0, Cases().size()));

// ---------------------------------------------------------------------------- without the states

const Side kFrom{8, kEight};
const Side kTo{4, kFour, {.full_batch = true}};

std::vector<std::string> StatesOf(const std::string& optimizer) {
  if (optimizer == "adam") return {"moment1.layer1.weight", "moment2.layer3.bias"};
  if (optimizer == "momentum") return {"moments.layer1.weight", "moments.layer3.bias"};
  return {"accum.layer1.weight", "stat.layer3.bias"};
}

// A loss is that of the weights before the step, so the first one needs no state at all; with plain
// SGD, which has none that counts, no step does.
void ExpectToGoOnWithout(const std::string& optimizer, const Resumption& how) {
  SCOPED_TRACE(optimizer);
  const auto ranks = TrainInTwoParts(kFrom, kTo, optimizer, how);
  ASSERT_TRUE(ranks.ok()) << ranks.status().message();
  const Resumed& resumed = (*ranks)[0];
  EXPECT_THAT(resumed.report.param_not_load, IsSupersetOf(StatesOf(optimizer)));
  EXPECT_LE(DifferenceOf(resumed, optimizer, 1), 1e-5);
  const double later = DifferenceOf(resumed, optimizer, kSteps);
  if (optimizer == "plain sgd") {
    EXPECT_LE(later, 1e-5);
  } else {
    EXPECT_GT(later, 1e-4) << "so the states do not matter";
    EXPECT_LT(resumed.losses.back(), resumed.losses.front()) << "it no longer learns";
  }
}

TEST(WithoutStates, AStrategyForInferenceHasNone) {
  for (const std::string optimizer : {"plain sgd", "sgd", "momentum", "adam"}) {
    ExpectToGoOnWithout(optimizer, {.for_inference = true});
  }
}

TEST(WithoutStates, TheyAreNotLoaded) {
  const std::vector<std::string> states = {"accum.", "stat.", "moments.", "moment1.", "moment2."};
  for (const std::string optimizer : {"plain sgd", "sgd", "momentum", "adam"}) {
    ExpectToGoOnWithout(optimizer, {.load = {.filter_prefix = states}});
  }
}

// -------------------------------------------------------------------------------- whole tensors

TEST(IntegratedSave, OneFileGoesOnAnyRanks) {
  for (const Side& to :
       {Side{1}, kTo, Side{6, kSix, OptimizerParallelOf(true)}, Side{8, {}, Pipeline({}, 2)}}) {
    for (const std::string optimizer : {"sgd", "momentum", "adam"}) {
      SCOPED_TRACE(Format("{} ranks, {}", to.ranks, optimizer));
      const auto ranks = TrainInTwoParts(kFrom, to, optimizer, {.integrated_save = true});
      ASSERT_TRUE(ranks.ok()) << ranks.status().message();
      for (const Resumed& rank : *ranks) EXPECT_THAT(rank.report.param_not_load, IsEmpty());
      EXPECT_LE(DifferenceOf((*ranks)[0], optimizer, kSteps), 1e-5);
    }
  }
}

}  // namespace
}  // namespace relayout
