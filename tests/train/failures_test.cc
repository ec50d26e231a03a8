// SPDX-License-Identifier: Apache-2.0
//
// What goes wrong on one rank ends all ranks, with one message that says on which and what.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "relayout/comm/thread_comm.h"
#include "relayout/io/memory_file_system.h"
#include "relayout/spmd/kernels/threads.h"
#include "relayout/train/loss_monitor.h"
#include "relayout/train/model_checkpoint.h"
#include "tests/train/small_runs.h"

namespace relayout {
namespace {

using testing::AllOf;
using testing::Each;
using testing::HasSubstr;

constexpr int64_t kClasses = 8, kWidth = 16, kSteps = 4;

// What one rank of a training may have otherwise than the others.
struct Part {
  int64_t rows = 16;  // Of a batch, of all ranks of a stage together.
  int64_t hidden = 24;
  float learning_rate = 0.1F;
  int64_t epochs = 2;
  int64_t steps = kSteps;
  int32_t third_label = 0;  // The first label of each third batch.
  // In place of the third batch of an epoch, when set.
  std::function<Result<std::vector<Tensor>>(std::vector<Tensor> batch)> third_batch = {};
  std::vector<Callback*> callbacks = {};
};

class PartDataset final : public Dataset {
 public:
  PartDataset(const Part& part, Reader reader) : part_(part), reader_(reader) {}

  int64_t batch_count() const override { return part_.steps; }
  std::vector<std::string> names() const override { return {"x", "label"}; }
  std::vector<TensorType> types() const override {
    const int64_t rows = part_.rows / reader_.shard_count;
    return {{DType::kFloat32, {rows, kWidth}}, {DType::kInt32, {rows}}};
  }
  Result<std::vector<Tensor>> Batch(int64_t epoch, int64_t index) const override {
    oracle::Random random(static_cast<uint64_t>(epoch * 100 + index));
    std::vector<Tensor> batch;
    batch.push_back(reader_.RowsFor(ToTensor(RandomArray(random, {part_.rows, kWidth}))));
    batch.emplace_back(DType::kInt32, Dims{part_.rows / reader_.shard_count});
    if (index != 2) return batch;
    batch[1].i32().data[0] = part_.third_label;
    return part_.third_batch ? part_.third_batch(std::move(batch)) : std::move(batch);
  }

