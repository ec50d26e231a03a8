// SPDX-License-Identifier: Apache-2.0
//
// The tutorial's networks: three dense layers on 28 x 28 digits.
//
//   image f32[32,1,28,28] -> flatten -> layer1 784 -> ReLU -> layer2 -> ReLU -> layer3 ->
//   f32[32,10]
#pragma once

#include <cstdint>

#include "relayout/graph/builder.h"
#include "relayout/train/model.h"

namespace relayout::tutorial {

// Cuts of the products of the layers; empty ones are left to MindSpore's default, the batch.
struct LayerCuts {
  Cuts layer1 = {};
  Cuts layer2 = {};
  Cuts layer3 = {};
};

// Layers with weights [in,out] that start normal, each a MatMul and an Add.
NetworkFunction DenseNetwork(const LayerCuts& cuts, int64_t hidden);

// MindSpore's nn.Dense: weights [out,in] and their initial values; for pipelines.
NetworkFunction NnDenseNetwork(int64_t hidden);

}  // namespace relayout::tutorial
