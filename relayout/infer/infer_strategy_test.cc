// SPDX-License-Identifier: Apache-2.0
//
// What is wanted here was written by MindSpore 2.10's own compiler for the same networks.
#include "relayout/infer/infer_strategy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "relayout/infer/testing.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

// The tutorial's network: three layers of MatMul and Add, the first and the last annotated.
Graph Tutorial(const std::optional<Cuts>& layer1, const std::optional<Cuts>& layer3) {
  TestNetwork network;
  ValueId x = network.Input("x", {256, 784});
  const auto layer = [&](const std::string& name, int64_t from, int64_t to,
                         const std::optional<Cuts>& cuts) {
    const std::string cell = name + "-Dense/";
    x = network.Apply("MatMul", {x, network.Parameter(name + ".weight", {from, to})}, {256, to},
                      cuts, {}, cell);
    x = network.Apply("Add", {x, network.Parameter(name + ".bias", {to})}, {256, to}, std::nullopt,
                      {}, cell);
  };
  layer("layer1", 784, 512, layer1);
  x = network.Apply("ReLU", {x}, {256, 512});
  layer("layer2", 512, 512, std::nullopt);
  x = network.Apply("ReLU", {x}, {256, 512});
  layer("layer3", 512, 10, layer3);
  network.graph().SetResults({x});
  return network.graph();
}

std::map<std::string, std::string> LayoutsOf(const StrategyFile& file) {
  std::map<std::string, std::string> layouts;
  for (const ParameterLayout& parameter : file.stages[0].layouts.parameters) {
    layouts[parameter.name] = ToText(parameter.layout);
  }
  return layouts;
}

InferOptions Options(int64_t device_count) {
  InferOptions options;
  options.device_count = device_count;
  options.full_batch = true;
  options.training = false;
  return options;
}

TEST(InferStrategy, AnnotatedAndDefaultOperators) {
  const auto inferred =
      InferStrategy(Tutorial(Cuts{{2, 1}, {1, 2}}, Cuts{{2, 2}, {2, 1}}), Options(8));
  ASSERT_TRUE(inferred.ok()) << inferred.status().message();
  ASSERT_EQ(inferred->stages.size(), 1U);
  EXPECT_EQ(inferred->stages[0].current_stage, 2);
  EXPECT_THAT(LayoutsOf(inferred->stages[0]),
              UnorderedElementsAre(
                  Pair("layer1.weight", "{a:2,b:2,c:2} (-,b)"), Pair("layer1.bias", "{a:8} (-)"),
                  Pair("layer2.weight", "{a:8} (-,-)"), Pair("layer2.bias", "{a:8} (-)"),
                  Pair("layer3.weight", "{a:2,b:2,c:2} (b,-)"), Pair("layer3.bias", "{a:8} (-)")));
  std::vector<std::pair<std::string, Cuts>> operators;
  for (const auto& op : inferred->stages[0].operators) operators.emplace_back(op.name, op.strategy);
  EXPECT_THAT(operators, ElementsAre(Pair("Add_layer1.bias", Cuts{{8, 1}, {1}}),
                                     Pair("Add_layer2.bias", Cuts{{8, 1}, {1}}),
                                     Pair("Add_layer3.bias", Cuts{{8, 1}, {1}}),
                                     Pair("MatMul_layer1.weight", Cuts{{2, 1}, {1, 2}}),
                                     Pair("MatMul_layer2.weight", Cuts{{8, 1}, {1, 1}}),
                                     Pair("MatMul_layer3.weight", Cuts{{2, 2}, {2, 1}})));
}

