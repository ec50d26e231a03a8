// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/auto/search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/graph/builder.h"
#include "relayout/infer/auto/candidates.h"

namespace relayout {
namespace {

constexpr DType kFloat = DType::kFloat32;

// Networks of matrix products and element-by-element operators on [rows, columns].
class Net {
 public:
  explicit Net(Dims input) : result_(graph_.AddInput("x", {kFloat, std::move(input)})) {}

  ValueId last() const { return result_; }
  Graph graph() const {
    Graph graph = graph_;
    graph.SetResults({result_});
    return graph;
  }
  const Dims& shape(ValueId value) const { return graph_.value(value).shape; }

  ValueId Parameter(const Dims& shape) {
    return *graph_.AddParameter(Format("w{}", parameter_count_++), {kFloat, shape});
  }
  ValueId MatMul(ValueId x, ValueId w, std::optional<Cuts> cuts = std::nullopt) {
    return Add("MatMul", {x, w}, {shape(x)[0], shape(w)[1]}, std::move(cuts));
  }
  ValueId Dense(ValueId x, int64_t width) { return MatMul(x, Parameter({shape(x)[1], width})); }
  ValueId Unary(ValueId x) { return Add("ReLU", {x}, shape(x)); }
  ValueId Binary(ValueId x, ValueId y) { return Add("Add", {x, y}, shape(x)); }
  ValueId Bias(ValueId x) { return Binary(x, Parameter({shape(x)[1]})); }

 private:
  ValueId Add(std::string type, std::vector<ValueId> inputs, Dims shape,
              std::optional<Cuts> cuts = std::nullopt) {
    Operator op;
    op.type = std::move(type);
    op.name = Format("op{}", graph_.operators().size());
    op.inputs = std::move(inputs);
    op.cuts = std::move(cuts);
    const OperatorId id = graph_.AddOperator(std::move(op), {{kFloat, shape}});
    return result_ = graph_.op(id).outputs[0];
  }

