// SPDX-License-Identifier: Apache-2.0
#include "examples/tutorial/networks.h"

#include <cmath>
#include <string>

#include "relayout/base/text.h"

namespace relayout::tutorial {
namespace {

NetworkTensor CutIf(const NetworkTensor& tensor, const Cuts& cuts) {
  return cuts.empty() ? tensor : tensor.Cut(cuts);
}

NetworkTensor Dense(NetworkBuilder& net, const std::string& name, const NetworkTensor& x,
                    int64_t width, const Cuts& cuts) {
  const Scope scope(net, name);
  const ParameterOptions normal{.initializer = "normal"};
  const NetworkTensor w = net.Parameter("weight", {x.dim(-1), width}, normal);
  return CutIf(net.MatMul(x, w), cuts) + net.Parameter("bias", {width}, normal);
}

NetworkTensor NnDense(NetworkBuilder& net, const std::string& name, const NetworkTensor& x,
                      int64_t width) {
  const Scope scope(net, name);
  const double bound = 1 / std::sqrt(static_cast<double>(x.dim(-1)));
  const NetworkTensor w = net.Parameter("weight", {width, x.dim(-1)},
                                        {.initializer = Format("he_uniform({})", std::sqrt(5.0))});
  const NetworkTensor b =
      net.Parameter("bias", {width}, {.initializer = Format("uniform({})", bound)});
  return net.BiasAdd(net.MatMul(x, w, {.transpose_b = true}), b);
}

}  // namespace

NetworkFunction DenseNetwork(const LayerCuts& cuts, int64_t hidden) {
  return [cuts, hidden](NetworkBuilder& net, std::span<const NetworkTensor> inputs) {
    NetworkTensor x = net.Flatten(inputs[0]);
    x = net.ReLU(Dense(net, "layer1", x, hidden, cuts.layer1));
    x = net.ReLU(Dense(net, "layer2", x, hidden, cuts.layer2));
    return std::vector{Dense(net, "layer3", x, 10, cuts.layer3)};
  };
}

NetworkFunction NnDenseNetwork(int64_t hidden) {
  return [hidden](NetworkBuilder& net, std::span<const NetworkTensor> inputs) {
    NetworkTensor x = net.Flatten(inputs[0]);
    x = net.ReLU(NnDense(net, "layer1", x, hidden));
    x = net.ReLU(NnDense(net, "layer2", x, hidden));
    return std::vector{NnDense(net, "layer3", x, 10)};
  };
}

}  // namespace relayout::tutorial
