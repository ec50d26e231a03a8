// SPDX-License-Identifier: Apache-2.0
//
// The parameters that a rank holds: its shard of each, under the layout of the strategy.
//
//   tutorial's network on 8 ranks, rank 5:  layer1.weight f32[784,512] @ {a:2,b:2,c:2} (-,b)
//                                           value f32[784,256], gradient f32[784,256]
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/dims.h"
#include "relayout/base/status.h"
#include "relayout/layout/box.h"
#include "relayout/layout/layout.h"
#include "relayout/spmd/rank_place.h"
#include "relayout/spmd/tensor.h"

namespace relayout {

struct InferredStrategy;  // infer_strategy.h

struct ParameterShard {
  std::string name;
  Dims shape;     // Of the whole tensor.
  Layout layout;  // On the devices of the stage, with the optimizer's split.
  bool trained = true;
  Box box;  // What of it this rank holds.
  Tensor value;
  // Of the loss, summed over all ranks that contribute; f32[0] where it is not trained.
  Tensor gradient;
};

class ParameterStore {
 public:
  // Zeros for each parameter that the rank's stage holds. In training that is the stage of its
  // first user, for inference each that uses it.
  // Fails when an element type is not one of tensor.h's, naming the parameter.
  static Result<ParameterStore> Create(const InferredStrategy& network, const RankPlace& place);

  std::vector<ParameterShard>& shards() { return shards_; }
  const std::vector<ParameterShard>& shards() const { return shards_; }
  // Null when the stage does not hold it.
  ParameterShard* Find(std::string_view name);

 private:
  std::vector<ParameterShard> shards_;
};

}  // namespace relayout
