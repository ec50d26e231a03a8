// SPDX-License-Identifier: Apache-2.0
//
// What kernels read of an operator, and how they refuse what they cannot do.
//
//   Cast 'Default/Cast-op0': input 0 is f16[2,4,16], but relayout runs it on f32 and i32 only
//   GeluExt 'Default/GeluExt-op3': approximate is none, but relayout runs it with tanh only
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/graph/graph.h"

namespace relayout {

// The attribute as a number; nothing where it is none, or not there.
std::optional<double> NumberOf(const Operator& op, std::string_view name);
// The attribute as it stands in messages: "none", "0.5", "(0,1)"; "nothing" where it is not there.
std::string AttributeText(const Operator& op, std::string_view name);
// Whether the attribute is `word`, in any case, or `number`, by which MindSpore writes one of an
// enumeration.
bool Says(const Operator& op, std::string_view name, std::string_view word, int64_t number);

// A dim counted from the left of `dim_count`; the attribute counts negative ones from the right.
// @pre infer/ has a layout for the operator, so that there is such a dim
size_t DimOf(const Operator& op, std::string_view name, int64_t otherwise, size_t dim_count);

// "MatMul '...': <what>".
Status Refuse(const Operator& op, std::string_view what);
// "<what> is <what the attribute is>, but relayout runs it with <supported> only".
Status RefuseAttribute(const Operator& op, std::string_view name, std::string_view supported);

// Fails unless the operator has from `fewest` to `most` inputs.
Status ExpectInputCount(const Operator& op, size_t fewest, size_t most);
// Fails unless the tensor is of one of these types.
Status ExpectInput(const Graph& graph, const Operator& op, size_t input,
                   std::initializer_list<DType> types);
Status ExpectOutput(const Graph& graph, const Operator& op, size_t output,
                    std::initializer_list<DType> types);
// For OperatorKernel::check. Fails unless all inputs and outputs are f32.
Status ExpectFloats(const Graph& graph, const Operator& op);
// ... or all are f32, or all are i32: what only moves elements.
Status ExpectOneType(const Graph& graph, const Operator& op);

}  // namespace relayout
