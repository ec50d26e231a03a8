// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/training_cases.h"

#include <cmath>

#include "relayout/graph/builder.h"
#include "relayout/graph/training_loss.h"

namespace relayout {
namespace {

constexpr int64_t kRows = 256;
constexpr int64_t kSequences = 8;
constexpr int64_t kLength = 128;
constexpr int64_t kHidden = 512;
constexpr int64_t kHeads = 8;
constexpr float kMasked = -1e4F;

NetworkTensor Linear(NetworkBuilder& net, const std::string& name, const NetworkTensor& x,
                     int64_t width) {
  const Scope scope(net, name);
  const NetworkTensor y = net.MatMul(x, net.Parameter("weight", {x.dim(-1), width}));
  return y + net.Parameter("bias", {width});
}

Result<Graph> Tutorial(int64_t rank_count) {
  NetworkBuilder net;
  NetworkTensor x = net.Flatten(net.Input("x", {kRows / rank_count, 1, 28, 28}));
  x = net.ReLU(Linear(net, "layer1", x, 512));
  x = net.ReLU(Linear(net, "layer2", x, 512));
  RELAYOUT_ASSIGN_OR_RETURN(const Graph graph, net.Build({Linear(net, "layer3", x, 10)}));
  return WithLoss(graph, Loss::kCrossEntropy);
}

class GptBlock {
 public:
  explicit GptBlock(int64_t rank_count) : sequences_(kSequences / rank_count) {}

  Result<Graph> Build() {
    NetworkTensor x = net_.Input("x", {sequences_ * kLength, kHidden});
    x = x + Attention(Norm("norm1", x));
    const NetworkTensor up = Linear(net_, "up", Norm("norm2", x), 4 * kHidden);
    x = x + Linear(net_, "down", net_.GeLU(up), kHidden);
    RELAYOUT_ASSIGN_OR_RETURN(const Graph graph, net_.Build({x}));
    return WithLoss(graph, Loss::kMeanSquaredError);
  }

 private:
  NetworkTensor Norm(const std::string& name, const NetworkTensor& x) {
    const Scope scope(net_, name);
    const NetworkTensor gamma = net_.Parameter("gamma", {kHidden});
    return net_.LayerNorm(x, gamma, net_.Parameter("beta", {kHidden}));
  }

  NetworkTensor Heads(const std::string& name, const NetworkTensor& x) {
    const NetworkTensor y = net_.Reshape(Linear(net_, name, x, kHidden),
                                         {sequences_, kLength, kHeads, kHidden / kHeads});
    return net_.Transpose(y, {0, 2, 1, 3});
  }

  NetworkTensor CausalMask() {
    std::vector<float> mask(static_cast<size_t>(kLength * kLength), 0);
    for (int64_t i = 0; i < kLength; ++i) {
      for (int64_t j = i + 1; j < kLength; ++j)
        mask[static_cast<size_t>(i * kLength + j)] = kMasked;
    }
    return net_.Constant({kLength, kLength}, mask);
  }

  NetworkTensor Attention(const NetworkTensor& x) {
    const NetworkTensor q = Heads("query", x);
    const NetworkTensor k = Heads("key", x);
    const NetworkTensor v = Heads("value", x);
    const double scale = 1 / std::sqrt(static_cast<double>(kHidden) / kHeads);
    const NetworkTensor scores = net_.BatchMatMul(q, k, {.transpose_b = true}) * scale;
    const NetworkTensor weights = net_.Softmax(scores + CausalMask());
    const NetworkTensor mixed = net_.Transpose(net_.BatchMatMul(weights, v), {0, 2, 1, 3});
    return Linear(net_, "out", net_.Reshape(mixed, {sequences_ * kLength, kHidden}), kHidden);
  }

  const int64_t sequences_;
  NetworkBuilder net_;
};

}  // namespace

std::vector<TrainingCase> TrainingCases() {
  return {{"tutorial.sgd", {.type = "sgd", .learning_rate = 0.01F}},
          {"tutorial.momentum", {.type = "momentum", .learning_rate = 0.01F}},
          {"tutorial.adam", {.type = "adam", .learning_rate = 0.001F}},
          {"gpt.adam", {.type = "adam", .learning_rate = 0.001F}}};
}

Result<Graph> NetworkOf(const TrainingCase& one, int64_t rank_count) {
  if (one.name.starts_with("gpt.")) return GptBlock(rank_count).Build();
  return Tutorial(rank_count);
}

float HashedValue(int64_t number, int64_t index) {
  auto bits = static_cast<uint32_t>(index) * 2654435761U + static_cast<uint32_t>(number) * 40503U;
  bits = (bits ^ (bits >> 15)) * 2246822519U;
  bits ^= bits >> 13;
  return static_cast<float>(bits >> 8) * 0x1p-23F - 1;
}

}  // namespace relayout
