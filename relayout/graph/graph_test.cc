// SPDX-License-Identifier: Apache-2.0
#include "relayout/graph/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace relayout {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TensorType F32(Dims shape) { return {DType::kFloat32, shape}; }

Operator Make(std::string type, std::vector<ValueId> inputs, Attributes attributes = {}) {
  Operator op;
  op.type = std::move(type);
  op.name = "Default/" + op.type + "-op0";
  op.inputs = std::move(inputs);
  op.attributes = std::move(attributes);
  return op;
}

// x * w, split in two.
Graph SmallGraph() {
  Graph graph;
  const ValueId x = graph.AddInput("x", F32({8, 16}));
  const ValueId w = *graph.AddParameter("w", F32({16, 4}));
  Operator matmul = Make("MatMul", {x, w}, {{"transpose_a", false}});
  matmul.cuts = Cuts{{2, 1}, {1, 2}};
  const OperatorId product = graph.AddOperator(std::move(matmul), {F32({8, 4})});
  const ValueId y = graph.op(product).outputs[0];
  const OperatorId split =
      graph.AddOperator(Make("Split", {y}, {{"axis", int64_t{1}}}), {F32({8, 2}), F32({8, 2})});
  graph.SetResults({graph.op(split).outputs[1], x});
  return graph;
}

TEST(GraphTest, NumbersValuesAndOperatorsInOrder) {
  const Graph graph = SmallGraph();
  EXPECT_EQ(graph.values().size(), 5U);
  EXPECT_THAT(graph.inputs(), ElementsAre(0));
  EXPECT_THAT(graph.parameters(), ElementsAre(1));
  EXPECT_THAT(graph.results(), ElementsAre(4, 0));
  EXPECT_THAT(graph.op(1).outputs, ElementsAre(3, 4));
  EXPECT_EQ(graph.value(4).producer, 1);
  EXPECT_EQ(graph.value(4).output_index, 1);
  EXPECT_EQ(graph.FindParameter("w"), 1);
  EXPECT_EQ(graph.FindParameter("x"), kNoId);
}

TEST(GraphTest, RefusesASecondParameterOfTheName) {
  Graph graph = SmallGraph();
  const Result<ValueId> again = graph.AddParameter("w", F32({1}));
  ASSERT_FALSE(again.ok());
  EXPECT_THAT(again.status().message(), HasSubstr("two parameters are called 'w'"));
  EXPECT_EQ(graph.parameters().size(), 1U);
}

TEST(GraphTest, UsesNameEachReaderAndItsInput) {
  Graph graph = SmallGraph();
  graph.AddOperator(Make("Add", {2, 2}), {F32({8, 4})});
  const auto uses = graph.Uses();
  ASSERT_EQ(uses.size(), graph.values().size());
  ASSERT_EQ(uses[2].size(), 3U);
  EXPECT_EQ(uses[2][0].user, 1);
  EXPECT_EQ(uses[2][2].user, 2);
  EXPECT_EQ(uses[2][2].input, 1);
  EXPECT_THAT(uses[4], IsEmpty());
}

TEST(GraphTest, TextShowsEverything) {
  Graph graph = SmallGraph();
  graph.SetTrained(1, false);
  const ValueId constant = graph.AddConstant({DType::kInt32, {}});
  Operator relu = Make("ReLU", {constant});
  relu.mesh_cuts = MeshCuts{{{2, 4}, {{0, 1}, {}}, 1, {}}};
  relu.output_cuts = Cuts{{8}};
  relu.output_mesh_cuts = MeshCuts{{{2}, {{0}}, 1, {}}, {{2}, {}, 1, {}}};
  relu.attributes = {{"text", std::string("a b")},
                     {"numbers", std::vector<int64_t>{1, 2}},
                     {"reals", std::vector<double>{0.5}},
                     {"real", 1e-5}};
  graph.AddOperator(std::move(relu), {F32({})});
  EXPECT_EQ(ToText(graph),
            "x input f32[8,16]\n"
            "w parameter f32[16,4] not trained\n"
            "#0 MatMul (x, w) -> f32[8,4] cuts ((2,1),(1,2)) transpose_a=false\n"
            "#1 Split (#0) -> f32[8,2] f32[8,2] axis=1\n"
            "#2 ReLU (const i32[]) -> f32[] cuts ({2,4}(0+1,-)) output cuts ((8),) "
            "output cuts ({2}(0),{2}()) text='a b' numbers=(1,2) reals=(0.5) real=1e-05\n"
            "return #1.1 x\n");
}

TEST(GraphTest, CutsAsText) {
  EXPECT_EQ(ToText(Cuts{{2, 1}, {1, 2}}), "((2,1),(1,2))");
  EXPECT_EQ(ToText(Cuts{{8}}), "((8),)");
  EXPECT_EQ(ToText(Cuts{}), "()");
  EXPECT_EQ(ToText(MeshCuts{}), "()");
}

TEST(GraphTest, Describes) {
  Graph graph = SmallGraph();
  const ValueId constant = graph.AddConstant(F32({}));
  EXPECT_EQ(Describe(graph.op(0)), "MatMul 'Default/MatMul-op0'");
  EXPECT_EQ(Describe(graph, 0), "input 'x'");
  EXPECT_EQ(Describe(graph, 1), "parameter 'w'");
  EXPECT_EQ(Describe(graph, 4), "the result of Split 'Default/Split-op0'");
  EXPECT_EQ(Describe(graph, constant), "a constant");
}

TEST(AttributesTest, AreFoundByNameAndKind) {
  Attributes attributes = {{"flag", true}, {"axis", int64_t{-1}}, {"mode", std::string("same")}};
  attributes.Set("axes", std::vector<int64_t>{0, 2});
  attributes.Set("axis", int64_t{3});  // Replaces.
  EXPECT_EQ(attributes.entries().size(), 4U);
  EXPECT_TRUE(attributes.GetBool("flag", false));
  EXPECT_EQ(attributes.GetInt("axis", 0), 3);
  EXPECT_EQ(attributes.GetText("mode", ""), "same");
  EXPECT_EQ(attributes.GetInts("axes"), (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(attributes.GetInts("axis"), (std::vector<int64_t>{3}));
  // Of another kind, or not there.
  EXPECT_EQ(attributes.GetInt("flag", 7), 7);
  EXPECT_FALSE(attributes.GetBool("axis", false));
  EXPECT_EQ(attributes.GetInts("mode"), std::nullopt);
  EXPECT_EQ(attributes.GetText("none", "otherwise"), "otherwise");
  EXPECT_EQ(attributes.Find("none"), nullptr);
}

}  // namespace
}  // namespace relayout
