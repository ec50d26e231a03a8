// SPDX-License-Identifier: Apache-2.0
//
// What real MindSpore trained in one process (tests/data/spmd/make_training_runs.py: classifiers
// with SGD, Momentum and Adam, a GPT of one block with Adam), trained here on 1 to 8 ranks under
// strategies of all kinds: the same losses, and the same logits at the end.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "relayout/comm/thread_comm.h"
#include "relayout/graph/mindir.h"
#include "relayout/io/posix_file_system.h"
#include "relayout/spmd/kernels/threads.h"
#include "relayout/train/load_mindir.h"
#include "relayout/train/loss_monitor.h"
#include "tests/train/small_runs.h"

namespace relayout {
namespace {

using Cases = std::map<std::string, MindSporeCase>;

const Cases& TrainingRuns() {
  static const Cases cases = ReadMindSporeCases("training_runs.txt");
  return cases;
}

const MindSporeCase& CaseOf(const std::string& name) { return TrainingRuns().at(name); }

struct World {
  std::string name;
  int ranks = 1;
  std::vector<Cuts> cuts = {};
  ParallelOptions parallel = {};
};

ParallelOptions Full() { return {.full_batch = true}; }
ParallelOptions Optimizers(bool full_batch, int64_t group = -1) {
  return {.full_batch = full_batch,
          .optimizer_parallel = {.enabled = true, .threshold_kib = 0, .group = group}};
}
ParallelOptions Mode(InferMode mode, bool full_batch) {
  return {.mode = mode, .full_batch = full_batch};
}

ParallelOptions Pipeline(ParallelOptions parallel, int64_t stages, int64_t micro_batches) {
  parallel.stage_count = stages;
  parallel.micro_batch_count = micro_batches;
  if (stages == 2) parallel.stage_rules = {{"layer1", 0}, {"layer2", 1}, {"layer3", 1}};
  if (stages == 4) {
    parallel.stage_rules = {{"layer1", 0}, {"relu1", 1}, {"layer2", 2}, {"layer3", 3}};
  }
  return parallel;
}

// 64 -> 32 -> 32 -> 16 on 32 rows.
std::vector<World> Worlds() {
  const std::vector<Cuts> rows_and_columns = {{{2, 1}, {1, 2}}, {}, {{2, 2}, {2, 1}}};
  const std::vector<Cuts> eight = {{{4, 1}, {1, 2}}, {{1, 8}, {8, 1}}, {{2, 2}, {2, 2}}};
  const std::vector<Cuts> four = {{{1, 4}, {4, 1}}, {}, {{2, 2}, {2, 1}}};
  const std::vector<Cuts> two = {{{1, 2}, {2, 1}}, {{1, 1}, {1, 2}}, {{2, 1}, {1, 1}}};
  return {
      {"alone", 1},
      {"rows on 2", 2},
      {"two of three cut on 2", 2, two},
      {"full batch on 2", 2, two, Full()},
      {"optimizer parallel on 2", 2, {}, Optimizers(false)},
      {"rows and columns on 4", 4, rows_and_columns},
      {"inner dims on 4, full batch", 4, four, Full()},
      {"optimizer parallel on 4", 4, four, Optimizers(true)},
      {"propagated on 4", 4, rows_and_columns, Mode(InferMode::kPropagated, true)},
      {"rows and columns on 8", 8, rows_and_columns},
      {"everything cut on 8", 8, eight},
      {"everything cut on 8, full batch", 8, eight, Full()},
      {"optimizer parallel on 8", 8, rows_and_columns, Optimizers(false)},
      {"optimizer parallel in pairs on 8", 8, {}, Optimizers(true, 2)},
      {"propagated on 8", 8, eight, Mode(InferMode::kPropagated, false)},
      {"searched on 8", 8, {}, Mode(InferMode::kSearched, false)},
      {"searched on 8, full batch", 8, {}, Mode(InferMode::kSearched, true)},
      {"2 stages on 2", 2, {}, Pipeline(Full(), 2, 2)},
      {"2 stages on 4", 4, two, Pipeline({}, 2, 4)},
      {"2 stages on 8", 8, rows_and_columns, Pipeline({}, 2, 4)},
      {"2 stages and optimizer parallel on 8", 8, {}, Pipeline(Optimizers(false), 2, 4)},
      {"4 stages on 4", 4, {}, Pipeline(Full(), 4, 8)},
      {"4 stages on 8", 8, two, Pipeline(Optimizers(true), 4, 4)},
  };
}

OptimizerOptions OptimizerOf(const std::string& type) {
  const std::map<std::string, float> rates = {{"sgd", 0.1F}, {"momentum", 0.02F}, {"adam", 0.005F}};
  OptimizerOptions options{.type = type, .learning_rate = rates.at(type)};
  options.momentum.momentum = 0.9F;
  return options;
}

// What one rank met with.
struct Outcome {
  std::vector<float> losses;
  double logits_difference = 0;
};

// Against the rows of `want` that this rank is given.
double DifferenceOf(const Tensor& got, const Tensor& want, const Reader& reader) {
  const Tensor wanted = reader.RowsFor(want);
  EXPECT_EQ(ToText(got.shape()), ToText(wanted.shape()));
  if (got.shape() != wanted.shape()) return 1;
  double worst = 0;
  for (int64_t i = 0; i < got.size(); ++i) {
    const double difference =
        std::fabs(static_cast<double>(got.f32().data[i]) - wanted.f32().data[i]);
    worst = difference <= worst ? worst : difference;
  }
  return worst;
}

// The data of a network: batches, and what it is asked at the end.
struct Data {
  std::vector<std::string> names;
  std::vector<const Tensor*> batches;
  const Tensor* test = nullptr;
};

// Gives a model the values with which training begins.
using BeginFunction = std::function<Status(Model& model)>;

Status TrainOn(Comm& comm, const ModelOptions& options, const BeginFunction& begin,
               const Data& data, const MindSporeCase& want, Outcome& outcome) {
  kernels::UseKernelThreads(1);
  const Reader reader = Reader::Of(comm, options.parallel);
  const StepBatches batches(data.names, data.batches, reader, want["losses"].size());
  RELAYOUT_ASSIGN_OR_RETURN(const auto model, Model::Create(comm, options));
  RELAYOUT_RETURN_IF_ERROR(model->Build(batches));
  RELAYOUT_RETURN_IF_ERROR(begin(*model));
  LossRecorder recorder;
  RELAYOUT_RETURN_IF_ERROR(model->Train(1, batches, {&recorder}));
  outcome.losses = recorder.losses();
  const Tensor test = reader.RowsFor(*data.test);
  const Tensor* const input = &test;
  RELAYOUT_ASSIGN_OR_RETURN(const auto results, model->Predict({&input, 1}));
  outcome.logits_difference = DifferenceOf(results.front(), want["logits"], reader);
  return OkStatus();
}

BeginFunction BeginWith(const MindSporeCase& start) {
  return [&start](Model& model) { return Begin(model, start); };
}

struct Limits {
  double first_losses = 1e-5;
  double all_losses = 1e-4;
  double logits = 2e-4;
};

void ExpectAsMindSpore(const std::string& name, int ranks, const ModelOptions& options,
                       const BeginFunction& begin, const Data& data, const MindSporeCase& want) {
  const Limits limits;
  SCOPED_TRACE(name);
  std::vector<Outcome> outcomes(static_cast<size_t>(ranks));
  const Status status = RunThreadComm(ranks, [&](Comm& comm) {
    return TrainOn(comm, options, begin, data, want, outcomes[static_cast<size_t>(comm.rank())]);
  });
  ASSERT_TRUE(status.ok()) << status.message();
  const auto losses = want["losses"].f32().elements();
  const size_t first = std::min<size_t>(20, losses.size());
  double logits = 0;
  for (const Outcome& outcome : outcomes) {
    ASSERT_EQ(outcome.losses.size(), losses.size());
    EXPECT_EQ(outcome.losses, outcomes[0].losses) << "ranks have different losses";
    logits = std::max(logits, outcome.logits_difference);
  }
  const double worst_first = WorstOf(outcomes[0].losses, losses, first);
  const double worst = WorstOf(outcomes[0].losses, losses, losses.size());
  std::printf("%-50s losses within %.1e, the first %zu %.1e; logits within %.1e\n", name.c_str(),
              worst, first, worst_first, logits);
  EXPECT_LE(worst_first, limits.first_losses);
  EXPECT_LE(worst, limits.all_losses);
  EXPECT_LE(logits, limits.logits);
}

class Classifiers : public testing::TestWithParam<size_t> {};

TEST_P(Classifiers, AreTrainedAsByMindSpore) {
  const World world = Worlds()[GetParam()];
  const MindSporeCase& data_case = CaseOf("data");
  const Data data{{"x", "label"}, {&data_case["x"], &data_case["labels"]}, &data_case["test_x"]};
  for (const std::string kind : {"matmul", "dense"}) {
    // Cuts of the second input are those of its dims.
    const bool nn_dense = kind == "dense";
    std::vector<Cuts> cuts = world.cuts;
    for (Cuts& cut : cuts) {
      if (nn_dense && cut.size() == 2) std::swap(cut[1][0], cut[1][1]);
    }
    for (const std::string optimizer : {"sgd", "momentum", "adam"}) {
      ModelOptions options;
      options.network = Classifier({nn_dense, {32, 32, 16}, cuts});
      options.loss = Loss::kCrossEntropy;
      options.optimizer = OptimizerOf(optimizer);
      options.parallel = world.parallel;
      ExpectAsMindSpore(Format("{}/{}, {}", kind, optimizer, world.name), world.ranks, options,
                        BeginWith(CaseOf(kind)), data, CaseOf(Format("{}/{}", kind, optimizer)));
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Worlds, Classifiers, testing::Range<size_t>(0, Worlds().size()));

// ------------------------------------------------------------------------------------------ GPT

constexpr int64_t kLength = 8, kHidden = 32, kHeads = 4, kWords = 64;

// make_training_runs.py's Gpt: the batch cut dp times, heads and widths mp times.
class Gpt {
 public:
  Gpt(NetworkBuilder& net, int64_t dp, int64_t mp) : net_(net), dp_(dp), mp_(mp) {}

  NetworkTensor Write(const NetworkTensor& ids) {
    batch_ = ids.dim(0);
    NetworkTensor x = Embedded(ids);
    x = x + Attention(Norm("norm1", x));
    const NetworkTensor up = net_.GeLU(Columns("up", Norm("norm2", x), 4 * kHidden));
    x = Norm("norm3", x + Rows("down", up));
    const Scope scope(net_, "head");
    return Product(x, kWords).Cut({{dp_, 1}, {mp_, 1}});
  }

 private:
  NetworkTensor Embedded(const NetworkTensor& ids) {
    const NetworkTensor words = net_.Parameter("words", {kWords, kHidden});
    const NetworkTensor positions = net_.Parameter("positions", {kLength, kHidden});
    return net_.Reshape(net_.Gather(words, ids) + positions, {batch_ * kLength, kHidden});
  }

  NetworkTensor Norm(const std::string& name, const NetworkTensor& x) {
    const Scope scope(net_, name);
    const NetworkTensor gamma = net_.Parameter("gamma", {kHidden});
    return net_.LayerNorm(x, gamma, net_.Parameter("beta", {kHidden}));
  }

  NetworkTensor Product(const NetworkTensor& x, int64_t width) {
    return net_.MatMul(x, net_.Parameter("weight", {width, x.dim(-1)}), {.transpose_b = true});
  }
  // A dense layer whose results are cut, and one whose inputs are.
  NetworkTensor Columns(const std::string& name, const NetworkTensor& x, int64_t width) {
    const Scope scope(net_, name);
    const NetworkTensor y = Product(x, width).Cut({{dp_, 1}, {mp_, 1}});
    return net_.BiasAdd(y, net_.Parameter("bias", {width})).Cut({{dp_, mp_}, {mp_}});
  }
  NetworkTensor Rows(const std::string& name, const NetworkTensor& x) {
    const Scope scope(net_, name);
    const NetworkTensor y = Product(x, kHidden).Cut({{dp_, mp_}, {1, mp_}});
    return net_.BiasAdd(y, net_.Parameter("bias", {kHidden})).Cut({{dp_, 1}, {1}});
  }

  NetworkTensor Heads(const std::string& name, const NetworkTensor& x) {
    const NetworkTensor y =
        net_.Reshape(Columns(name, x, kHidden), {batch_, kLength, kHeads, kHidden / kHeads});
    return net_.Transpose(y, {0, 2, 1, 3}).Cut({{dp_, 1, mp_, 1}});
  }
  NetworkTensor Mask() {
    std::vector<float> values(kLength * kLength);
    for (int64_t i = 0; i < kLength * kLength; ++i) {
      values[static_cast<size_t>(i)] = i % kLength > i / kLength ? -10000.0F : 0.0F;
    }
    return net_.Constant({kLength, kLength}, std::span<const float>(values));
  }
  NetworkTensor Attention(const NetworkTensor& x) {
    const NetworkTensor q = Heads("q", x);
    const NetworkTensor k = Heads("k", x);
    const NetworkTensor v = Heads("v", x);
    const Cuts by_heads = {{dp_, mp_, 1, 1}, {dp_, mp_, 1, 1}};
    const NetworkTensor scores =
        net_.BatchMatMul(q, k, {.transpose_b = true}).Cut(by_heads) * 0.375 + Mask();
    const NetworkTensor weights = net_.Softmax(scores).Cut({{dp_, mp_, 1, 1}});
    const NetworkTensor mixed =
        net_.Transpose(net_.BatchMatMul(weights, v).Cut(by_heads), {0, 2, 1, 3});
    return Rows("out", net_.Reshape(mixed, {batch_ * kLength, kHidden}));
  }

  NetworkBuilder& net_;
  int64_t dp_;
  int64_t mp_;
  int64_t batch_ = 0;
};

struct GptWorld {
  std::string name;
  int ranks = 1;
  int64_t dp = 1;
  int64_t mp = 1;
  ParallelOptions parallel = {};
};

ParallelOptions GptPipeline(ParallelOptions parallel, int64_t micro_batches) {
  parallel.stage_count = 2;
  parallel.micro_batch_count = micro_batches;
  parallel.stage_rules = {{"words", 0}, {"positions", 0}, {"norm1", 0}, {"q", 0},
                          {"k", 0},     {"v", 0},         {"out", 0},   {"norm2", 1},
                          {"up", 1},    {"down", 1},      {"norm3", 1}, {"head", 1}};
  return parallel;
}

std::vector<GptWorld> GptWorlds() {
  return {
      {"alone", 1},
      {"rows on 2", 2, 2, 1},
      {"heads on 2", 2, 1, 2, Full()},
      {"heads on 4", 4, 1, 4, Full()},
      {"rows and heads on 4", 4, 2, 2},
      {"rows and heads on 4, full batch", 4, 2, 2, Full()},
      {"rows on 8", 8, 8, 1},
      {"rows and heads on 8", 8, 2, 4},
      {"rows and heads on 8, full batch", 8, 4, 2, Full()},
      {"optimizer parallel on 4", 4, 2, 2, Optimizers(true)},
      {"optimizer parallel on 8", 8, 8, 1, Optimizers(false)},
      {"propagated on 8", 8, 4, 2, Mode(InferMode::kPropagated, true)},
      {"searched on 8", 8, 1, 1, Mode(InferMode::kSearched, true)},
      {"2 stages on 2", 2, 1, 1, GptPipeline(Full(), 4)},
      {"2 stages with rows and heads on 8", 8, 2, 2, GptPipeline({}, 2)},
      {"2 stages and optimizer parallel on 8", 8, 2, 2, GptPipeline(Optimizers(true), 4)},
  };
}

// Losses are means over all words of a batch, 64 labels of 8 sentences: rows of both go together.
class Gpts : public testing::TestWithParam<size_t> {};

TEST_P(Gpts, AreTrainedAsByMindSpore) {
  const GptWorld world = GptWorlds()[GetParam()];
  const MindSporeCase& start = CaseOf("gpt");
  const Data data{{"ids", "label"}, {&start["ids"], &start["labels"]}, &start["test_ids"]};
  ModelOptions options;
  options.network = [&](NetworkBuilder& net, std::span<const NetworkTensor> inputs) {
    return std::vector{Gpt(net, world.dp, world.mp).Write(inputs[0])};
  };
  options.loss = Loss::kCrossEntropy;
  options.optimizer = OptimizerOf("adam");
  options.parallel = world.parallel;
  ExpectAsMindSpore("gpt, " + world.name, world.ranks, options, BeginWith(start), data,
                    CaseOf("gpt/adam"));
}
INSTANTIATE_TEST_SUITE_P(Worlds, Gpts, testing::Range<size_t>(0, GptWorlds().size()));

// The network as MindSpore exported it, with the values that it was exported with.
class ExportedGpts : public testing::TestWithParam<size_t> {};

std::vector<World> ExportedWorlds() {
  return {
      {"alone", 1},
      {"rows on 2", 2, {}, Full()},
      {"rows on 8", 8, {}, Full()},
      {"optimizer parallel on 8", 8, {}, Optimizers(true)},
      {"searched on 4", 4, {}, Mode(InferMode::kSearched, true)},
      {"2 stages on 4", 4, {}, GptPipeline(Full(), 2)},
  };
}

TEST_P(ExportedGpts, AreTrainedAsByMindSpore) {
  const World world = ExportedWorlds()[GetParam()];
  const std::string path = std::string(RELAYOUT_TEST_DATA) + "/spmd/gpt.mindir";
  const auto files = NewPosixFileSystem();
  const auto graph = ReadMindir(*files, path, {.constants = true});
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  ModelOptions options;
  options.graph = *graph;
  options.loss = Loss::kCrossEntropy;
  options.optimizer = OptimizerOf("adam");
  options.parallel = world.parallel;
  const auto begin = [&](Model& model) -> Status {
    RELAYOUT_ASSIGN_OR_RETURN(const LoadedCheckpoint values, LoadMindir(*files, path));
    return LoadParamIntoNet(model.training_view(), values, {.slice_whole = true}).status();
  };
  const MindSporeCase& start = CaseOf("gpt");
  const Data data{{"ids", "label"}, {&start["ids"], &start["labels"]}, &start["test_ids"]};
  ExpectAsMindSpore("exported gpt, " + world.name, world.ranks, options, begin, data,
                    CaseOf("gpt/adam"));
}
INSTANTIATE_TEST_SUITE_P(Worlds, ExportedGpts, testing::Range<size_t>(0, ExportedWorlds().size()));

}  // namespace
}  // namespace relayout
