// SPDX-License-Identifier: Apache-2.0
//
// Arrays over the border: of f32 and i32, copied in and handed out.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <string>
#include <utility>
#include <vector>

#include "relayout/base/dims.h"
#include "relayout/graph/graph.h"
#include "relayout/spmd/tensor.h"

namespace relayout::python {

// What the package passes: in C order, in memory.
using Array = nanobind::ndarray<nanobind::ro, nanobind::c_contig, nanobind::device::cpu>;
// (dtype, shape): "f32", (32, 784)
using TypeTuple = std::pair<std::string, std::vector<int64_t>>;

// Throws StatusError for other elements; `name` is what the message calls it.
Tensor TensorOf(const std::string& name, const Array& array);
// A numpy array that owns the tensor's memory.
nanobind::object ArrayOf(Tensor tensor);

// Throw StatusError for what is no type of a tensor.
Dims DimsOf(const std::vector<int64_t>& shape);
TensorType TypeOf(const TypeTuple& type);
nanobind::tuple TupleOfType(const TensorType& type);

}  // namespace relayout::python
