// SPDX-License-Identifier: Apache-2.0
//
// Was this process started as one of several? The environment tells, without MPI: so a program
// initialises MPI only where that is of use, and a build without MPI can refuse to do the whole job
// four times at once.
//
// Each launcher leaves a pair of variables, a count and a rank. The first pair of this table that
// is there and makes sense (rank < count) decides; a count of 1 decides too.
//
//   Open MPI's mpirun            OMPI_COMM_WORLD_SIZE   OMPI_COMM_WORLD_RANK
//   MVAPICH2's mpirun_rsh        MV2_COMM_WORLD_SIZE    MV2_COMM_WORLD_RANK
//   MPICH, Intel MPI, Flux       PMI_SIZE               PMI_RANK
//   Slurm's srun                 SLURM_STEP_NUM_TASKS   SLURM_PROCID
//   any PMIx launcher            (unknown)              PMIX_RANK, with PMIX_NAMESPACE
//
// The order is from the inside out: under Slurm, mpirun starts its daemons as a step of its own, so
// the step's variables may describe those.
//
// Not SLURM_NTASKS: an sbatch script has it, as well as SLURM_PROCID=0, and so has a shell under
// salloc, and a program that such a script just calls is alone. Only srun sets
// SLURM_STEP_NUM_TASKS, with SLURM_STEP_ID. The steps that Slurm makes for the script or the shell
// itself have ids above 0xfffffff0 and count as none.
#pragma once

#include <functional>
#include <string>

namespace relayout {

struct Launch {
  // Who started this process, and the variable that told: "srun", "SLURM_STEP_NUM_TASKS". Empty
  // where nobody did.
  std::string launcher;
  std::string variable;
  int process_count = 1;  // 0: several perhaps; only MPI_Init can tell.
  int rank = 0;

  // Whether it takes MPI to know or reach the others.
  bool needs_mpi() const { return process_count != 1; }
};

// The value of an environment variable or nullptr, as getenv.
using Environment = std::function<const char*(const char* name)>;

Launch DetectLaunch(const Environment& environment);
// The same for this process's environment.
Launch DetectLaunch();

// For messages: "as one of 4 processes by srun, which set SLURM_STEP_NUM_TASKS".
std::string Describe(const Launch& launch);

}  // namespace relayout
