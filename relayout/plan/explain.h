// SPDX-License-Identifier: Apache-2.0
//
// Explains a Transfer to a person: the layouts of both sides, a picture (tensor_map.h), and for
// each target shard where its parts come from. At most a page, whatever the number of ranks: what
// is left out is counted.
//
//   w: f32[4,6], 96 B
//     source  {a:2} (-,a)  ranks 0-1: 2 shards of [4,3]
//     target  {a:2} (a,-)  ranks 0-1: 2 shards of [2,6]
//     ...
//     target rank 0 [0:2,0:6] 48 B <- rank 0 [0:2,0:3] (24 B), rank 1 [0:2,3:6] (24 B)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/dtype.h"
#include "relayout/plan/tensor_map.h"
#include "relayout/plan/transfer.h"

namespace relayout {

// Part of a target shard: the same elements in the file of a source rank.
struct ShardCopy {
  int64_t source_rank = 0;
  Box box;  // In the tensor.
};

// What shard `shard` of transfer.targets[target] is put together from, in C order of the source's
// cells; nothing for a shard without elements. @pre somebody wants the shard
// @post the boxes are disjoint and make up the shard
std::vector<ShardCopy> CopiesInto(const Transfer& transfer, size_t target, int64_t shard);

struct ExplainLimits {
  TensorMapLimits map;
  size_t target_lines = 24;  // After so many lines no further target shard is listed.
  size_t copies_of_shard = 8;
  size_t source_shards = 8;  // Of those with replicas.
};

// Lines without newlines. `unused_sources` are others that hold the tensor, in stages that are not
// read.
std::vector<std::string> ExplainTransfer(std::string_view name, DType dtype,
                                         const Transfer& transfer,
                                         const std::vector<PlacedTensor>& unused_sources = {},
                                         const ExplainLimits& limits = {});

}  // namespace relayout
