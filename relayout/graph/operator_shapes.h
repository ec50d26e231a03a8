// SPDX-License-Identifier: Apache-2.0
//
// The types of an operator's results, from the types of its inputs and its attributes.
//
//   MatMul  f32[32,784] f32[784,512]                        -> f32[32,512]
//   MatMul  f32[32,784] f32[512,784]  transpose_b=true      -> f32[32,512]
//   Add     f32[8,16,64] f32[64]                            -> f32[8,16,64]
//   Reshape f32[8,16,64]              shape=(-1,64)         -> f32[128,64]
//
// Types of operators, and names and defaults of attributes are those of MindSpore's primitives. A
// number where MindSpore has a list (an axis) is a list of one. An element type is an attribute
// too: MindSpore's number (42), or a text ("f16", or MindSpore's "float16").
//
// The rules live in shapes/, a file a family.
#pragma once

#include <string_view>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/graph/graph.h"

namespace relayout {

// The types of the results of `op` on inputs of these types; its own `inputs` and `outputs` are not
// looked at. Fails for a type of operator without a rule, and when the inputs do not fit together
// or the attributes do not fit them; the message names the operator and the shapes:
//
//   MatMul 'Default/layer1-Dense/MatMul-op0': 784 columns of [32,784] against 512 rows of [512,10]
Result<std::vector<TensorType>> ResultTypes(const Operator& op,
                                            const std::vector<TensorType>& inputs);
// The same with `attributes` for its own.
Result<std::vector<TensorType>> ResultTypes(const Operator& op, const Attributes& attributes,
                                            const std::vector<TensorType>& inputs);

// Whether ResultTypes knows operators of this type.
bool HasResultTypes(std::string_view type);
// Every type that it knows, ascending.
std::vector<std::string_view> TypesWithResultTypes();

}  // namespace relayout
