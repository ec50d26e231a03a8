// SPDX-License-Identifier: Apache-2.0
//
// What the values of a MindIR file say about an operator: its attributes and shard annotations.
//
//   transpose_b = BOOL 1                              -> attribute true
//   axis        = TUPLE (INT64 0, INT64 1)            -> attribute (0,1)
//   in_strategy = TUPLE (TUPLE (2, 1), TUPLE (1, 4))  -> cuts ((2,1),(1,4))
//   in_layout   = TUPLE (DICT (device_matrix (2,4), tensor_map (0,-1)), ...)
//                                                     -> mesh cuts ({2,4}(1,-),...)
//
// For mindir.cc; the records are those of format/mindspore/mindir.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/format/mindspore/mindir.h"
#include "relayout/graph/graph.h"

namespace relayout::mindir {

// "5_Net_construct:layer1.weight" -> "layer1.weight".
std::string_view WithoutGraph(std::string_view name, const MindirGraph& graph);
// A parameter's name in checkpoints.
std::string ParameterName(const MindirTensor& tensor, const MindirGraph& graph);

// Fails, naming `what`, when the type is unknown or the shape not fixed.
Result<TensorType> TypeOf(const MindirTensor& tensor, std::string_view what);

// A tuple or a list.
bool IsSequence(const MindirValue& value);

// What it costs to look through a value: 1 for each number, element and piece of text.
inline constexpr size_t kTextBytesOfWork = 32;
size_t WorkOf(const MindirValue& value);

// Whether an attribute of a primitive or a node says nothing of what is computed or how it is cut.
bool IsNoise(std::string_view name);

// The numbers of a tensor of whole numbers that was small enough to be read.
std::optional<std::vector<int64_t>> IntegersOf(const MindirTensor& tensor);

// A number, a text, or a list of numbers; inner tuples lose their brackets. Nothing for None and
// for what an attribute cannot hold (tensors, lists of texts).
std::optional<AttributeValue> AttributeOf(const MindirValue& value);

// Sets what a shard annotation says: in_strategy, out_strategy, in_layout or out_layout. False,
// with `op` as it was, when the value is none of these.
Result<bool> SetAnnotation(const MindirValue& value, Operator& op);

}  // namespace relayout::mindir
