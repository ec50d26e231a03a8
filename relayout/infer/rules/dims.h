// SPDX-License-Identifier: Apache-2.0
//
// Helpers to write axes down.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/graph/graph.h"
#include "relayout/infer/operator_axes.h"

namespace relayout {

// Fails unless the operator has so many tensors.
Status ExpectTensors(const Operator& op, size_t input_count, size_t output_count);

// Adds an axis and returns it; kWhole for a length of 1, which nothing cuts.
int AddAxis(OperatorAxes& axes, int64_t length);

// An axis for each dim of `shape`.
std::vector<int> AddAxes(OperatorAxes& axes, const Dims& shape);

// Axes of the output of an operator that works element by element, with each input broadcast to it
// by aligning the last dims; fills `axes.inputs` and `axes.outputs`. All outputs have one shape.
// Fails when an input does not broadcast.
Status AddBroadcast(const Graph& graph, const Operator& op, OperatorAxes& axes);

// `axis` counted from the left; fails when it is not in [-dim_count, dim_count).
Result<size_t> NormalAxis(const Operator& op, int64_t axis, size_t dim_count);

}  // namespace relayout
