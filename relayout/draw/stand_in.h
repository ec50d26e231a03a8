// SPDX-License-Identifier: Apache-2.0
//
// Copies between two layouts of a tensor whose shape is not known: on a stand-in shape that both
// sides divide, of the least common multiple of the cuts in each dimension. Where the pieces are
// equal, the copies between them do not depend on the shape.
//
//   (a,-) with a:8  to  (a,-) with a:6      shape [24,1]
#pragma once

#include <vector>

#include "relayout/base/status.h"
#include "relayout/layout/layout.h"
#include "relayout/layout/strategy.h"
#include "relayout/plan/transfer.h"

namespace relayout {

// A shape that every one of `layouts` divides. Uneven rows say how many there are. Fails when the
// numbers of dims differ, or uneven rows do not suit the others; the message names both sides.
Result<Dims> StandInShape(const std::vector<Layout>& layouts);

// The copies that bring a tensor from where it is to where all its targets want it, planned on a
// stand-in shape. Of several ranks that hold the same, the lowest is read: which it is in a
// conversion depends on the load of the files. @pre both are not empty
Result<Transfer> PlanOnStandIn(const std::vector<Placement>& sources,
                               const std::vector<Placement>& targets);

}  // namespace relayout