TEST(InferStrategy, OptimizerParallelAndItsStates) {
  InferOptions options = Options(4);
  options.training = true;
  options.optimizer = "adam";
  options.optimizer_parallel.enabled = true;
  const auto inferred =
      InferStrategy(Tutorial(Cuts{{1, 4}, {4, 1}}, Cuts{{2, 2}, {2, 1}}), options);
  ASSERT_TRUE(inferred.ok()) << inferred.status().message();
  auto layouts = LayoutsOf(inferred->stages[0]);
  EXPECT_EQ(layouts.size(), 18U);
  EXPECT_EQ(layouts["layer1.weight"], "{a:4} (a,-)");  // No replicas.
  EXPECT_EQ(layouts["layer2.weight"], "{a:4} (-,-) opt:all");
  EXPECT_EQ(layouts["moment1.layer2.weight"], "{a:4} (-,-) opt:all");
  EXPECT_EQ(layouts["moment2.layer2.weight"], "{a:4} (-,-) opt:all");
  EXPECT_EQ(layouts["layer3.weight"], "{a:2,b:2} (b,-)");  // 20 KiB.
  EXPECT_EQ(layouts["layer2.bias"], "{a:4} (-)");
}

TEST(InferStrategy, AFileAStage) {
  InferOptions options = Options(8);
  options.training = true;
  options.stage_count = 2;
  options.stage_rules = {{"layer1", 0}, {"layer2", 1}, {"layer3", 1}};
  const auto inferred = InferStrategy(Tutorial(std::nullopt, std::nullopt), options);
  ASSERT_TRUE(inferred.ok()) << inferred.status().message();
  ASSERT_EQ(inferred->stages.size(), 2U);
  auto first = LayoutsOf(inferred->stages[0]);
  auto second = LayoutsOf(inferred->stages[1]);
  EXPECT_EQ(first.size(), 8U);
  EXPECT_EQ(second.size(), 16U);
  EXPECT_EQ(first["accu_grads.layer1.weight"], "{a:4} (-,-)");
  EXPECT_EQ(second["stat.layer3.bias"], "{a:4} (-)");
  EXPECT_EQ(inferred->stages[1].operators[0].stage, 1);
}

// Two layers with a ReLU each, both of which MindSpore calls after the first layer's.
TEST(InferStrategy, OperatorsThatAreCalledAfterAnEqualCell) {
  TestNetwork network;
  const ValueId x = network.Input("x", {8, 16});
  ValueId y = x;
  for (const std::string layer : {"0", "1"}) {
    const ValueId weight = network.Parameter("layers." + layer + ".weight", {16, 16});
    y = network.Apply("MatMul", {y, weight}, {8, 16}, std::nullopt, {},
                      "layers-L/" + layer + "-B/");
    y = network.Apply("ReLU", {y}, {8, 16}, std::nullopt, {}, "layers-L/0-B/act-ReLU/");
  }
  InferOptions options = Options(8);
  options.stage_count = 2;
  options.stage_rules = {{"layers.0", 0}, {"layers.1", 1}};
  const auto inferred = InferStrategy(network.graph(), options);
  ASSERT_TRUE(inferred.ok()) << inferred.status().message();
  EXPECT_THAT(inferred->stage_of, testing::ElementsAre(0, 0, 1, 1));
  options.stage_rules.push_back({"layers.0.act", 0});
  EXPECT_THAT(InferStrategy(network.graph(), options).status().message(),
              HasSubstr("in the later stage 1"));
}

TEST(InferStrategy, FrozenParametersAreInNoStrategy) {
  InferOptions options = Options(8);
  options.frozen = {"layer1."};
  const auto inferred = InferStrategy(Tutorial(std::nullopt, std::nullopt), options);
  ASSERT_TRUE(inferred.ok()) << inferred.status().message();
  EXPECT_EQ(LayoutsOf(inferred->stages[0]).size(), 4U);
  EXPECT_EQ(LayoutsOf(inferred->stages[0]).count("layer1.weight"), 0U);
  options.frozen = {"layer2", "layer3.bias"};
  const auto others = InferStrategy(Tutorial(std::nullopt, std::nullopt), options);
  ASSERT_TRUE(others.ok()) << others.status().message();
  EXPECT_EQ(LayoutsOf(others->stages[0]).size(), 3U);
  options.frozen = {"layer"};  // No cell of that name.
  EXPECT_FALSE(InferStrategy(Tutorial(std::nullopt, std::nullopt), options).ok());
}

