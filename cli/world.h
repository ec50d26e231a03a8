// SPDX-License-Identifier: Apache-2.0
//
// The processes that were started together with this one.
#pragma once

#include <memory>

#include "relayout/base/status.h"
#include "relayout/comm/comm.h"

namespace relayout::cli {

// All processes of the mpirun or srun that started this one, or this process alone. Fails when
// there are others and this program was built without MPI. Print and flush before letting go of it:
// after a failure its end may be the end of all processes.
Result<std::unique_ptr<Comm>> JoinWorld();

// "with MPI" or "without MPI".
const char* MpiSupport();

}  // namespace relayout::cli
