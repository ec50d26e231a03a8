// SPDX-License-Identifier: Apache-2.0
//
// Random networks, cut at random on 1 to 8 ranks, with pipeline stages, micro batches and optimizer
// parallel, give the loss, the gradients and the predictions that one rank gives for the whole.
//
//   SEED=17 CASES=1000 spmd_random_networks_test     more of them; a failure prints its seed
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/comm/thread_comm.h"
#include "relayout/graph/builder.h"
#include "relayout/graph/global_batch.h"
#include "relayout/graph/training_loss.h"
#include "relayout/infer/assignment.h"
#include "relayout/infer/infer_strategy.h"
#include "relayout/infer/operator_rule.h"
#include "relayout/spmd/kernels/threads.h"
#include "relayout/spmd/parameter_store.h"
#include "relayout/spmd/stage_runner.h"
#include "tests/oracle/random.h"

namespace relayout {
namespace {

using oracle::Random;

struct World {
  int64_t stages = 1;
  int64_t stage_ranks = 1;
  int64_t micro_batches = 1;
  bool full_batch = false;
  bool optimizer_parallel = false;
  int64_t rows = 2;  // That a rank is fed of a micro batch, before full_batch is looked at.

  int64_t ranks() const { return stages * stage_ranks; }
  // Of the batch that all ranks of a stage see together.
  int64_t all_rows() const { return rows * stage_ranks * micro_batches; }
  int64_t fed_rows() const { return full_batch ? all_rows() : rows * micro_batches; }
};

std::string ToText(const World& world) {
  return Format("{} stages of {} ranks, {} micro batches, {}{}{} rows", world.stages,
                world.stage_ranks, world.micro_batches, world.full_batch ? "full batch, " : "",
                world.optimizer_parallel ? "optimizer parallel, " : "", world.all_rows());
}

World RandomWorld(Random& random) {
  World world;
  world.stage_ranks = random.Pick<int64_t>({1, 2, 2, 4, 4, 8, 3});
  if (world.stage_ranks <= 4 && !random.OneIn(2)) world.stages = random.Between(2, 3);
  if (world.stages > 1) world.micro_batches = random.Pick<int64_t>({1, 2, 3, 4, 5});
  world.full_batch = random.OneIn(2);
  world.optimizer_parallel = random.OneIn(2);
  world.rows = random.Between(1, 2);
  return world;
}

// A network of layers chosen at random; a stage's in a scope "s0", "s1", ...
class Writer {
 public:
  Writer(Random& random, int64_t rows) : random_(random), rows_(rows) {}

  Result<Graph> Write(int64_t stages) {
    NetworkTensor x = net_.Input("x", {rows_, kWidth});
    const NetworkTensor ids = net_.Input("ids", {rows_}, DType::kInt32);
    for (int64_t stage = 0; stage < stages; ++stage) {
      const Scope scope(net_, Format("s{}", stage));
      if (stage == 0) x = x + Embedding(ids);
      const int64_t layers = random_.Between(1, 3);
      for (int64_t i = 0; i < layers; ++i) {
        const Scope layer(net_, Format("l{}", i));
        x = Layer(x);
      }
      if (stage + 1 == stages) x = Linear("head", x, kClasses);
    }
    RELAYOUT_ASSIGN_OR_RETURN(const Graph graph, net_.Build({x}));
    return WithLoss(graph, Loss::kCrossEntropy);
  }

  static constexpr int64_t kWidth = 24;
  static constexpr int64_t kClasses = 24;

 private:
  NetworkTensor Embedding(const NetworkTensor& ids) {
    return net_.Gather(net_.Parameter("table", {kClasses, kWidth}), ids);
  }

