// SPDX-License-Identifier: Apache-2.0
//
// The tutorial's network, at a small size, on one rank: 20 steps with each optimizer have the
// losses of MindSpore's (tests/data/spmd/training.txt).
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/spmd/kernels/threads.h"
#include "tests/spmd/mlp.h"
#include "tests/spmd/testing.h"

namespace relayout {
namespace {

struct Row {
  std::string name;
  MlpOptimizer optimizer;
};

std::vector<Row> Rows() {
  MlpOptimizer sgd;
  MlpOptimizer sgd_momentum = sgd;
  sgd_momentum.sgd.momentum = 0.9F;
  MlpOptimizer momentum;
  momentum.kind = MlpOptimizer::Kind::kMomentum;
  MlpOptimizer adam;
  adam.kind = MlpOptimizer::Kind::kAdam;
  adam.learning_rate = 0.001F;
  return {{"sgd", sgd}, {"sgd_momentum", sgd_momentum}, {"momentum", momentum}, {"adam", adam}};
}

class Training : public testing::TestWithParam<int> {};

TEST_P(Training, FollowsMindSporesLosses) {
  const auto cases = ReadMindSporeCases("training.txt");
  const MindSporeCase& network = cases.at("network");
  const View<const float> x = network.f32("x");  // [batches,rows,pixels]
  const View<const int32_t> labels = network["labels"].i32();
  const int64_t batches = x.shape[0];
  const int64_t rows = x.shape[1];
  kernels::UseKernelThreads(GetParam());
  for (Row& row : Rows()) {
    SCOPED_TRACE(row.name);
    Mlp mlp(rows, {x.shape[2], network["layer1.weight"].shape()[1],
                   network["layer2.weight"].shape()[1], network["layer3.weight"].shape()[1]});
    for (size_t i = 0; i < 3; ++i) {
      Mlp::Layer& layer = mlp.layers()[i];
      layer.weight = network[Format("layer{}.weight", i + 1)].Clone();
      layer.bias = network[Format("layer{}.bias", i + 1)].Clone();
      if (row.optimizer.kind != MlpOptimizer::Kind::kSgd) continue;
      for (Tensor* stat : {&layer.weight_states[1], &layer.bias_states[1]}) {
        std::fill_n(stat->f32().data, stat->size(), 1.0F);
      }
    }
    const View<const float> losses = cases.at(row.name).f32("losses");
    ASSERT_EQ(losses.size(), 20);
    for (int64_t step = 0; step < losses.size(); ++step) {
      const int64_t batch = step % batches;
      const float loss = mlp.Step(x.Slices(batch, batch + 1).Reshaped({rows, x.shape[2]}),
                                  labels.Slices(batch, batch + 1).Reshaped({rows}), row.optimizer);
      ASSERT_NEAR(loss, losses.data[step], 1e-4F * losses.data[step]) << "step " << step;
    }
  }
  kernels::UseKernelThreads(1);
}
INSTANTIATE_TEST_SUITE_P(Threads, Training, testing::Values(1, 2));

}  // namespace
}  // namespace relayout
