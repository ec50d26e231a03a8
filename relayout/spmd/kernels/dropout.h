// SPDX-License-Identifier: Apache-2.0
//
// Dropout: each element of a tensor is 0, or kept with a given probability and then multiplied by
// 1 / that, so that what is expected of it stays.
//
//   DropoutMask(key, 0.9, whole {8,16}, begin {4,0}, mask f32[4,16])    rows 4 to 7
//
// An element's fate is a hash of a key and of its number in the whole tensor. So it is the same on
// every rank that holds the element, however the tensor is cut, and with any number of threads.
#pragma once

#include <cstdint>
#include <string_view>

#include "relayout/spmd/tensor.h"

namespace relayout::kernels {

// A key that differs in each step and for each operator. `number` tells operators of one name
// apart.
uint64_t DropoutKey(uint64_t seed, int64_t step, std::string_view name, int64_t number);

// mask[i] = 0 or 1 / keep_probability, of the piece of a tensor of shape `whole` that begins at
// `begin`. @pre 0 <= keep_probability <= 1
void DropoutMask(uint64_t key, double keep_probability, const Dims& whole, const Dims& begin,
                 const View<float>& mask);

}  // namespace relayout::kernels
