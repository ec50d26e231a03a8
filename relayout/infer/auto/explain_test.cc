// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/auto/explain.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "relayout/infer/auto/search.h"

namespace relayout {
namespace {

constexpr DType kFloat = DType::kFloat32;

MachineModel SlowMachine() {
  MachineModel machine;
  machine.flops_per_second = 1e9;
  machine.memory_bytes_per_second = 1e9;
  machine.bytes_within_node = 1e9;
  machine.message_seconds = 1e-6;
  return machine;
}

// x[64,1000] -> MatMul w[1000,8] -> ReLU
Graph Small() {
  Graph graph;
  const ValueId x = graph.AddInput("x", {kFloat, {64, 1000}});
  const ValueId w = *graph.AddParameter("w", {kFloat, {1000, 8}});
  Operator product;
  product.type = "MatMul";
  product.name = "Default/MatMul-op0";
  product.inputs = {x, w};
  const OperatorId a = graph.AddOperator(std::move(product), {{kFloat, {64, 8}}});
  Operator relu;
  relu.type = "ReLU";
  relu.name = "Default/ReLU-op0";
  relu.inputs = {graph.op(a).outputs[0]};
  graph.AddOperator(std::move(relu), {{kFloat, {64, 8}}});
  return graph;
}

TEST(Explain, Snapshot) {
  const Graph graph = Small();
  const Result<SearchResult> found = Search(graph, 2, SlowMachine(), {});
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(
      ExplainText(graph, *found),
      R"(microseconds of a step by relayout's model: 0.001 TFLOP/s and 1 GB/s of memory a device, 1 GB/s within a node of 8 devices, 12.5 GB/s between nodes, 1 us a message
operator                     cuts           compute  reduce  gradient  input  move  move back   memory  next best
MatMul 'Default/MatMul-op0'  ((2,1),(1,1))     1536       0      34.0      0     0          0  126 KiB  +37.1 ((1,2),(2,1))
ReLU 'Default/ReLU-op0'      ((2,1),)          6.14       0         0      0     0          0    1 KiB  +3.02 ((1,2),)
total                                          1542       0      34.0      0     0          0  127 KiB
a step: 1576 us; memory: 127 KiB of 32 GiB a device
optimal among all cuts (7 candidates of 2 operators)
)");
}

TEST(Explain, AnyAssignment) {
  const Graph graph = Small();
  const Assignment assignment = {{{1, 1, 2}, {2, 1}}};
  const Result<CostTable> cost = Price(graph, assignment, 2, SlowMachine(), {});
  ASSERT_TRUE(cost.ok());
  const Result<std::string> text = ExplainText(graph, assignment, *cost, SlowMachine());
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(
      *text,
      R"(microseconds of a step by relayout's model: 0.001 TFLOP/s and 1 GB/s of memory a device, 1 GB/s within a node of 8 devices, 12.5 GB/s between nodes, 1 us a message
operator                            cuts           compute  reduce  gradient  input  move  move back    memory
MatMul 'Default/MatMul-op0'         ((1,1),(1,2))     1536       0         0    129     0          0  63.5 KiB
ReLU 'Default/ReLU-op0'             ((2,1),)          6.14       0         0      0     0          0     1 KiB
  from MatMul 'Default/MatMul-op0'                                                   1.51       1.51
total                                                 1542       0         0    129  1.51       1.51  64.5 KiB
a step: 1674 us; memory: 64.5 KiB of 32 GiB a device
)");
}

}  // namespace
}  // namespace relayout