TEST(InferStrategy, SharedParametersMustAgree) {
  const auto network = [](const Cuts& first, const Cuts& second) {
    TestNetwork shared;
    const ValueId w = shared.Parameter("w", {32, 32});
    const ValueId a = shared.Apply("MatMul", {shared.Input("x", {16, 32}), w}, {16, 32}, first);
    shared.Apply("MatMul", {a, w}, {16, 32}, second);
    return shared.graph();
  };
  // Whole for both, from different meshes: as the first writes it.
  const auto whole = InferStrategy(network({{4, 1}, {1, 1}}, {{8, 1}, {1, 1}}), Options(8));
  ASSERT_TRUE(whole.ok()) << whole.status().message();
  EXPECT_EQ(LayoutsOf(whole->stages[0])["w"], "{a:4,b:2} (-,-)");
  // Cut alike in number, but on other ranks.
  const auto other = InferStrategy(network({{2, 1}, {1, 4}}, {{1, 1}, {1, 4}}), Options(8));
  ASSERT_FALSE(other.ok());
  EXPECT_THAT(other.status().message(), HasSubstr("parameter 'w'"));
  EXPECT_THAT(other.status().message(), HasSubstr("{a:2,b:4} (-,b) for MatMul"));
  EXPECT_THAT(other.status().message(), HasSubstr("{a:4,b:2} (-,a) for MatMul"));
}

TEST(InferStrategy, AnnotationsThatNameMeshAxes) {
  const auto network = [](const MeshCuts& cuts) {
    TestNetwork net;
    const ValueId w = net.Parameter("w", {32, 64});
    net.Apply("MatMul", {net.Input("x", {16, 32}), w}, {16, 64});
    net.graph().mutable_op(0).mesh_cuts = cuts;
    return net.graph();
  };
  const auto spec = [](std::vector<std::vector<int>> dim_axes) {
    return LayoutSpec{.mesh = {2, 2, 2}, .dim_axes = std::move(dim_axes), .uneven_rows = {}};
  };
  const auto one = InferStrategy(network({spec({{0}, {}}), spec({{}, {1}})}), Options(8));
  ASSERT_TRUE(one.ok()) << one.status().message();
  EXPECT_EQ(LayoutsOf(one->stages[0])["w"], "{a:2,b:2,c:2} (-,b)");
  EXPECT_EQ(one->stages[0].operators[0].strategy, Cuts());
  const auto two = InferStrategy(network({spec({{0}, {}}), spec({{}, {2, 1}})}), Options(8));
  ASSERT_TRUE(two.ok()) << two.status().message();
  EXPECT_EQ(LayoutsOf(two->stages[0])["w"], "{a:2,b:2,c:2} (-,c*b)");
  const auto devices = InferStrategy(network({spec({{0}, {}}), spec({{}, {1}})}), Options(16));
  ASSERT_FALSE(devices.ok());
  EXPECT_THAT(devices.status().message(), HasSubstr("has 8 devices, but a stage has 16"));
  const auto rows = InferStrategy(network({spec({{0}, {1}}), spec({{2}, {}})}), Options(8));
  ASSERT_FALSE(rows.ok());
  EXPECT_THAT(rows.status().message(), HasSubstr("by other mesh axes"));
}

// A table that is looked up in the first stage and multiplied by in the last.
Graph TiedNetwork() {
  TestNetwork network;
  const ValueId table = network.Parameter("table", {64, 32});
  const ValueId first = network.Apply("MatMul", {network.Input("x", {16, 64}), table}, {16, 32},
                                      std::nullopt, {}, "embed-Embedding/");
  const ValueId w = network.Parameter("layer.weight", {32, 32});
  const ValueId middle =
      network.Apply("MatMul", {first, w}, {16, 32}, std::nullopt, {}, "layer-Dense/");
  network.Apply("MatMul", {middle, table}, {16, 64}, std::nullopt, {{"transpose_b", true}},
                "head-Head/");
  return network.graph();
}

