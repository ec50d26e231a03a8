// SPDX-License-Identifier: Apache-2.0
#include "relayout/graph/builder.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "relayout/graph/constant.h"

namespace relayout {
namespace {

NetworkTensor Dense(NetworkBuilder& net, std::string_view name, const NetworkTensor& x,
                    int64_t width, const Cuts& cuts) {
  const Scope scope(net, name);
  const NetworkTensor w = net.Parameter("weight", {x.dim(-1), width});
  return net.MatMul(x, w).Cut(cuts) + net.Parameter("bias", {width});
}

TEST(Builder, TheNetworkOfTheHeader) {
  NetworkBuilder net;
  NetworkTensor x = net.Flatten(net.Input("x", {32, 1, 28, 28}));
  x = net.ReLU(Dense(net, "layer1-Dense", x, 512, {{2, 1}, {1, 2}}));
  x = net.ReLU(Dense(net, "layer2-Dense", x, 512, {{1, 4}, {4, 1}}));
  x = Dense(net, "layer3-Dense", x, 10, {{2, 2}, {2, 1}});
  const Result<Graph> graph = net.Build({x});
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  EXPECT_EQ(ToText(*graph),
            "x input f32[32,1,28,28]\n"
            "layer1.weight parameter f32[784,512]\n"
            "layer1.bias parameter f32[512]\n"
            "layer2.weight parameter f32[512,512]\n"
            "layer2.bias parameter f32[512]\n"
            "layer3.weight parameter f32[512,10]\n"
            "layer3.bias parameter f32[10]\n"
            "#0 Flatten (x) -> f32[32,784]\n"
            "#1 MatMul (#0, layer1.weight) -> f32[32,512] cuts ((2,1),(1,2))\n"
            "#2 Add (#1, layer1.bias) -> f32[32,512]\n"
            "#3 ReLU (#2) -> f32[32,512]\n"
            "#4 MatMul (#3, layer2.weight) -> f32[32,512] cuts ((1,4),(4,1))\n"
            "#5 Add (#4, layer2.bias) -> f32[32,512]\n"
            "#6 ReLU (#5) -> f32[32,512]\n"
            "#7 MatMul (#6, layer3.weight) -> f32[32,10] cuts ((2,2),(2,1))\n"
            "#8 Add (#7, layer3.bias) -> f32[32,10]\n"
            "return #8\n");
  // As MindSpore exports the same network.
  EXPECT_EQ(graph->op(1).name, "Default/layer1-Dense/MatMul-op0");
  EXPECT_EQ(graph->op(4).name, "Default/layer2-Dense/MatMul-op0");
  EXPECT_EQ(graph->op(6).name, "Default/ReLU-op1");
}

TEST(Builder, ShortMethods) {
  NetworkBuilder net;
  const NetworkTensor ids = net.Input("ids", {2, 6}, DType::kInt32);
  const NetworkTensor table =
      net.Parameter("table", {50, 8}, {.dtype = DType::kFloat16, .trained = false});
  const NetworkTensor words = net.Gather(table, ids).Cut({{1, 1}, {2, 1}});
  NetworkTensor x = net.Cast(words, DType::kFloat32);
  x = net.LayerNorm(x, net.Parameter("gamma", {8}), net.Parameter("beta", {8}));
  x = net.RmsNorm(net.Tanh(x) * 2.0 + 1.0, net.Parameter("scale", {8}));
  NetworkTensor heads = net.Transpose(net.Reshape(x, {2, 6, 2, -1}), {0, 2, 1, 3});
  heads = net.Dropout(net.Softmax(net.BatchMatMul(heads, heads, {.transpose_b = true})), 0.9);
  const std::vector<NetworkTensor> pieces = net.Split(heads, -1, 3);
  x = net.Concat({pieces[2], pieces[0] / pieces[1]}, -1);
  x = net.Squeeze(net.ExpandDims(net.Sigmoid(x) - x * x, 1), {1});
  const NetworkTensor mean = net.ReduceMean(net.SiLU(x), {1, 2}, true);
  const NetworkTensor sum = net.ReduceSum(net.GeLU(mean), {1, 2});
  const NetworkTensor labels = net.OneHot(net.Constant({2}, DType::kInt32), 4);
  const NetworkTensor loss =
      net.SoftmaxCrossEntropyWithLogits(net.BiasAdd(sum, net.Parameter("bias", {4})), labels);
  const NetworkTensor likely = net.LogSoftmax(net.BroadcastTo(net.Constant({1, 4}), {2, -1}));
  const NetworkTensor weights = net.Parameter("weights", {4, 2});
  const NetworkTensor product =
      net.MatMul(weights, likely, {.transpose_a = true, .transpose_b = true});
  EXPECT_EQ(product.shape(), (Dims{2, 2}));
  EXPECT_EQ(words.dtype(), DType::kFloat16);
  EXPECT_EQ(words.dim(2), 8);
  EXPECT_EQ(words.dim(-3), 2);
  EXPECT_EQ(words.dim(3), 0);
  const Result<Graph> graph = net.Build({loss, loss.Output(1), product});
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  const Graph& built = *graph;
  EXPECT_EQ(built.results().size(), 3u);
  EXPECT_EQ(built.value(built.results()[0]).shape, (Dims{2}));
  EXPECT_EQ(built.value(built.results()[1]).shape, (Dims{2, 4}));
  EXPECT_FALSE(built.value(built.FindParameter("table")).trained);
  EXPECT_EQ(ToText(*built.op(0).cuts), "((1,1),(2,1))");
}

// The bytes of constant input number `input` of the last operator.
std::string Held(const Result<Graph>& graph, size_t input) {
  if (!graph.ok()) return std::string(graph.status().message());
  const ConstantBytes& bytes = graph->value(graph->operators().back().inputs[input]).bytes;
  return bytes == nullptr ? "unknown" : *bytes;
}

TEST(Builder, ConstantsHaveValues) {
  NetworkBuilder net;
  const NetworkTensor x = net.Input("x", {2, 2});
  const std::vector<float> mask = {0, -1e4F, 0, 0};
  EXPECT_EQ(Held(net.Build({x + net.Constant({2, 2}, mask)}), 1), *BytesOf<float>(mask));
  const std::vector<int32_t> places = {0, 1};
  EXPECT_EQ(Held(net.Build({net.Gather(x, net.Constant({2}, places))}), 1),
            *BytesOf<int32_t>(places));
  EXPECT_EQ(Held(net.Build({x + 0.5}), 1), *BytesOf(0.5, DType::kFloat32));
  EXPECT_EQ(Held(net.Build({net.Cast(x, DType::kFloat16) - 2.0}), 1), *BytesOf(2, DType::kFloat16));
  EXPECT_EQ(Held(net.Build({net.Cast(x, DType::kInt32) - 2.5}), 1), *BytesOf(2.5, DType::kFloat32));
  EXPECT_EQ(Held(net.Build({x + net.Constant({2})}), 1), "unknown");
  const NetworkTensor rows = net.Constant({2}, DType::kUInt8, "\1\2");
  EXPECT_EQ(Held(net.Build({net.OneHot(rows, 4)}), 0), "\1\2");
  EXPECT_EQ(Held(net.Build({net.OneHot(rows, 4)}), 1), *BytesOf(1, DType::kFloat32));
  EXPECT_EQ(Held(net.Build({net.OneHot(rows, 4)}), 2), *BytesOf(0, DType::kFloat32));
}

TEST(Builder, Losses) {
  NetworkBuilder net;
  const NetworkTensor logits = net.Input("x", {4, 10});
  const NetworkTensor labels = net.Input("labels", {4}, DType::kInt32);
  const Result<Graph> graph = net.Build(
      {net.CrossEntropyLoss(logits, labels), net.NLLLoss(net.LogSoftmax(logits), labels, -1),
       net.ReduceMean(net.Square(net.Sqrt(net.Exp(net.Rsqrt(logits)))), {})});
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  for (const ValueId id : graph->results()) EXPECT_TRUE(graph->value(id).shape.empty());
  EXPECT_EQ(graph->op(0).attributes.GetInt("ignore_index", 0), -100);
}

TEST(Builder, ScopesNest) {
  NetworkBuilder net;
  NetworkTensor x = net.Input("x", {4, 8});
  {
    const Scope layers(net, "layers-CellList");
    for (const char* name : {"0-Block", "1-Block"}) {
      const Scope block(net, name);
      x = net.ReLU(net.MatMul(x, net.Parameter("w", {8, 8})));
    }
  }
  x = net.ReLU(x).CutOutputs({{2, 1}});
  const Result<Graph> graph = net.Build({x});
  ASSERT_TRUE(graph.ok());
  EXPECT_NE(graph->FindParameter("layers.1.w"), kNoId);
  EXPECT_EQ(graph->op(2).name, "Default/layers-CellList/1-Block/MatMul-op0");
  EXPECT_EQ(graph->op(4).name, "Default/ReLU-op0");
  EXPECT_EQ(ToText(*graph->op(4).output_cuts), "((2,1),)");
}

std::string MistakeOf(const std::function<NetworkTensor(NetworkBuilder& net)>& author) {
  NetworkBuilder net;
  const NetworkTensor x = author(net);
  const Result<Graph> graph = net.Build({x});
  return graph.ok() ? "none" : graph.status().message();
}

TEST(Builder, MistakesAreToldByBuild) {
  EXPECT_EQ(MistakeOf([](NetworkBuilder& net) {
              const NetworkTensor x = net.Input("x", {4, 8});
              // One mistake; what follows from it is none.
              return net.ReLU(net.MatMul(x, net.Parameter("w", {7, 8}))).Cut({{1, 1}}).Output(5);
            }),
            "MatMul 'Default/MatMul-op0': 8 columns of [4,8] against 7 rows of [7,8]");
  EXPECT_EQ(MistakeOf([](NetworkBuilder& net) {
              const NetworkTensor x = net.Input("x", {4, 8});
              const Scope scope(net, "b");
              const NetworkTensor piece = net.Split(x, 1, 3)[2] + net.Parameter("w", {3});
              return piece + net.Parameter("w", {3});
            }),
            "Split 'Default/b/Split-op0': dim 1 of [4,8] is not divisible by 3 (the first of 2 "
            "mistakes)");
  EXPECT_EQ(MistakeOf([](NetworkBuilder& net) {
              net.Parameter("w", {3});
              return net.Parameter("w", {3});
            }),
            "two parameters are called 'w'");
  EXPECT_EQ(MistakeOf([](NetworkBuilder& net) { return net.Input("x", {4}).Cut({{2}}); }),
            "input 'x' is no operator's result: it cannot be cut");
  EXPECT_EQ(MistakeOf([](NetworkBuilder& net) { return net.ReLU(net.Input("x", {4})).Output(1); }),
            "ReLU 'Default/ReLU-op0': has 1 result, there is no result 1");
  EXPECT_EQ(MistakeOf([](NetworkBuilder& net) {
              return net.Constant({3}, std::vector<float>{1, 2});
            }),
            "a constant f32[3] of 8 bytes: an element has 4");
  EXPECT_EQ(MistakeOf([](NetworkBuilder& net) { return net.Number(300, DType::kInt8); }),
            "i8 has no number 300");
  NetworkBuilder other;
  EXPECT_EQ(MistakeOf([&](NetworkBuilder& net) { return net.ReLU(other.Input("x", {4})); }),
            "ReLU: a tensor of another network");
  EXPECT_EQ(MistakeOf([](NetworkBuilder& net) {
              return net.Apply("Chunk", {net.Input("x", {0})}, {{"chunks", int64_t{2}}});
            }),
            "Chunk 'Default/Chunk-op0': makes nothing");
}

TEST(Builder, GoesOnAfterAMistakeThatWasTaken) {
  NetworkBuilder net;
  const NetworkTensor x = net.Input("x", {4, 8});
  const NetworkTensor wrong = net.Reshape(x, {3, 3});
  EXPECT_EQ(net.TakeMistake().message(),
            "Reshape 'Default/Reshape-op0': [4,8] has 32 elements, (3,3) has 9");
  EXPECT_TRUE(net.TakeMistake().ok());
  EXPECT_EQ(net.Build({wrong}).status().message(), "a result comes of a mistake that was taken");
  const NetworkTensor y = net.ReLU(x);
  EXPECT_EQ(net.Build({y})->operators().size(), 1u);
  EXPECT_EQ(net.Build({net.ReLU(y)})->operators().size(), 2u);
}

}  // namespace
}  // namespace relayout
