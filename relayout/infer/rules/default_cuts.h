// SPDX-License-Identifier: Apache-2.0
//
// What MindSpore cuts without an annotation. It marks some inputs; their dim 0 (the batch) is cut
// into gcd(devices, dim 0 of every marked input) pieces, all other dims stay whole.
//
//   ReLU x[32,16]                 8 devices    ((8,1))
//   ReLU x[12,16]                 8 devices    ((4,1))              two repeats
//   BatchMatMul x[16,4,8] w[1,8,4]             ((1,1,1),(1,1,1))    gcd(8,16,1)
#pragma once

#include <cstdint>
#include <vector>

#include "relayout/graph/graph.h"
#include "relayout/infer/operator_axes.h"

namespace relayout {

// One for each dim of each input.
Cuts WholeCuts(const Graph& graph, const Operator& op);

// With the inputs for which `marked` is true; those without dims are passed over.
Cuts CutBatches(const Graph& graph, const Operator& op, const std::vector<bool>& marked,
                int64_t device_count);

// For OperatorRule::default_cuts: marked are ...
// ... none.
Cuts CutNothing(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                int64_t device_count);
// ... the first input.
Cuts CutFirstBatch(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                   int64_t device_count);
// ... the first input, unless its dim 0 must be whole.
Cuts CutFirstBatchIfFree(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                         int64_t device_count);
// ... all.
Cuts CutEveryBatch(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                   int64_t device_count);
// ... all, unless dim 0 of the first must be whole.
Cuts CutEveryBatchIfFree(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                         int64_t device_count);
// ... those that have the result's dim 0, and are not broadcast along it.
Cuts CutBroadcastBatch(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                       int64_t device_count);

}  // namespace relayout
