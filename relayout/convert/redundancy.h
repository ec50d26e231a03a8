// SPDX-License-Identifier: Apache-2.0
//
// Sets without redundancy: of the ranks that would store the same shard only one stores it, as
// MindSpore's save_checkpoint does with remove_redundancy=True. Loaders send it to the others.
//
//   two replicas, ranks 0 and 2:  bias, gamma, weight  ->  rank 0: bias, weight   rank 2: gamma
//
// MindSpore's rule, which its loaders repeat: the parameters of a stage that have the same replicas
// are dealt to them in turns, in the order of their names. All names of the strategy count, whether
// the checkpoint has them or not. Values outside the strategy are stored by all ranks.
#pragma once

#include "relayout/convert/contents.h"
#include "relayout/layout/strategy.h"

namespace relayout {

// Leaves each of `values` to one replica. `target` is the strategy they are laid out by.
void DealToReplicas(const Strategy& target, TargetValues& values);

}  // namespace relayout