  NetworkTensor Linear(const std::string& name, const NetworkTensor& x, int64_t width) {
    const Scope scope(net_, name);
    const bool transposed = random_.OneIn(2);
    const Dims shape = transposed ? Dims{width, x.dim(-1)} : Dims{x.dim(-1), width};
    const NetworkTensor y =
        net_.MatMul(x, net_.Parameter("weight", shape), {.transpose_b = transposed});
    if (random_.OneIn(4)) return y;
    const NetworkTensor bias = net_.Parameter("bias", {width});
    return random_.OneIn(2) ? net_.BiasAdd(y, bias) : y + bias;
  }

  NetworkTensor Norm(const NetworkTensor& x) {
    const Scope scope(net_, "norm");
    const NetworkTensor gamma = net_.Parameter("gamma", {kWidth});
    if (random_.OneIn(2)) return net_.RmsNorm(x, gamma);
    return net_.LayerNorm(x, gamma, net_.Parameter("beta", {kWidth}));
  }

  NetworkTensor Heads(const std::string& name, const NetworkTensor& x) {
    const NetworkTensor y = Linear(name, x, kWidth);
    return net_.Transpose(net_.Reshape(y, {rows_, 4, kWidth / 4}), {1, 0, 2});
  }

  // Over the rows of the batch that a micro batch has: heads are the batch, so that nothing mixes
  // rows, each head is multiplied with a table.
  NetworkTensor Mixed(const NetworkTensor& x) {
    const NetworkTensor heads = Heads("query", x);
    const NetworkTensor table = net_.Parameter("keys", {4, kWidth / 4, 8});
    const NetworkTensor values = net_.Parameter("values", {4, 8, kWidth / 4});
    const NetworkTensor scores = net_.Softmax(net_.BatchMatMul(heads, table) * 0.5);
    const NetworkTensor y = net_.Transpose(net_.BatchMatMul(scores, values), {1, 0, 2});
    return x + net_.Reshape(y, {rows_, kWidth});
  }

  NetworkTensor Layer(const NetworkTensor& x) {
    switch (random_.Below(8)) {
      case 0:
        return net_.ReLU(Linear("dense", x, kWidth));
      case 1:
        return x + Linear("down", net_.GeLU(Linear("up", Norm(x), 2 * kWidth)), kWidth);
      case 2:
        return Norm(x);
      case 3:
        return Mixed(x);
      case 4:
        return net_.Tanh(x) * net_.Sigmoid(Linear("gate", x, kWidth));
      case 5: {
        const auto parts = net_.Split(Linear("dense", x, kWidth), 1, 2);
        return net_.Concat({parts[1], net_.SiLU(parts[0])}, 1);
      }
      case 6:
        return x - net_.ReduceMean(x, {1}, true) + Linear("dense", x, kWidth);
      default:
        return net_.Reshape(net_.ReLU(net_.Reshape(x, {rows_, 2, kWidth / 2}) +
                                      net_.Parameter("shift", {2, kWidth / 2})),
                            {rows_, kWidth});
    }
  }

  Random& random_;
  int64_t rows_;
  NetworkBuilder net_;
};

// Cuts for each operator that its axes allow on so many ranks; some operators stay as they are.
Status CutAtRandom(Random& random, const Graph& laid, int64_t stage_ranks, Graph& graph) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto all_axes, AxesOfAll(laid));
  for (size_t id = 0; id < all_axes.size(); ++id) {
    const OperatorAxes& axes = all_axes[id];
    const Operator& op = laid.op(static_cast<OperatorId>(id));
    if (random.OneIn(4)) continue;
    AxisCuts cuts;
    int64_t left = stage_ranks;
    for (const int64_t length : axes.lengths) {
      int64_t pieces = random.Between(1, left);
      while (length % pieces != 0 || left % pieces != 0) --pieces;
      cuts.push_back(pieces);
      left /= pieces;
    }
    const OperatorRule* const rule = FindRule(op.type);
    if (!LayOut(laid, op, *rule, axes, cuts, stage_ranks).ok()) continue;
    graph.mutable_op(static_cast<OperatorId>(id)).cuts = ToCuts(axes, cuts);
  }
  return OkStatus();
}

