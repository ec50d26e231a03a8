// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/auto/cost_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "relayout/base/text.h"

namespace relayout {
namespace {

constexpr DType kFloat = DType::kFloat32;

// Round numbers: 1 flop = 1 s, 1 byte touched = 1e-9 s, 1 byte within a node = 1 s, between nodes
// 10 s, a message 1000 s.
MachineModel RoundMachine() {
  MachineModel machine;
  machine.devices_per_node = 2;
  machine.flops_per_second = 1;
  machine.memory_bytes_per_second = 1e9;
  machine.bytes_within_node = 1;
  machine.bytes_between_nodes = 0.1;
  machine.message_seconds = 1000;
  machine.seconds_per_byte_kept = 0;
  return machine;
}

// x[8,16] -> MatMul w[16,4] -> h[8,4] -> MatMul v[4,2] -> y[8,2]
Graph TwoProducts() {
  Graph graph;
  const ValueId x = graph.AddInput("x", {kFloat, {8, 16}});
  const ValueId w = *graph.AddParameter("w", {kFloat, {16, 4}});
  const ValueId v = *graph.AddParameter("v", {kFloat, {4, 2}});
  Operator first;
  first.type = "MatMul";
  first.name = "first";
  first.inputs = {x, w};
  const OperatorId a = graph.AddOperator(first, {{kFloat, {8, 4}}});
  Operator second;
  second.type = "MatMul";
  second.name = "second";
  second.inputs = {graph.op(a).outputs[0], v};
  graph.AddOperator(second, {{kFloat, {8, 2}}});
  return graph;
}

struct Case {
  std::string name;
  AxisCuts first;  // m, k, n
  AxisCuts second;
  bool training;
  bool full_batch;
  double compute;  // Of the first.
  double reduction;
  double gradient;
  double input;
  double bytes_kept;
  double forward;  // Between them.
  double backward;
};

TEST(CostModel, Table) {
  // A piece of h: 128 bytes whole, w 256, x 512. Flops of the first: 2*8*16*4 = 1024.
  const std::vector<Case> cases = {
      {"one device in effect",
       {1, 1, 1},
       {1, 1, 1},
       false,
       true,  //
       1024,
       0,
       0,
       0,
       256,
       0,
       0},
      {"batch",
       {4, 1, 1},
       {4, 1, 1},
       false,
       false,  //
       256,
       0,
       0,
       0,
       256,
       0,
       0},
      // Training: three times the compute; w's gradient 2*(3/4)*256 bytes across nodes and four
      // messages; parameters, gradients and two states 4*256, a quarter of h.
      {"batch, training",
       {4, 1, 1},
       {4, 1, 1},
       true,
       false,  //
       768,
       0,
       3840 + 4000,
       0,
       1024 + 32,
       0,
       0},
      // k over two devices of a node: h is summed up, 2*(1/2)*128 bytes, two messages; x is sliced.
      // The gradient of w is repeated twice, on devices of other nodes.
      {"contracted",
       {1, 2, 1},
       {1, 1, 1},
       false,
       true,  //
       512,
       10 * 128 + 2000,
       0,
       0,
       128,
       0,
       0},
      {"contracted by all",
       {1, 4, 1},
       {1, 1, 1},
       false,
       true,  //
       256,
       10 * 192 + 4000,
       0,
       0,
       64,
       0,
       0},
      // n of the first is k of the second: nothing moves.
      {"column then row",
       {1, 1, 4},
       {1, 4, 1},
       false,
       true,  //
       256,
       0,
       0,
       0,
       64,
       0,
       0},
      // Each device has a quarter of h and needs all of it.
      {"column then whole",
       {1, 1, 4},
       {1, 1, 1},
       false,
       true,  //
       256,
       0,
       0,
       0,
       64,
       10 * 96 + 2000,
       0},
      // And the gradient of h comes back as a slice; dx is not needed.
      {"column then whole, training",
       {1, 1, 4},
       {1, 1, 1},
       true,
       true,  //
       768,
       0,
       0,
       0,
       4 * 64 + 32,
       10 * 96 + 2000,
       0},
      // Whole to rows: a slice there, a gathering back.
      {"whole then batch, training",
       {1, 1, 1},
       {4, 1, 1},
       true,
       true,  //
       3072,
       0,
       3840 + 4000,
       0,
       1024 + 128,
       0,
       10 * 96 + 2000},
      // Rows come from the data set, whole columns are wanted.
      {"input",
       {1, 4, 1},
       {1, 1, 1},
       false,
       false,  //
       256,
       10 * 192 + 4000,
       0,
       10 * 96 + 2000,
       64,
       0,
       0},
  };
  const Graph graph = TwoProducts();
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    CostOptions options;
    options.training = c.training;
    options.full_batch = c.full_batch;
    const Result<CostTable> table = Price(graph, {{c.first, c.second}}, 4, RoundMachine(), options);
    ASSERT_TRUE(table.ok()) << table.status().message();
    const OperatorCost& cost = table->operators[0];
    EXPECT_NEAR(cost.compute, c.compute, 1e-3);
    EXPECT_NEAR(cost.reduction, c.reduction, 1e-6);
    EXPECT_NEAR(cost.gradient, c.gradient, 1e-6);
    EXPECT_NEAR(cost.input, c.input, 1e-6);
    EXPECT_NEAR(cost.bytes_kept, c.bytes_kept, 1e-6);
    ASSERT_EQ(table->edges.size(), 1U);
    EXPECT_NEAR(table->edges[0].forward, c.forward, 1e-6);
    EXPECT_NEAR(table->edges[0].backward, c.backward, 1e-6);
    EXPECT_NEAR(table->seconds,
                cost.total() + table->operators[1].total() + table->edges[0].total(), 1e-6);
  }
}

TEST(CostModel, GradientOfAnInputIsSummedOverWhatItLacks) {
  // n of the second cut: the gradient of h, whole on each device, is a partial sum over n.
  const Graph graph = TwoProducts();
  const CostTable table = *Price(graph, {{{1, 1, 1}, {1, 1, 2}}}, 4, RoundMachine(), {});
  EXPECT_NEAR(table.operators[1].reduction, 10 * 128 + 2000, 1e-6);
  const CostTable inference =
      *Price(graph, {{{1, 1, 1}, {1, 1, 2}}}, 4, RoundMachine(), {.training = false});
  EXPECT_EQ(inference.operators[1].reduction, 0);
}

TEST(CostModel, OptimizerSplitDividesWhatIsKept) {
  const Graph graph = TwoProducts();
  CostOptions options;
  options.optimizer_parallel = true;
  options.state_bytes_per_parameter_byte = 1;
  const CostTable table = *Price(graph, {{{4, 1, 1}, {4, 1, 1}}}, 4, RoundMachine(), options);
  EXPECT_NEAR(table.operators[0].bytes_kept, 3 * 256 / 4 + 32, 1e-6);
  // Two rows of v cannot be dealt to four: it stays whole.
  options.state_bytes_per_parameter_byte = 0;
  const CostTable cut = *Price(graph, {{{1, 1, 1}, {1, 2, 1}}}, 4, RoundMachine(), options);
  EXPECT_NEAR(cut.operators[1].bytes_kept, 2 * 16 / 2 + 64, 1e-6);
}

TEST(CostModel, SharedParametersMustAgree) {
  Graph graph;
  const ValueId x = graph.AddInput("x", {kFloat, {16, 16}});
  const ValueId w = *graph.AddParameter("w", {kFloat, {16, 16}});
  for (const std::string name : {"first", "second"}) {
    Operator op;
    op.type = "MatMul";
    op.name = name;
    op.inputs = {x, w};
    graph.AddOperator(op, {{kFloat, {16, 16}}});
  }
  const auto disagrees = [&graph](AxisCuts first, AxisCuts second) {
    const Result<CostTable> table =
        Price(graph, {{std::move(first), std::move(second)}}, 4, RoundMachine(), {});
    EXPECT_EQ(table->edges.size(), 1U);
    return table->edges[0].disagreement;
  };
  EXPECT_FALSE(disagrees({4, 1, 1}, {1, 1, 1}));
  EXPECT_FALSE(disagrees({1, 2, 1}, {1, 2, 1}));
  EXPECT_TRUE(disagrees({1, 2, 1}, {1, 1, 2}));
  EXPECT_TRUE(disagrees({1, 2, 1}, {2, 2, 1}));  // Other devices hold the halves.
}

TEST(CostModel, CastsOfAParameterNeedNotAgree) {
  Graph graph;
  const ValueId x = graph.AddInput("x", {kFloat, {16, 16}});
  const ValueId w = *graph.AddParameter("w", {kFloat, {16, 16}});
  const ValueId only_cast = *graph.AddParameter("only_cast", {kFloat, {16, 16}});
  const auto add = [&graph](std::string type, std::vector<ValueId> inputs) {
    Operator op;
    op.type = std::move(type);
    op.inputs = std::move(inputs);
    graph.AddOperator(op, {{kFloat, {16, 16}}});
  };
  add("Cast", {w});
  add("MatMul", {x, w});
  add("MatMul", {x, w});
  add("Cast", {only_cast});
  add("Cast", {only_cast});
  const CostModel model(graph, RoundMachine(), {.training = false});
  ASSERT_EQ(model.edges().size(), 1U);
  EXPECT_EQ(model.edges()[0].from, 1);
  EXPECT_EQ(model.edges()[0].to, 2);
  const CostTable table = *Price(graph, {{{2, 1}, {1, 2, 1}, {1, 2, 1}, {2, 1}, {1, 1}}}, 4,
                                 RoundMachine(), {.training = false});
  const double tensor = 16 * 16 * 4;
  std::vector<double> kept;
  for (const OperatorCost& cost : table.operators) kept.push_back(cost.bytes_kept);
  EXPECT_EQ(kept, (std::vector<double>{0, tensor / 2, 0, tensor / 2, 0}));
}

}  // namespace
}  // namespace relayout
