// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "relayout/spmd/optimizers/optimizer.h"

namespace relayout {

// Which optimizer, with the arguments of MindSpore's nn.SGD, nn.Momentum or nn.Adam.
struct OptimizerOptions {
  std::string type = "sgd";  // sgd, momentum or adam.
  float learning_rate = 0.01F;
  float weight_decay = 0;
  float loss_scale = 1;  // Gradients come this many times too large (MindSpore: loss_scale).
  SgdOptions sgd = {};
  MomentumOptions momentum = {};
  AdamOptions adam = {};
};

}  // namespace relayout