InferOptions OptionsOf(const World& world, bool training) {
  InferOptions options;
  options.device_count = world.ranks();
  options.training = training;
  options.full_batch = world.full_batch || !training;
  options.stage_count = world.stages;
  options.micro_batch_count = world.micro_batches;
  options.optimizer_parallel = {.enabled = world.optimizer_parallel, .threshold_kib = 0};
  for (int64_t stage = 0; stage < world.stages && world.stages > 1; ++stage) {
    options.stage_rules.push_back({Format("s{}", stage), stage});
  }
  return options;
}

// What a run of the network gives: the loss, and whole gradients by name.
struct Outcome {
  float loss = 0;
  std::map<std::string, Tensor> gradients;
};

float ElementOf(const std::string& name, const Dims& index) {
  uint64_t hash = std::hash<std::string>{}(name);
  for (const int64_t i : index) hash = oracle::Mix(hash + static_cast<uint64_t>(i));
  return (static_cast<float>(hash % 2001) - 1000) / 2500.0F;
}

template <typename Body>
void ForEachIndex(const Box& box, const Body& body) {
  if (box.volume() == 0) return;
  Dims index = box.begin;
  do body(index);
  while (NextIndex(box.begin, box.end, index));
}

// Rows [begin, begin + count) of all.
std::vector<Tensor> Rows(const Graph& graph, int64_t begin, int64_t count) {
  std::vector<Tensor> inputs;
  for (const ValueId id : graph.inputs()) {
    const Value& value = graph.value(id);
    Dims shape = value.shape;
    shape[0] = count;
    Tensor& tensor = inputs.emplace_back(value.dtype, shape);
    int64_t i = 0;
    ForEachIndex(Box::Whole(shape), [&](Dims index) {
      index[0] += begin;
      const float element = ElementOf(value.name, index);
      if (value.dtype == DType::kFloat32) {
        tensor.f32().data[i++] = element;
      } else {
        tensor.i32().data[i++] = static_cast<int32_t>((element + 0.4F) * 20);
      }
    });
  }
  return inputs;
}

std::vector<const Tensor*> PointersTo(const std::vector<Tensor>& tensors) {
  std::vector<const Tensor*> pointers;
  for (const Tensor& tensor : tensors) pointers.push_back(&tensor);
  return pointers;
}

void FillParameters(ParameterStore& parameters) {
  for (ParameterShard& shard : parameters.shards()) {
    float* next = shard.value.f32().data;
    ForEachIndex(shard.box, [&](const Dims& index) { *next++ = ElementOf(shard.name, index); });
  }
}

// Two steps, so that what one leaves behind shows in the next.
Status RunRank(Comm& comm, const World& world, const InferredStrategy& network,
               std::vector<ParameterStore>& stores, float& loss) {
  kernels::UseKernelThreads(1);
  const RankPlace place = RankPlace::Of(comm.rank(), comm.size(), world.stages);
  RELAYOUT_ASSIGN_OR_RETURN(ParameterStore parameters, ParameterStore::Create(network, place));
  FillParameters(parameters);
  RELAYOUT_ASSIGN_OR_RETURN(const auto runner,
                            StageRunner::Create({.network = &network,
                                                 .place = place,
                                                 .training = true,
                                                 .full_batch = world.full_batch,
                                                 .micro_batch_count = world.micro_batches},
                                                parameters));
  const int64_t begin = world.full_batch ? 0 : place.local_rank() * world.fed_rows();
  const std::vector<Tensor> inputs = Rows(network.graph, begin, world.fed_rows());
  for (int64_t step = 0; step < 2; ++step) {
    RELAYOUT_ASSIGN_OR_RETURN(loss, runner->Train(comm, PointersTo(inputs), {.step = step}));
  }
  stores[static_cast<size_t>(comm.rank())] = std::move(parameters);
  return OkStatus();
}

