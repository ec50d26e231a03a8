// SPDX-License-Identifier: Apache-2.0
//
// A Comm on its way from relayout._mpi to relayout._core: a capsule of this name, which does not
// own it. Both modules are built together, so they agree on what a Comm is.
#pragma once

namespace relayout::python {

inline constexpr char kCommCapsuleName[] = "relayout.Comm";

}  // namespace relayout::python
