// SPDX-License-Identifier: Apache-2.0
//
// Values of checkpoint files over the border.
#pragma once

#include <nanobind/nanobind.h>

#include <string>

#include "relayout/io/file_system.h"
#include "relayout/train/checkpoint_value.h"

namespace relayout::python {

// Lives as long as the process.
FileSystem& Files();

// (name, dtype, shape, bytes) as a value; dtype "int", "float", "bool" and "text" are numbers and
// text as MindSpore writes them, given in the place of bytes. Throws StatusError.
CheckpointValue ValueFromPython(const nanobind::tuple& value);

}  // namespace relayout::python
