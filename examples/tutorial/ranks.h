// SPDX-License-Identifier: Apache-2.0
//
// The ranks of a tutorial program: the processes that mpirun started, or, without it, threads of
// this process.
//
//   mpirun -n 8 --output-filename log_output tutorial train_saving     8 processes
//   tutorial train_saving --ranks 8                                    8 threads
//
// mpirun leaves what a rank prints in log_output/1/rank.N/stdout; threads do the same.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "relayout/base/status.h"
#include "relayout/comm/comm.h"

namespace relayout::tutorial {

// A rank's standard output: Print adds a line feed. Not thread-safe.
class Output {
 public:
  virtual ~Output() = default;
  virtual void Print(std::string_view line) = 0;
};

using RankMain = std::function<Status(Comm& comm, Output& output)>;

// Runs `rank_main` on `rank_count` ranks; returns the exit status, after printing on standard error
// what went wrong. Under a launcher (mpirun, srun) fails unless it started as many processes.
// Threads also write log_directory/1/rank.N/stdout; rank 0's goes to standard output too.
int RunRanks(int rank_count, const std::string& log_directory, const RankMain& rank_main);

// The exit status of a failure, which is printed: 1 the input or the request is wrong, 3 the
// machine failed. 0 of none.
int Finish(const Status& status);

}  // namespace relayout::tutorial
