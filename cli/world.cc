// SPDX-License-Identifier: Apache-2.0
#include "cli/world.h"

#include "relayout/base/text.h"
#include "relayout/comm/launch.h"
#ifdef RELAYOUT_HAS_MPI
#include "relayout/mpi/mpi_comm.h"
#endif

namespace relayout::cli {

#ifdef RELAYOUT_HAS_MPI
Result<std::unique_ptr<Comm>> JoinWorld() {
  const Launch launch = DetectLaunch();
  if (launch.needs_mpi()) return InitMpi(launch);
  return NewSelfComm();
}

const char* MpiSupport() { return "with MPI"; }
#else
Result<std::unique_ptr<Comm>> JoinWorld() {
  const Launch launch = DetectLaunch();
  if (launch.needs_mpi()) {
    return Unsupported(
        Format("this process was started {}, but this relayout was built without MPI: each process "
               "would convert everything; build it with an MPI library, or start one process",
               Describe(launch)));
  }
  return NewSelfComm();
}

const char* MpiSupport() { return "without MPI"; }
#endif

}  // namespace relayout::cli