TEST(InferStrategy, ParametersOfSeveralStages) {
  InferOptions options = Options(8);
  options.stage_count = 2;
  options.stage_rules = {{"embed", 0}, {"layer", 1}, {"head", 1}};
  const auto names = [](const StrategyFile& file) {
    std::vector<std::string> all;
    for (const auto& op : file.operators) all.push_back(op.name);
    return all;
  };
  const auto predict = InferStrategy(TiedNetwork(), options);
  ASSERT_TRUE(predict.ok()) << predict.status().message();
  EXPECT_EQ(LayoutsOf(predict->stages[0]).count("table"), 1U);
  EXPECT_EQ(LayoutsOf(predict->stages[1]).count("table"), 1U);
  EXPECT_THAT(names(predict->stages[1]), ElementsAre("MatMul_layer.weight", "MatMul_table"));

  options.training = true;
  const auto train = InferStrategy(TiedNetwork(), options);
  ASSERT_TRUE(train.ok()) << train.status().message();
  EXPECT_EQ(LayoutsOf(train->stages[0]).count("accu_grads.table"), 1U);
  EXPECT_EQ(LayoutsOf(train->stages[1]).count("table"), 0U);
  EXPECT_THAT(names(train->stages[0]), ElementsAre("MatMul_table", "Send_table"));
  EXPECT_THAT(names(train->stages[1]),
              ElementsAre("MatMul_layer.weight", "Receive_layer.weight", "Receive_table"));
}

TEST(InferStrategy, CastsAreLookedThrough) {
  TestNetwork network;
  const ValueId w = network.Parameter("w", {32, 64});
  const ValueId cast = network.Apply("Cast", {w}, {32, 64}, Cuts{{4, 1}});
  network.Apply("MatMul", {network.Input("x", {16, 32}), cast}, {16, 64}, Cuts{{2, 1}, {1, 4}});
  const auto inferred = InferStrategy(network.graph(), Options(8));
  ASSERT_TRUE(inferred.ok()) << inferred.status().message();
  EXPECT_THAT(LayoutsOf(inferred->stages[0]), ElementsAre(Pair("w", "{a:2,b:4} (-,b)")));
}

TEST(InferStrategy, RefusesWhatCannotBe) {
  const Graph tutorial = Tutorial(std::nullopt, std::nullopt);
  const auto message = [&](const std::function<void(InferOptions&)>& change) {
    InferOptions options = Options(8);
    options.training = true;
    change(options);
    const auto inferred = InferStrategy(tutorial, options);
    return inferred.ok() ? "accepted" : inferred.status().message();
  };
  EXPECT_THAT(message([](InferOptions& o) { o.device_count = 0; }), HasSubstr("0 devices"));
  EXPECT_THAT(message([](InferOptions& o) { o.device_count = (int64_t{1} << 31) * 2; }),
              HasSubstr("4294967296 devices in a stage"));
  EXPECT_THAT(message([](InferOptions& o) { o.stage_count = 3; }),
              HasSubstr("8 devices cannot be dealt evenly to 3 stages"));
  EXPECT_THAT(message([](InferOptions& o) { o.stage_count = 2; }),
              HasSubstr("nothing says which cell"));
  EXPECT_THAT(message([](InferOptions& o) { o.optimizer = "adamm"; }), HasSubstr("'adamm'"));
  EXPECT_THAT(message([](InferOptions& o) { o.frozen = {"layer9"}; }), HasSubstr("'layer9'"));
  EXPECT_THAT(message([](InferOptions& o) {
                o.optimizer_parallel.enabled = true;
                o.optimizer_parallel.group = 16;
              }),
              HasSubstr("group of 16 devices, but a stage has 8"));
  EXPECT_THAT(message([](InferOptions& o) {
                o.stage_count = 2;
                o.stage_rules = {{"layer1", 0}, {"layer2", 2}};
              }),
              HasSubstr("stage 2 of 'layer2' does not exist"));
  EXPECT_THAT(message([](InferOptions& o) {
                o.stage_count = 2;
                o.stage_rules = {{"layer1", 0}, {"lyer2", 1}};
              }),
              HasSubstr("'lyer2'; near it: layer2"));
  EXPECT_THAT(message([](InferOptions& o) {
                o.stage_count = 2;
                o.stage_rules = {{"layer1", 1}, {"layer2", 0}};
              }),
              HasSubstr("in the later stage 1"));
  EXPECT_THAT(message([](InferOptions& o) {
                o.stage_count = 2;
                o.stage_rules = {{"layer1", 0}};
              }),
              HasSubstr("stage 1 of 2 has no operator"));
}

}  // namespace
}  // namespace relayout