  Graph graph_;
  ValueId result_ = kNoId;
  int parameter_count_ = 0;
};

// Few devices and slow links, so that choices matter.
MachineModel SmallMachine() {
  MachineModel machine;
  machine.devices_per_node = 2;
  machine.flops_per_second = 1e9;
  machine.memory_bytes_per_second = 1e9;
  machine.bytes_within_node = 1e8;
  machine.bytes_between_nodes = 3e7;
  machine.message_seconds = 1e-6;
  return machine;
}

// By trying every candidate of every operator.
double CheapestByTrying(const Graph& graph, int64_t device_count, const MachineModel& machine,
                        const CostOptions& options) {
  const CostModel model(graph, machine, options);
  Result<Candidates> candidates = Candidates::Create(model, device_count);
  EXPECT_TRUE(candidates.ok());
  const size_t count = graph.operators().size();
  std::vector<size_t> choices(count, 0);
  double best = std::numeric_limits<double>::infinity();
  while (true) {
    std::vector<OperatorLayout> layouts;
    for (size_t id = 0; id < count; ++id) {
      layouts.push_back(candidates->Of(static_cast<OperatorId>(id)).layouts[choices[id]]);
    }
    best = std::min(best, Price(model, layouts).seconds);
    size_t id = 0;
    while (id < count && ++choices[id] == candidates->Of(static_cast<OperatorId>(id)).size()) {
      choices[id++] = 0;
    }
    if (id == count) return best;
  }
}

int64_t Width(std::mt19937& random) { return int64_t{8} << (random() % 3); }

Net RandomChain(std::mt19937& random) {
  Net net({Width(random), Width(random)});
  for (int i = 0; i < 3; ++i) {
    if (random() % 3 == 0) {
      net.Unary(net.last());
    } else {
      net.Dense(net.last(), Width(random));
    }
  }
  return net;
}

// Several branches that never meet, or meet in one Add at the end.
Net RandomTree(std::mt19937& random) {
  Net net({Width(random), 16});
  const ValueId left = net.Dense(net.last(), 16);
  const ValueId right = random() % 2 == 0 ? net.Dense(left, Width(random)) : net.Unary(left);
  net.Unary(random() % 2 == 0 ? left : right);
  return net;
}

// Any earlier results joined; a parameter used twice.
Net RandomDag(std::mt19937& random) {
  Net net({16, 16});
  const ValueId shared = net.Parameter({16, 16});
  std::vector<ValueId> values = {net.last()};
  for (int i = 0; i < 4; ++i) {
    const ValueId x = values[random() % values.size()];
    const ValueId y = values[random() % values.size()];
    switch (random() % 4) {
      case 0:
        values.push_back(net.Binary(x, y));
        break;
      case 1:
        values.push_back(net.MatMul(x, shared));
        break;
      case 2:
        values.push_back(net.MatMul(x, y));
        break;
      default:
        values.push_back(i < 2 ? net.Dense(x, 16) : net.Unary(x));
    }
  }
  return net;
}

struct Form {
  std::string name;
  Net (*make)(std::mt19937& random);
  unsigned seeds;
  int64_t device_count;
};

TEST(Search, IsWhatTryingEverythingFinds) {
  const std::vector<Form> forms = {{"chain", RandomChain, 20, 4},
                                   {"chain", RandomChain, 10, 6},
                                   {"tree", RandomTree, 20, 4},
                                   {"DAG", RandomDag, 25, 2},
                                   {"DAG", RandomDag, 3, 4}};
  for (const Form& form : forms) {
    for (unsigned seed = 0; seed < form.seeds; ++seed) {
      SCOPED_TRACE(Format("{} on {} devices, seed {}", form.name, form.device_count, seed));
      std::mt19937 random(seed);
      const Graph graph = form.make(random).graph();
      CostOptions options;
      options.training = random() % 4 != 0;
      options.full_batch = random() % 2 == 0;
      options.optimizer_parallel = random() % 2 == 0;
      Result<SearchResult> found = Search(graph, form.device_count, SmallMachine(), {options, 1e8});
      ASSERT_TRUE(found.ok()) << found.status().message();
      EXPECT_TRUE(found->is_optimal);
      const double cheapest = CheapestByTrying(graph, form.device_count, SmallMachine(), options);
      EXPECT_NEAR(found->cost.seconds, cheapest, cheapest * 1e-12);
      // The price of the assignment, worked out anew, is what the search said.
      const Result<CostTable> again =
          Price(graph, found->assignment, form.device_count, SmallMachine(), options);
      ASSERT_TRUE(again.ok());
      EXPECT_EQ(again->seconds, found->cost.seconds);
      for (const RunnerUp& other : found->runners_up) {
        EXPECT_GE(other.extra_seconds, -1e-12 * cheapest);
      }
    }
  }
}

TEST(Search, ShortListsComeNear) {
  // The same networks when an elimination over all candidates is too much work for most.
  int short_count = 0;
  double found_seconds = 0;
  double cheapest_seconds = 0;
  for (unsigned seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(Format("seed {}", seed));
    std::mt19937 random(seed);
    const Graph graph = RandomDag(random).graph();
    const Result<SearchResult> all = Search(graph, 8, SmallMachine(), {});
    const Result<SearchResult> some = Search(graph, 8, SmallMachine(), {{}, 500});
    ASSERT_TRUE(all.ok() && some.ok());
    EXPECT_TRUE(all->is_optimal);
    EXPECT_EQ(some->is_optimal, some->rounds == 0);
    EXPECT_GE(some->cost.seconds, all->cost.seconds * (1 - 1e-12));
    if (some->is_optimal) {
      EXPECT_EQ(some->cost.seconds, all->cost.seconds);
    }
    short_count += some->is_optimal ? 0 : 1;
    found_seconds += some->cost.seconds;
    cheapest_seconds += all->cost.seconds;
  }
  EXPECT_GT(short_count, 20);
  EXPECT_LT(found_seconds, cheapest_seconds * 1.02);
}

TEST(Search, KeepsAnnotations) {
  Net net({16, 16});
  const Cuts cuts = {{1, 4}, {4, 2}};
  const ValueId first = net.MatMul(net.last(), net.Parameter({16, 16}), cuts);
  net.Dense(net.Unary(first), 16);
  Result<SearchResult> found = Search(net.graph(), 8, SmallMachine(), {});
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->assignment.cuts[0], (AxisCuts{1, 4, 2}));
  EXPECT_TRUE(found->runners_up[0].cuts.empty());
}

TEST(Search, MemoryMakesParametersSmall) {
  // Large parameters and a small batch on a machine where sending costs much: with enough memory
  // the parameters would be whole on each device.
  Net net({64, 64});
  for (int i = 0; i < 3; ++i) net.Dense(net.last(), 64);
  MachineModel machine = SmallMachine();
  machine.message_seconds = 1;
  Result<SearchResult> roomy = Search(net.graph(), 4, machine, {});
  ASSERT_TRUE(roomy.ok());
  EXPECT_TRUE(roomy->fits_memory);
  machine.bytes_per_device = static_cast<int64_t>(roomy->cost.bytes_kept) - 1;
  Result<SearchResult> tight = Search(net.graph(), 4, machine, {});
  ASSERT_TRUE(tight.ok());
  EXPECT_TRUE(tight->fits_memory);
  EXPECT_LT(tight->cost.bytes_kept, roomy->cost.bytes_kept);
  machine.bytes_per_device = 1;
  Result<SearchResult> hopeless = Search(net.graph(), 4, machine, {});
  ASSERT_TRUE(hopeless.ok());
  EXPECT_FALSE(hopeless->fits_memory);
}

TEST(Search, SharedParametersAgree) {
  Net net({16, 16});
  const ValueId shared = net.Parameter({16, 16});
  net.MatMul(net.Unary(net.MatMul(net.last(), shared)), shared);
  Result<SearchResult> found = Search(net.graph(), 8, SmallMachine(), {});
  ASSERT_TRUE(found.ok());
  for (const EdgeCost& edge : found->cost.edges) EXPECT_FALSE(edge.disagreement);
}

TEST(Search, LongChainsAreOptimal) {
  Net net({64, 64});
  for (int i = 0; i < 200; ++i) net.Dense(net.Unary(net.last()), 64);
  Result<SearchResult> found = Search(net.graph(), 16, SmallMachine(), {});
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(found->is_optimal);
}

TEST(Search, ManyResidualLayersOnManyDevices) {
  Net net({4096, 1024});
  for (int i = 0; i < 48; ++i) {
    const ValueId x = net.last();
    const ValueId hidden = net.Unary(net.Bias(net.Dense(x, 4096)));
    net.Binary(x, net.Bias(net.Dense(hidden, 1024)));
  }
  Result<SearchResult> found = Search(net.graph(), 1024, MachineModel{}, {});
  ASSERT_TRUE(found.ok());
  Result<Assignment> batch = AssignAnnotated(net.graph(), 1024);
  ASSERT_TRUE(batch.ok());
  Result<CostTable> of_batch = Price(net.graph(), *batch, 1024, MachineModel{}, {});
  ASSERT_TRUE(of_batch.ok());
  EXPECT_LT(found->cost.seconds, of_batch->seconds);
}

// A block of GPT: attention and a feed-forward part, each with a residual connection.
NetworkTensor Block(NetworkBuilder& net, const NetworkTensor& x, int64_t batch, int64_t heads) {
  const int64_t width = x.dim(1);
  const int64_t length = x.dim(0) / batch;
  const auto dense = [&net](const NetworkTensor& in, const std::string& name, int64_t to) {
    return net.MatMul(in, net.Parameter(name + ".weight", {in.dim(1), to})) +
           net.Parameter(name + ".bias", {to});
  };
  const auto norm = [&net, width](const NetworkTensor& in, const std::string& name) {
    return net.LayerNorm(in, net.Parameter(name + ".gamma", {width}),
                         net.Parameter(name + ".beta", {width}));
  };
  const auto heads_of = [&](const NetworkTensor& in) {
    return net.Transpose(net.Reshape(in, {batch, length, heads, width / heads}), {0, 2, 1, 3});
  };
  const NetworkTensor y = norm(x, "norm1");
  const NetworkTensor scores = net.BatchMatMul(
      heads_of(dense(y, "query", width)), heads_of(dense(y, "key", width)), {.transpose_b = true});
  const NetworkTensor context =
      net.BatchMatMul(net.Softmax(scores), heads_of(dense(y, "value", width)));
  const NetworkTensor merged =
      net.Reshape(net.Transpose(context, {0, 2, 1, 3}), {batch * length, width});
  const NetworkTensor z = x + dense(merged, "projection", width);
  return z + dense(net.GeLU(dense(norm(z, "norm2"), "mapping", 4 * width)), "output", width);
}

Graph Gpt(int64_t layers, int64_t batch, int64_t length, int64_t width, int64_t heads) {
  NetworkBuilder net;
  NetworkTensor x = net.Input("x", {batch * length, width});
  for (int64_t layer = 0; layer < layers; ++layer) {
    const std::string name = Format("blocks.{}", layer);
    const Scope scope(net, name);
    x = Block(net, x, batch, heads);
  }
  Result<Graph> graph = net.Build({x});
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  return std::move(graph).value();
}

TEST(Search, GptOnManyDevices) {
  const Graph graph = Gpt(48, 512, 1024, 4096, 32);
  const Result<SearchResult> found = Search(graph, 1024, MachineModel{}, {});
  ASSERT_TRUE(found.ok()) << found.status().message();
  const Result<Assignment> batch = AssignAnnotated(graph, 1024);
  ASSERT_TRUE(batch.ok());
  const Result<CostTable> of_batch = Price(graph, *batch, 1024, MachineModel{}, {});
  ASSERT_TRUE(of_batch.ok());
  EXPECT_LT(found->cost.step_seconds, of_batch->step_seconds);
  EXPECT_TRUE(found->fits_memory);
}

// The tutorial's network on 8 devices, and what MindSpore's recursive_programming chose for it.
TEST(Search, IsNoDearerThanMindSporesChoice) {
  NetworkBuilder net;
  NetworkTensor x = net.Reshape(net.Input("x", {256, 1, 28, 28}), {256, 784});
  const auto layer = [&net](const NetworkTensor& in, const std::string& name, int64_t to) {
    return net.MatMul(in, net.Parameter(name + ".weight", {in.dim(1), to})) +
           net.Parameter(name + ".bias", {to});
  };
  x = net.ReLU(layer(x, "layer1", 512));
  x = net.ReLU(layer(x, "layer2", 512));
  const Result<Graph> graph = net.Build({layer(x, "layer3", 10)});
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  // Its file has the operators with parameters only; whatever stands between them is cut in the
  // cheapest way beside them.
  const std::vector<Cuts> chosen = {{{4, 2}, {2, 1}}, {{4, 1}, {1}},    {{4, 1}, {1, 2}},
                                    {{4, 2}, {2}},    {{4, 2}, {2, 1}}, {{4, 1}, {1}}};
  Graph annotated = *graph;
  size_t next = 0;
  for (OperatorId id = 0; id < static_cast<OperatorId>(annotated.operators().size()); ++id) {
    Operator& op = annotated.mutable_op(id);
    if (op.type == "MatMul" || op.type == "Add") op.cuts = chosen[next++];
  }
  ASSERT_EQ(next, chosen.size());
  for (const bool training : {true, false}) {
    SearchOptions options;
    options.cost.training = training;
    for (const MachineModel& machine : {MachineModel{}, SmallMachine()}) {
      const Result<SearchResult> ours = Search(*graph, 8, machine, options);
      const Result<SearchResult> theirs = Search(annotated, 8, machine, options);
      ASSERT_TRUE(ours.ok() && theirs.ok());
      EXPECT_TRUE(ours->is_optimal);
      EXPECT_LE(ours->cost.seconds, theirs->cost.seconds);
    }
  }
}

TEST(Search, NamesWhatItDoesNotKnow) {
  Graph graph;
  const ValueId x = graph.AddInput("x", {kFloat, {4}});
  Operator op;
  op.type = "Wobble";
  op.name = "Default/Wobble-op0";
  op.inputs = {x};
  graph.AddOperator(op, {{kFloat, {4}}});
  const Result<SearchResult> found = Search(graph, 2, MachineModel{}, {});
  ASSERT_FALSE(found.ok());
  EXPECT_NE(found.status().message().find("Wobble 'Default/Wobble-op0'"), std::string::npos);
}

}  // namespace
}  // namespace relayout
