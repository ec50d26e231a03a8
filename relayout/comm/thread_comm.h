// SPDX-License-Identifier: Apache-2.0
//
// Ranks that are threads of this process: whatever takes a Comm can be tested with 8 ranks in a
// unit test, without mpirun.
//
//   const Status status = RunThreadComm(8, [&](Comm& comm) -> Status {
//     RELAYOUT_RETURN_IF_ERROR(comm.Barrier());
//     return Agree(comm, Work(comm.rank()));
//   });
#pragma once

#include <functional>

#include "relayout/base/status.h"
#include "relayout/comm/comm.h"

namespace relayout {

// Runs `rank_main` on `rank_count` threads (rank 0 on the caller's), each with its own Comm, which
// lives until rank_main returns, and waits for all of them.
//
// Stricter than other transports: ranks that call different collectives, or name different roots,
// are a CHECK failure, and so are ranks that wait for each other in exchanges of different groups
// when nobody is left who could go on. A rank that returns while others wait for it in a
// collective, or call one later, makes theirs fail with kIoError: "rank 2 left, and rank 0 waits
// for it in Barrier".
//
// Returns CommonFailure() of what the ranks returned. Ranks whose collective failed only because
// another rank left count last, so that the failure that made that rank leave is the one reported.
// Exceptions are caught only for want of memory (kOutOfMemory).
Status RunThreadComm(int rank_count, const std::function<Status(Comm&)>& rank_main);

}  // namespace relayout
