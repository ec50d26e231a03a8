// SPDX-License-Identifier: Apache-2.0
//
// Attributes that hold numbers of an exported batch, for a batch that is `factor` times as long:
// the part of global_batch.h that knows operators.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "relayout/base/dims.h"
#include "relayout/graph/graph.h"

namespace relayout {

// Where a tensor holds the batch.
struct BatchPlace {
  // The exported batch: a divisor of the dim's length.
  int64_t length = 1;
  size_t dim = 0;
  // Elements of that dim that are outside the batch: 8 in [8*32,64] made of [8,32,64] with a batch
  // of 32; mostly 1.
  int64_t outside = 1;
};

// The dim of `shape` that holds a batch which `outer` elements are outside of; nothing when there
// is none. `written` has -1 where the author left a dim open; it is as long as `shape`, or empty.
std::optional<size_t> DimOfBatch(const Dims& shape, int64_t outer, int64_t batch,
                                 const std::vector<int64_t>& written);

// True for types that keep the elements in their order: Reshape, Flatten, ExpandDims, ...
bool KeepsOrder(std::string_view type);

// Elements of a tensor of `shape` outside of its batch.
int64_t ElementsOutside(const Dims& shape, const BatchPlace& place);

// The attributes of `op` for inputs `grown`, of which input 0 has its batch at `place`. `inputs`
// and `result` are the exported shapes of its inputs and of its first result.
Attributes FollowBatch(const Operator& op, const std::vector<TensorType>& inputs,
                       const Dims& result, const std::vector<TensorType>& grown,
                       const BatchPlace& place, int64_t factor);

}  // namespace relayout
