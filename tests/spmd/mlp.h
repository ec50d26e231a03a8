// SPDX-License-Identifier: Apache-2.0
//
// The tutorial's network of three layers, trained by kernels that are called one by one: what a run
// of its graph on one rank has to equal, and what a training step is measured by.
//
//   x f32[rows,in] -> MatMul, Add, ReLU -> MatMul, Add, ReLU -> MatMul, Add -> mean cross entropy
#pragma once

#include <array>
#include <utility>
#include <vector>

#include "relayout/spmd/kernels/activation.h"
#include "relayout/spmd/kernels/elementwise.h"
#include "relayout/spmd/kernels/loss.h"
#include "relayout/spmd/kernels/matrix.h"
#include "relayout/spmd/optimizers/optimizer.h"
#include "relayout/spmd/tensor.h"

namespace relayout {

// What an optimizer wants beside the gradient, two states at most.
struct MlpOptimizer {
  enum class Kind { kSgd, kMomentum, kAdam } kind = Kind::kSgd;
  float learning_rate = 0.01F;
  SgdOptions sgd;
  MomentumOptions momentum;
  AdamOptions adam;
  AdamPowers powers;
};

class Mlp {
 public:
  struct Layer {
    Tensor weight, bias;
    Tensor dweight, dbias;
    Tensor y, dy;  // Behind the activation, for the batch.
    std::array<Tensor, 2> weight_states, bias_states;
  };

  // widths: of the input, of each layer's result. Weights are zeros.
  Mlp(int64_t rows, const std::vector<int64_t>& widths) {
    for (size_t i = 1; i < widths.size(); ++i) {
      Layer layer;
      const Dims weight = {widths[i - 1], widths[i]};
      const Dims bias = {widths[i]};
      const Dims y = {rows, widths[i]};
      layer.weight = Tensor(DType::kFloat32, weight);
      layer.dweight = Tensor(DType::kFloat32, weight);
      layer.bias = Tensor(DType::kFloat32, bias);
      layer.dbias = Tensor(DType::kFloat32, bias);
      layer.y = Tensor(DType::kFloat32, y);
      layer.dy = Tensor(DType::kFloat32, y);
      layer.weight_states = {Tensor(DType::kFloat32, weight), Tensor(DType::kFloat32, weight)};
      layer.bias_states = {Tensor(DType::kFloat32, bias), Tensor(DType::kFloat32, bias)};
      layers_.push_back(std::move(layer));
    }
  }

  std::vector<Layer>& layers() { return layers_; }

  // One step on a batch; the loss is that before it.
  float Step(const View<const float>& x, const View<const int32_t>& labels,
             MlpOptimizer& optimizer) {
    Forward(x);
    Layer& last = layers_.back();
    const float loss = kernels::SoftmaxCrossEntropy(last.y.f32(), labels, last.dy.f32());
    const auto counted = static_cast<float>(kernels::CountedRows(labels));
    kernels::SoftmaxCrossEntropyGradient(last.dy.f32(), labels, 1 / counted, last.dy.f32());
    Backward(x);
    AdvanceAdam(optimizer.adam, optimizer.powers);
    for (Layer& layer : layers_) {
      Update(optimizer, layer.dweight, layer.weight, layer.weight_states);
      Update(optimizer, layer.dbias, layer.bias, layer.bias_states);
    }
    return loss;
  }

  void Forward(const View<const float>& x) {
    View<const float> in = x;
    for (Layer& layer : layers_) {
      const View<float> y = layer.y.f32();
      kernels::MatMul(in, std::as_const(layer.weight).f32(), {}, y);
      kernels::Add(y, std::as_const(layer.bias).f32(), y);
      if (&layer != &layers_.back()) kernels::ReLU(y, y);
      in = y;
    }
  }

  void Backward(const View<const float>& x) {
    for (size_t i = layers_.size(); i-- > 0;) {
      Layer& layer = layers_[i];
      const View<const float> dy = layer.dy.f32();
      const View<const float> in = i == 0 ? x : std::as_const(layers_[i - 1].y).f32();
      kernels::SumTo(dy, layer.dbias.f32());
      kernels::MatMulGradientB(dy, in, {}, layer.dweight.f32());
      if (i == 0) continue;
      const View<float> din = layers_[i - 1].dy.f32();
      kernels::MatMulGradientA(dy, std::as_const(layer.weight).f32(), {}, din);
      kernels::ReLUGradient(in, din, din);
    }
  }

 private:
  static void Update(const MlpOptimizer& optimizer, Tensor& gradient, Tensor& value,
                     std::array<Tensor, 2>& states) {
    const auto g = gradient.f32().elements();
    const auto w = value.f32().elements();
    const auto first = states[0].f32().elements();
    const auto second = states[1].f32().elements();
    switch (optimizer.kind) {
      case MlpOptimizer::Kind::kSgd:
        SgdStep(optimizer.sgd, optimizer.learning_rate, g, w, first, second);
        break;
      case MlpOptimizer::Kind::kMomentum:
        MomentumStep(optimizer.momentum, optimizer.learning_rate, g, w, first);
        break;
      case MlpOptimizer::Kind::kAdam:
        AdamStep(optimizer.adam, optimizer.powers, optimizer.learning_rate, g, w, first, second);
        break;
    }
  }

  std::vector<Layer> layers_;
};

}  // namespace relayout