Result<Outcome> RunWorld(const World& world, const InferredStrategy& network) {
  std::vector<ParameterStore> stores(static_cast<size_t>(world.ranks()));
  std::vector<float> losses(stores.size());
  RELAYOUT_RETURN_IF_ERROR(RunThreadComm(static_cast<int>(world.ranks()), [&](Comm& comm) {
    return RunRank(comm, world, network, stores, losses[static_cast<size_t>(comm.rank())]);
  }));
  Outcome outcome;
  outcome.loss = losses[0];
  for (const float loss : losses) EXPECT_EQ(loss, losses[0]) << "ranks have different losses";
  for (const ParameterStore& store : stores) {
    for (const ParameterShard& shard : store.shards()) {
      const auto [found, is_new] = outcome.gradients.try_emplace(shard.name);
      if (is_new) found->second = Tensor(DType::kFloat32, shard.shape);
      const Box whole = Box::Whole(shard.shape);
      const float* next = shard.gradient.f32().data;
      ForEachIndex(shard.box, [&](const Dims& index) {
        found->second.f32().data[OffsetIn(whole, index)] = *next++;
      });
    }
  }
  return outcome;
}

void ExpectNear(const Outcome& got, const Outcome& want) {
  EXPECT_NEAR(got.loss, want.loss, 1e-5 * std::abs(want.loss));
  ASSERT_EQ(got.gradients.size(), want.gradients.size());
  for (const auto& [name, gradient] : want.gradients) {
    const auto found = got.gradients.find(name);
    ASSERT_NE(found, got.gradients.end()) << name;
    double largest = 0;
    for (const float g : gradient.f32().elements()) {
      largest = std::max(largest, std::abs(static_cast<double>(g)));
    }
    for (int64_t i = 0; i < gradient.size(); ++i) {
      ASSERT_NEAR(found->second.f32().data[i], gradient.f32().data[i], 1e-6 + 2e-4 * largest)
          << "the gradient of " << name << ", element " << i;
    }
  }
}

void RunCase(uint64_t seed) {
  Random random(seed);
  const World world = RandomWorld(random);
  Random layers(seed + 1);
  auto graph = Writer(layers, world.fed_rows()).Write(world.stages);
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  auto laid = WithGlobalBatch(*graph, world.full_batch ? 1 : world.stage_ranks);
  ASSERT_TRUE(laid.ok()) << laid.status().message();
  if (world.stages > 1) laid = WithMicroBatches(*laid, world.micro_batches);
  ASSERT_TRUE(laid.ok()) << laid.status().message();
  const Status cut = CutAtRandom(random, *laid, world.stage_ranks, *graph);
  ASSERT_TRUE(cut.ok()) << cut.message();
  SCOPED_TRACE(Format("SEED={}: {}\n{}", seed, ToText(world), relayout::ToText(*graph)));

  const auto network = InferStrategy(*graph, OptionsOf(world, true));
  ASSERT_TRUE(network.ok()) << network.status().message();
  const auto got = RunWorld(world, *network);
  ASSERT_TRUE(got.ok()) << got.status().message();

  World alone;
  alone.full_batch = true;
  alone.rows = world.all_rows();
  Random same_layers(seed + 1);
  const auto whole = Writer(same_layers, world.all_rows()).Write(world.stages);
  ASSERT_TRUE(whole.ok()) << whole.status().message();
  const auto whole_network = InferStrategy(*whole, OptionsOf(alone, true));
  ASSERT_TRUE(whole_network.ok()) << whole_network.status().message();
  const auto want = RunWorld(alone, *whole_network);
  ASSERT_TRUE(want.ok()) << want.status().message();
  ExpectNear(*got, *want);
}

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST(RandomNetworks, GiveOnManyRanksWhatTheyGiveOnOne) {
  const uint64_t first = FromEnvironment("SEED", 1);
  const uint64_t count = FromEnvironment("CASES", 150);
  for (uint64_t seed = first; seed < first + count && !HasFatalFailure(); ++seed) RunCase(seed);
}

}  // namespace
}  // namespace relayout
