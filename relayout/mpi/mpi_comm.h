// SPDX-License-Identifier: Apache-2.0
//
// The processes that mpirun, mpiexec or srun started, as a Comm. The only folder that knows MPI
// (3.1, the C interface); it is built where CMake finds one.
//
//   const Launch launch = DetectLaunch();              // comm/launch.h; no MPI yet
//   if (launch.needs_mpi()) {
//     RELAYOUT_ASSIGN_OR_RETURN(comm, InitMpi(launch));  // once a process
//   }
//   ...
//   comm.reset();                                      // MPI_Finalize: after the last message is
//   out
//
// What this transport adds to the contract of comm.h:
//
//   * Waiting costs little: after about a millisecond a rank that waits sleeps between looks.
//   * MPI's int counts are no limit; what is longer than max_message_bytes is cut.
//   * Threads: MPI_THREAD_SERIALIZED is enough, because calls are short and under one lock, so that
//     StopRequested() of one thread never waits for a collective of another.
#pragma once

#include <cstdint>
#include <memory>

#include "relayout/base/status.h"
#include "relayout/comm/comm.h"
#include "relayout/comm/launch.h"

namespace relayout {

struct MpiOptions {
  // The most bytes that one MPI call moves: 1 .. 2^31 - 1, the same on all ranks.
  int64_t max_message_bytes = int64_t{1} << 30;
};

// Initialises MPI; the Comm owns it, and its destructor finalises it. kUnsupported if MPI is
// already initialised or gives too low a thread level; kInvalidInput if MPI knows of another number
// of processes than `launch`, as when srun's --mpi does not fit the library: then each process
// would take itself for the only one, and all would write the same files. kIoError if MPI fails.
//
// The destructor waits for the other ranks. If one of them waits for this rank in a collective
// instead, that rank's collective fails after about a second. Where a collective has failed, the
// ranks can no longer end together: the destructor ends all of them with exit status 3, so whoever
// has something to say says and flushes it before.
Result<std::unique_ptr<Comm>> InitMpi(const Launch& launch, const MpiOptions& options = {});

// Ends all processes of the job at once; for what ranks cannot agree on, such as a broken
// invariant.
[[noreturn]] void AbortMpi(int exit_status);

}  // namespace relayout
