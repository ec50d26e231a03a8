// SPDX-License-Identifier: Apache-2.0
//
// What a batch must be for a network to be trained on it. Ranks find out, and tell each other,
// before any of them computes: one that found out later would leave the others waiting.
//
//   BatchRules rules{{"image", "label"}, {f32[32,1,28,28], i32[32]}, .class_count = 10};
//   CheckBatch(rules, batch)    // label: row 5 is 12, which is none of the 10 classes
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/graph/graph.h"
#include "relayout/spmd/tensor.h"

namespace relayout {

struct BatchRules {
  std::vector<std::string> names;  // Of the tensors.
  std::vector<TensorType> types;
  // Not 0: the last tensor, i32, holds numbers of classes below this one, or `ignored`.
  int64_t class_count = 0;
  int32_t ignored = -1;
};

// Fails naming the first tensor that is another one, and what it is on both sides.
Status CheckBatch(const BatchRules& rules, const std::vector<Tensor>& batch);

}  // namespace relayout
