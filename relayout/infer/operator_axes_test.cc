// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/operator_axes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "relayout/infer/operator_rule.h"
#include "relayout/infer/testing.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

using ::testing::HasSubstr;

// x[32,784] w[784,512] -> y[32,512], with an annotation.
Result<OperatorLayout> MatMulLayout(const Cuts& cuts, int64_t device_count) {
  TestNetwork network;
  const ValueId x = network.Input("x", {32, 784});
  const ValueId w = network.Parameter("w", {784, 512});
  network.Apply("MatMul", {x, w}, {32, 512});
  const Graph& graph = network.graph();
  const Operator& op = graph.op(0);
  RELAYOUT_ASSIGN_OR_RETURN(const OperatorRule* const rule, RuleOf(op));
  RELAYOUT_ASSIGN_OR_RETURN(const OperatorAxes axes, rule->axes(graph, op));
  RELAYOUT_ASSIGN_OR_RETURN(const AxisCuts axis_cuts, ToAxisCuts(graph, op, axes, cuts));
  EXPECT_EQ(ToCuts(axes, axis_cuts), cuts);
  return LayOut(graph, op, *rule, axes, axis_cuts, device_count);
}

TEST(OperatorAxes, TheExampleOfTheHeader) {
  const auto layout = MatMulLayout({{2, 1}, {1, 2}}, 8);
  ASSERT_TRUE(layout.ok()) << layout.status().message();
  EXPECT_EQ(ToText(layout->inputs[0]), "{a:2,b:2,c:2} (a,-)");
  EXPECT_EQ(ToText(layout->inputs[1]), "{a:2,b:2,c:2} (-,b)");
  EXPECT_EQ(ToText(layout->outputs[0]), "{a:2,b:2,c:2} (a,b)");
}

TEST(OperatorAxes, ContractedAxesAreInNoOutput) {
  TestNetwork network;
  const ValueId x = network.Input("x", {32, 784});
  network.Apply("MatMul", {x, network.Parameter("w", {784, 512})}, {32, 512});
  const auto axes = FindRule("MatMul")->axes(network.graph(), network.graph().op(0));
  ASSERT_TRUE(axes.ok());
  EXPECT_EQ(axes->lengths, (std::vector<int64_t>{32, 784, 512}));
  EXPECT_FALSE(axes->IsContracted(0));
  EXPECT_TRUE(axes->IsContracted(1));
  EXPECT_FALSE(axes->IsContracted(2));
}

TEST(OperatorAxes, SayWhatDoesNotFit) {
  struct Case {
    Cuts cuts;
    int64_t device_count;
    std::vector<std::string> words;
  };
  const std::string name = "MatMul 'Default/MatMul-op0'";
  for (const auto& [cuts, device_count, words] : std::vector<Case>{
           {{{2, 1}}, 8, {name, "((2,1),)", "has 1 list, but it has 2 tensor inputs"}},
           {{{2}, {1, 2}}, 8, {name, "cuts 1 dims of input 0 (input 'x', [32,784])"}},
           {{{3, 1}, {1, 2}}, 6, {name, "dim 0 = 32 of input 0", "3 pieces"}},
           {{{1, 0}, {0, 1}}, 8, {name, "dim 1 = 784 of input 0", "0 pieces"}},
           {{{1, 2}, {4, 1}},
            8,
            {name, "dim 1 of input 0", "into 2", "dim 0 of input 1 (parameter 'w', [784,512])",
             "into 4"}},
           {{{2, 2}, {2, 2}}, 4, {name, "2 x 2 x 2 pieces", "4 devices"}},
           {{{2, 1}, {1, 2}}, 6, {name, "2 x 2 pieces", "6 devices"}},
       }) {
    const auto layout = MatMulLayout(cuts, device_count);
    ASSERT_FALSE(layout.ok()) << ToText(cuts);
    for (const std::string& word : words) {
      EXPECT_THAT(layout.status().message(), HasSubstr(word));
    }
  }
}

TEST(OperatorAxes, UnknownOperatorsAreNamed) {
  TestNetwork network;
  network.Apply("MatMull", {network.Input("x", {2})}, {2});
  const auto rule = RuleOf(network.graph().op(0));
  ASSERT_FALSE(rule.ok());
  EXPECT_EQ(rule.status().code(), StatusCode::kUnsupported);
  EXPECT_THAT(rule.status().message(), HasSubstr("MatMull 'Default/MatMull-op0'"));
  EXPECT_THAT(rule.status().message(), HasSubstr("near it: MatMul"));
}

}  // namespace
}  // namespace relayout
