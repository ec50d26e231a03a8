// SPDX-License-Identifier: Apache-2.0
//
// Attributes that hold numbers of an exported batch, for a batch that is `factor` times as long:
// the part of global_batch.h that knows operators.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
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

// An operator whose first input has grown.
struct BatchChange {
  std::string_view type;
  const Attributes& attributes;
  // The exported shape of its first input, and the one now.
  const Dims& before;
  const Dims& after;
  // The exported shape of its first result.
  const Dims& result;
  const BatchPlace& place;  // In the first input.
  int64_t factor = 1;
};

// The attributes that the operator has then.
Attributes FollowBatch(const BatchChange& change);

}  // namespace relayout
