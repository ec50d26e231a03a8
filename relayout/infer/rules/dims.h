// SPDX-License-Identifier: Apache-2.0
//
// Helpers to write axes down.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/graph/graph.h"
#include "relayout/infer/operator_axes.h"

namespace relayout {

// Fails unless the operator has so many tensors.
Status ExpectTensors(const Operator& op, size_t input_count, size_t output_count);
// Fails unless it has as many inputs or more, and an output.
Status ExpectInputs(const Operator& op, size_t least_count);

inline const Dims& InputShape(const Graph& graph, const Operator& op, size_t input) {
  return graph.value(op.inputs[input]).shape;
}
inline const Dims& OutputShape(const Graph& graph, const Operator& op, size_t output) {
  return graph.value(op.outputs[output]).shape;
}

// Adds an axis and returns it; kWhole for a length of 1, which nothing cuts.
int AddAxis(OperatorAxes& axes, int64_t length);

// An axis for each dim of `shape`, but kWhole where `whole` says so (by dim; may be shorter).
std::vector<int> AddAxes(OperatorAxes& axes, const Dims& shape,
                         const std::vector<bool>& whole = {});

// kWhole for every dim.
std::vector<int> AllWhole(const Dims& shape);

// The axes of a tensor of `shape` whose dims run along with those of a tensor of shape `model` and
// axes `dims`, the last ones aligned: dims that are longer or shorter there (of length 1, say) are
// whole.
std::vector<int> Follow(const std::vector<int>& dims, const Dims& model, const Dims& shape);

// Axes of the output of an operator that works element by element, with each input broadcast to it
// by aligning the last dims; fills `axes.inputs` and `axes.outputs`. Further outputs have the same
// dims, or are whole where their shape is another.
// Fails when an input does not broadcast.
Status AddBroadcast(const Graph& graph, const Operator& op, OperatorAxes& axes);

// `axis` counted from the left; fails when it is not in [-dim_count, dim_count).
Result<size_t> NormalAxis(const Operator& op, int64_t axis, size_t dim_count);

// The attribute that has one of these names (types name the same thing differently: axis, dim),
// counted from the left.
Result<size_t> AxisAttribute(const Operator& op, std::initializer_list<std::string_view> names,
                             int64_t otherwise, size_t dim_count);

// A mark for each dim: true for those that the attribute names. An attribute that is missing or
// empty marks all dims.
Result<std::vector<bool>> AxesAttribute(const Operator& op,
                                        std::initializer_list<std::string_view> names,
                                        size_t dim_count);

// The attribute's list, under the first of these names that is there.
std::optional<std::vector<int64_t>> IntsAttribute(const Operator& op,
                                                  std::initializer_list<std::string_view> names);

}  // namespace relayout