 private:
  const Part& part_;
  Reader reader_;
};

class FailingCallback final : public Callback {
 public:
  Status OnStepEnd(const TrainingView& view, const TrainingProgress& progress) override {
    (void)view;
    if (progress.step < 3) return OkStatus();
    return InvalidInput(Format("the callback cannot go on after step {}", progress.step));
  }
};

struct World {
  std::string name;
  int ranks = 4;
  ParallelOptions parallel = {};
};

ParallelOptions Pipeline() {
  return {.stage_count = 2, .stage_rules = {{"layer1", 0}, {"layer2", 1}}, .micro_batch_count = 2};
}

std::vector<World> Worlds() {
  return {
      {"rows on 4", 4},
      {"full batch on 4", 4, {.full_batch = true}},
      {"optimizer parallel on 8", 8, {.optimizer_parallel = {.enabled = true, .threshold_kib = 0}}},
      {"2 stages on 4", 4, Pipeline()}};
}

Status TrainPart(Comm& comm, const World& world, const Part& part) {
  kernels::UseKernelThreads(1);
  ModelOptions options;
  options.network = Classifier({.widths = {part.hidden, kClasses}});
  options.loss = Loss::kCrossEntropy;
  options.optimizer = {.type = "momentum", .learning_rate = part.learning_rate};
  options.parallel = world.parallel;
  const PartDataset dataset(part, Reader::Of(comm, world.parallel));
  RELAYOUT_ASSIGN_OR_RETURN(const auto model, Model::Create(comm, options));
  return model->Train(part.epochs, dataset, part.callbacks);
}

struct Failure {
  std::string message;                // Of the run.
  std::vector<std::string> of_ranks;  // Empty where a rank was well.
};

// All ranks have `usual`, rank `rank` has `other`.
Failure FailureOf(const World& world, int rank, const Part& other, const Part& usual = {}) {
  Failure failure;
  failure.of_ranks.resize(static_cast<size_t>(world.ranks));
  const Status status = RunThreadComm(world.ranks, [&](Comm& comm) {
    const Status mine = TrainPart(comm, world, comm.rank() == rank ? other : usual);
    failure.of_ranks[static_cast<size_t>(comm.rank())] = mine.message();
    return mine;
  });
  EXPECT_FALSE(status.ok());
  failure.message = status.message();
  return failure;
}

// One message, the same on all ranks, and said once.
void ExpectOneMessage(const Failure& failure, const std::string& want) {
  EXPECT_EQ(failure.message, want);
  EXPECT_THAT(failure.of_ranks, Each(want));
}

class Failures : public testing::TestWithParam<size_t> {
 protected:
  const World world_ = Worlds()[GetParam()];
  const bool full_batch_ = world_.parallel.full_batch;
  // Rows of a rank, of the usual 16.
  int64_t FedOf(int64_t all) const {
    return full_batch_ ? all : all * world_.parallel.stage_count / world_.ranks;
  }
};

TEST_P(Failures, AnotherBatchSize) {
  const Failure failure = FailureOf(world_, 2, {.rows = 32});
  ExpectOneMessage(
      failure, Format("ranks run different networks: rank 0 has 'x input f32[{0},16]' where rank 2 "
                      "has 'x input f32[{1},16]'; batches and the network must be the same on all "
                      "ranks",
                      FedOf(16), FedOf(32)));
}

TEST_P(Failures, AnotherNetwork) {
  const Failure failure = FailureOf(world_, 1, {.hidden = 48});
  ExpectOneMessage(failure,
                   "ranks run different networks: rank 0 has 'layer1.weight parameter f32[16,24]' "
                   "where rank 1 has 'layer1.weight parameter f32[16,48]'; batches and the network "
                   "must be the same on all ranks");
}

TEST_P(Failures, AnotherLearningRate) {
  const Failure failure = FailureOf(world_, 3, {.learning_rate = 0.2F});
  EXPECT_THAT(failure.message, AllOf(HasSubstr("ranks train differently: rank 0 has 'optimizer "
                                               "momentum, learning rate 0.1, "),
                                     HasSubstr("' where rank 3 has 'optimizer momentum, learning "
                                               "rate 0.2, ")));
  EXPECT_THAT(failure.of_ranks, Each(failure.message));
}

TEST_P(Failures, FewerSteps) {
  ExpectOneMessage(FailureOf(world_, 3, {.steps = 3}),
                   "ranks train differently: rank 0 has '2 epochs of 4 steps, 0 callbacks' where "
                   "rank 3 has '2 epochs of 3 steps, 0 callbacks'");
  ExpectOneMessage(FailureOf(world_, 1, {.epochs = 1}),
                   "ranks train differently: rank 0 has '2 epochs of 4 steps, 0 callbacks' where "
                   "rank 1 has '1 epoch of 4 steps, 0 callbacks'");
  LossRecorder recorder;
  ExpectOneMessage(FailureOf(world_, 2, {.callbacks = {&recorder}}),
                   "ranks train differently: rank 0 has '2 epochs of 4 steps, 0 callbacks' where "
                   "rank 2 has '2 epochs of 4 steps, 1 callback'");
}

TEST_P(Failures, ALabelThatIsNoClass) {
  for (const int32_t label : {8, -1, std::numeric_limits<int32_t>::max()}) {
    ExpectOneMessage(FailureOf(world_, 1, {.third_label = label}),
                     Format("rank 1: epoch 1, step 3: label: row 0 is {}, which is none of the 8 "
                            "classes",
                            label));
  }
  // Of a row that does not count.
  const Status status = RunThreadComm(
      world_.ranks, [&](Comm& comm) { return TrainPart(comm, world_, {.third_label = -100}); });
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST_P(Failures, ADatasetThatFails) {
  const Part part{.third_batch = [](std::vector<Tensor> batch) -> Result<std::vector<Tensor>> {
    (void)batch;
    return IoError("train-images: the disk is gone");
  }};
  ExpectOneMessage(FailureOf(world_, 2, part),
                   "rank 2: epoch 1, step 3: train-images: the disk is gone");
}

TEST_P(Failures, ABatchOfAnotherShape) {
  const Part part{.third_batch = [](std::vector<Tensor> batch) -> Result<std::vector<Tensor>> {
    batch[0] = relayout::RowsOf(batch[0], 0, 1);
    return batch;
  }};
  ExpectOneMessage(FailureOf(world_, 3, part),
                   Format("rank 3: epoch 1, step 3: x is f32[1,16], but the network was built for "
                          "f32[{},16]",
                          FedOf(16)));
}

TEST_P(Failures, ACallbackThatFails) {
  FailingCallback failing;
  std::vector<LossRecorder> recorders(static_cast<size_t>(world_.ranks));
  MemoryFileSystem fs;
  // Behind it one that all ranks come together in.
  const auto run = [&](Comm& comm) {
    ModelCheckpoint save(fs, "net", Format("rank_{}", comm.rank()));
    Callback* const first = comm.rank() == 1 ? static_cast<Callback*>(&failing)
                                             : &recorders[static_cast<size_t>(comm.rank())];
    return TrainPart(comm, world_, {.callbacks = {first, &save}});
  };
  const Status status = RunThreadComm(world_.ranks, run);
  EXPECT_EQ(status.message(), "rank 1: the callback cannot go on after step 3");
  for (int rank = 0; rank < world_.ranks; ++rank) {
    EXPECT_TRUE(fs.FileBytes(Format("rank_{}/net-1_2.ckpt", rank)).has_value());
    EXPECT_FALSE(fs.FileBytes(Format("rank_{}/net-1_3.ckpt", rank)).has_value());
  }
}

TEST_P(Failures, ARankThatLeaves) {
  std::vector<std::string> of_ranks(static_cast<size_t>(world_.ranks));
  const Status status = RunThreadComm(world_.ranks, [&](Comm& comm) {
    if (comm.rank() == 2) return OkStatus();
    const Status mine = TrainPart(comm, world_, {});
    of_ranks[static_cast<size_t>(comm.rank())] = mine.message();
    return mine;
  });
  EXPECT_THAT(status.message(), HasSubstr("rank 2 left, and rank 0 waits for it in AllGather"));
  of_ranks.erase(of_ranks.begin() + 2);
  EXPECT_THAT(of_ranks, Each(HasSubstr("rank 2 left")));
}

// Leaves in the middle of training, as a program that gives up without a word.
class Leaver final : public Callback {
 public:
  Status OnStepEnd(const TrainingView& view, const TrainingProgress& progress) override {
    (void)view;
    return progress.step < 3 ? OkStatus()
                             : Status(StatusCode::kCancelled, "somebody pressed Ctrl-C");
  }
};

TEST_P(Failures, ARankThatIsStopped) {
  Leaver leaver;
  std::vector<LossRecorder> recorders(static_cast<size_t>(world_.ranks));
  const Status status = RunThreadComm(world_.ranks, [&](Comm& comm) {
    Callback* const mine = comm.rank() == 2 ? static_cast<Callback*>(&leaver)
                                            : &recorders[static_cast<size_t>(comm.rank())];
    return TrainPart(comm, world_, {.callbacks = {mine}});
  });
  EXPECT_EQ(status.message(), "rank 2: somebody pressed Ctrl-C");
}

TEST_P(Failures, ALossThatIsNoNumber) {
  const Part diverges{.learning_rate = 1e30F};
  std::vector<std::string> of_ranks(static_cast<size_t>(world_.ranks));
  const Status status = RunThreadComm(world_.ranks, [&](Comm& comm) {
    LossMonitor monitor([](std::string_view) {});
    Part part = diverges;
    part.callbacks = {&monitor};
    const Status mine = TrainPart(comm, world_, part);
    of_ranks[static_cast<size_t>(comm.rank())] = mine.message();
    return mine;
  });
  EXPECT_THAT(status.message(), HasSubstr("epoch 1, step 2: the loss is "));
  EXPECT_THAT(status.message(), HasSubstr("nan"));
  EXPECT_THAT(of_ranks, Each(status.message()));
}

INSTANTIATE_TEST_SUITE_P(Worlds, Failures, testing::Range<size_t>(0, Worlds().size()));

// ---------------------------------------------------------------------------- networks of a file

Graph FixedNetwork() {
  NetworkBuilder net;
  const NetworkTensor x = net.Input("x", {16, kWidth});
  auto graph = net.Build(Classifier({.widths = {kClasses}})(net, std::vector{x}));
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  return *graph;
}

TEST(FixedNetworks, TakeTheirOwnShapesOnly) {
  const Part small{.rows = 8};
  const Status status = RunThreadComm(2, [&](Comm& comm) -> Status {
    ModelOptions options;
    options.graph = FixedNetwork();
    options.loss = Loss::kCrossEntropy;
    options.parallel.full_batch = true;
    const PartDataset dataset(small, {});
    RELAYOUT_ASSIGN_OR_RETURN(const auto model, Model::Create(comm, options));
    return model->Train(1, dataset);
  });
  EXPECT_EQ(status.message(), "input 'x' of the network is f32[16,16], but f32[8,16] is given");
}

TEST(FixedNetworks, AreOneOfTwo) {
  const auto comm = NewSelfComm();
  ModelOptions options;
  options.graph = FixedNetwork();
  options.network = Classifier({.widths = {kClasses}});
  EXPECT_THAT(Model::Create(*comm, options).status().message(), HasSubstr("two networks"));
  EXPECT_THAT(Model::Create(*comm, {}).status().message(), HasSubstr("without a network"));
}

}  // namespace
}  // namespace relayout
