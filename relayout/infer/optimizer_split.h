// SPDX-License-Identifier: Apache-2.0
//
// Optimizer parallel: replicas of a parameter keep a piece of its rows each, so that the
// optimizer's state is not repeated (ZeRO).
//
//   {a:4} (-,-), f32[784,512], all replicas     ->  {a:4} (-,-) opt:all
//   {a:4} (-),   f32[512] = 2 KiB, 64 KiB limit ->  not split: too small
//   {a:2,b:2} (b,-), f32[3,8]                   ->  not split: 3 rows are not divisible by 2 * 2
//
// MindSpore's rule: a parameter is split when it takes up at least the threshold (the whole of it),
// has replicas, the group divides these, and its rows divide by the pieces that the mesh makes of
// them times the group. The group is all replicas, or as many as are asked for where there are
// more.
#pragma once

#include <cstdint>

#include "relayout/base/dims.h"
#include "relayout/base/dtype.h"
#include "relayout/layout/layout.h"

namespace relayout {

struct OptimizerParallel {
  static constexpr int64_t kAllReplicas = LayoutSpec::kAllReplicas;

  bool enabled = false;
  // Smaller parameters are not split (parallel_optimizer_threshold).
  int64_t threshold_kib = 64;
  // Members of a group (optimizer_weight_shard_size); 1 asks for all, as in MindSpore.
  int64_t group = kAllReplicas;
};

// The layout that a parameter of this type gets; `layout` itself where it does not qualify.
Layout SplitForOptimizer(const Layout& layout, DType dtype, const Dims& shape,
                         const OptimizerParallel& parallel);

}  // namespace relayout
