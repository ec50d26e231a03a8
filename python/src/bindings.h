// SPDX-License-Identifier: Apache-2.0
//
// The parts of the extension module relayout._core, one file each. It has the functions and structs
// of relayout/convert nearly as they are; the package's Python files, its only user, make the
// public interface of them.
#pragma once

#include <nanobind/nanobind.h>

namespace relayout::python {

void BindSets(nanobind::module_& module);      // CheckpointSetSpec
void BindConvert(nanobind::module_& module);   // transform
void BindStrategy(nanobind::module_& module);  // strategies, layouts, rank lists, merging

}  // namespace relayout::python
