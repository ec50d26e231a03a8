// SPDX-License-Identifier: Apache-2.0
//
// What a rank holds of a model that is trained: its parameters, what the optimizer keeps beside
// them, and the optimizer's own numbers. What checkpoints are made of.
//
//   rank 5 of 8, layer1.weight f32[784,512] @ {a:2,b:2,c:2} (-,b)     value f32[784,256]
//                moments.layer1.weight                                 the same
//                learning_rate f32[] @ {a:8} ()                        value f32[]
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "relayout/base/dims.h"
#include "relayout/layout/layout.h"
#include "relayout/spmd/rank_place.h"
#include "relayout/spmd/tensor.h"

namespace relayout {

struct StateTensor {
  std::string name;         // As in MindSpore's checkpoints.
  Dims shape;               // Of the whole tensor.
  Layout layout;            // On the devices of the stage.
  Tensor* value = nullptr;  // This rank's shard. The model's.
};
}  // namespace relayout
