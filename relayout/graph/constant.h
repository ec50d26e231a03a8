// SPDX-License-Identifier: Apache-2.0
//
// What constants of a network hold (ConstantBytes, graph.h): made of numbers, and fitted to another
// batch.
//
//   BytesOf(0.5, DType::kFloat32)                                     // 00 00 00 3F
//   const float mask[] = {0, -1e4F, 0, -1e4F};                        // f32[2,2], its rows equal
//   WithShape(BytesOf<float>(mask), DType::kFloat32, {2, 2}, {8, 2})  // the row eight times
//   WithShape(BytesOf<float>(mask), DType::kFloat32, {2, 2}, {2, 8})  // unknown: 0 or -1e4?
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "relayout/base/dims.h"
#include "relayout/base/dtype.h"
#include "relayout/graph/graph.h"

namespace relayout {

// `number` as one element: the nearest that a floating type has, the number itself of whole and
// bool types. Null where such a type has no such number, and for float8, int4 and complex.
ConstantBytes BytesOf(double number, DType dtype);

// Numbers as they lie in memory.
template <typename T>
ConstantBytes BytesOf(std::span<const T> values) {
  return std::make_shared<const std::string>(reinterpret_cast<const char*>(values.data()),
                                             values.size_bytes());
}

// The values of a constant of shape `before`, which is `after` now: where a length differs, all of
// its slices are equal and there are more or fewer of them. Null (unknown) when they are not equal,
// when `bytes` is null, and above 1 GiB, which no constant of a network is.
// @pre as many dims in both
ConstantBytes WithShape(const ConstantBytes& bytes, DType dtype, const Dims& before,
                        const Dims& after);

}  // namespace relayout
