// SPDX-License-Identifier: Apache-2.0
//
// A whole tensor of the state on each rank of its stage, put together from all ranks' shards.
//
//   w f32[4,4] @ {a:2,b:2} (a,-) opt:2    each of 4 ranks holds f32[1,4] and gets f32[4,4]
#pragma once

#include "relayout/base/status.h"
#include "relayout/spmd/tensor.h"
#include "relayout/train/callback.h"

namespace relayout {

// Whether each rank holds all of it already.
bool IsWhole(const StateTensor& tensor);

// Collective among the ranks of the stage. Fails only where the ranks can no longer talk, or on all
// of them.
Result<Tensor> GatherWhole(const TrainingView& view, const StateTensor& tensor);

}  // namespace relayout
