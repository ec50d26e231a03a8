// SPDX-License-Identifier: Apache-2.0
//
// What MindSpore's own cost model says, as far as its sharding propagation asks: of all ways to cut
// a neighbour it takes the one that is cheapest by these numbers, so they must be the same numbers.
// They are bytes with additions, no times. (Our own model, in seconds: cost_model.h.)
//
// # Redistribution
//
// Both layouts are written with common atoms (movement.h) and both shapes with common sub-dims, so
// that each sub-dim is cut by one atom at most:
//
//   [32,64]  {2,2,2} (a,b)   ->  [32,2,32]  (a,b,-)
//   [32,64]  {4,2}   (-,a)   ->  [32,2,32]  (-,a,b)     a = atoms a,b of the other
//
// Then atoms move sub-dim by sub-dim, in rounds: (1) a sub-dim that lacks an atom nobody has is
// sliced; (2) one that lacks an atom which another has: that one is gathered and this one sliced;
// (3) an atom that nobody wants is gathered; (4) where nothing else helps, the first is gathered.
// With p elements in a device's piece before the first step, a step costs
//
//   slice            computation p
//   gather by n      computation 2p along the first sub-dim, (2 + 2n)p along others
//                    communication n p / 2 forward, p / 2 backward
//   shapes differ    computation 2p, once
//
// in elements. In bytes, a direction's communication of up to 2048 counts as 3072, more as 1024
// more.
//
// # Operators
//
// Computation: the bytes of the pieces that are read; a partial sum's besides. Communication
// (forward): the bytes of the partial sum. Cutting the first dim by all devices is one byte
// cheaper, so that it wins ties.
#pragma once

#include "relayout/base/dims.h"
#include "relayout/base/dtype.h"
#include "relayout/graph/graph.h"
#include "relayout/infer/operator_axes.h"
#include "relayout/layout/layout.h"

namespace relayout {

struct MindsporeCost {
  double communication = 0;
  double computation = 0;
};

// A tensor as it lies before or after.
struct LaidOut {
  const Layout& layout;
  const Dims& shape;
};

// From one layout to another, between operators.
MindsporeCost MindsporeRedistribution(const LaidOut& from, const LaidOut& to, DType dtype);

// The same within a Reshape: the shapes may differ, and both directions' communication is taken
// together before it is rounded up.
MindsporeCost MindsporeReshape(const LaidOut& from, const LaidOut& to, DType dtype);

MindsporeCost MindsporeOperatorCost(const Graph& graph, const Operator& op,
                                    const OperatorLayout& layout, int64_t device_count);

}  // namespace relayout
