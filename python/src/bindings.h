// SPDX-License-Identifier: Apache-2.0
//
// The parts of the extension module relayout._core, one file each. It has the functions and structs
// of relayout/convert nearly as they are; the package's Python files, its only user, make the
// public interface of them.
#pragma once

#include <nanobind/nanobind.h>

#include <vector>

#include "relayout/comm/comm.h"
#include "relayout/convert/contents.h"

namespace relayout::python {

void BindSets(nanobind::module_& module);        // CheckpointSetSpec
void BindConvert(nanobind::module_& module);     // transform
void BindPlan(nanobind::module_& module);        // plan, a dry run
void BindCompare(nanobind::module_& module);     // verify, diff
void BindCheckpoint(nanobind::module_& module);  // open
void BindMindSpore(nanobind::module_& module);   // MindSpore's files, uninterpreted
void BindStrategy(nanobind::module_& module);    // strategies, layouts, rank lists, merging

void BindNetwork(nanobind::module_& module);  // networks, and the strategies inferred for them

void BindWorld(nanobind::module_& module);  // the processes of mpirun

// What a capsule of relayout._mpi holds; null for None. Throws TypeError for anything else.
Comm* CommOf(nanobind::handle world);

// (kind, message) each.
nanobind::list NotesToPython(const std::vector<Note>& notes);

}  // namespace relayout::python
