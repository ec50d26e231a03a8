// SPDX-License-Identifier: Apache-2.0
//
// The parts of the extension module relayout._train, one file each: relayout/train nearly as it is,
// for the package relayout.train. A module of its own, because it needs oneDNN at run time. Graphs,
// layouts and strategies that it gives are objects of relayout._core.
#pragma once

#include <nanobind/nanobind.h>

namespace relayout::python {

void BindRanks(nanobind::module_& module);      // Comm, run_ranks
void BindData(nanobind::module_& module);       // datasets
void BindFiles(nanobind::module_& module);      // load_checkpoint, save_checkpoint
void BindCallbacks(nanobind::module_& module);  // LossMonitor, ModelCheckpoint
void BindModel(nanobind::module_& module);      // Model, load_param_into_net

}  // namespace relayout::python
