// SPDX-License-Identifier: Apache-2.0
#include "relayout/comm/launch.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace relayout {
namespace {

using Variables = std::map<std::string, std::string>;

Launch Detect(const Variables& variables) {
  return DetectLaunch([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

Variables operator+(Variables a, const Variables& b) {
  a.insert(b.begin(), b.end());
  return a;
}

// What Slurm sets in an sbatch script and what srun adds for each task.
const Variables kSbatch = {{"SLURM_JOB_ID", "134"}, {"SLURM_NTASKS", "8"}, {"SLURM_NPROCS", "8"},
                           {"SLURM_PROCID", "0"},   {"SLURM_NODEID", "0"}, {"SLURM_LOCALID", "0"}};
const Variables kSalloc = {{"SLURM_JOB_ID", "134"}, {"SLURM_NTASKS", "8"}, {"SLURM_NPROCS", "8"}};
const Variables kSrun = {{"SLURM_STEP_ID", "0"},
                         {"SLURM_STEP_NUM_TASKS", "4"},
                         {"SLURM_PROCID", "3"},
                         {"SLURM_JOB_ID", "134"},
                         {"SLURM_NTASKS", "4"}};
const Variables kOpenMpi = {{"OMPI_COMM_WORLD_SIZE", "2"},
                            {"OMPI_COMM_WORLD_RANK", "1"},
                            {"PMIX_RANK", "1"},
                            {"PMIX_NAMESPACE", "1"}};
const Variables kPmix = {{"PMIX_RANK", "5"}, {"PMIX_NAMESPACE", "prrte-1@1"}};

TEST(Launch, TellsFromTheEnvironment) {
  struct Case {
    const char* what;
    Variables variables;
    const char* variable;
    int process_count;
    int rank;
  };
  const char* const srun = "SLURM_STEP_NUM_TASKS";
  const char* const open_mpi = "OMPI_COMM_WORLD_SIZE";
  const Case cases[] = {
      {"a shell", {}, "", 1, 0},
      {"Open MPI", kOpenMpi, open_mpi, 2, 1},
      {"Open MPI, one process",
       {{"OMPI_COMM_WORLD_SIZE", "1"},
        {"OMPI_COMM_WORLD_RANK", "0"},
        {"PMIX_RANK", "0"},
        {"PMIX_NAMESPACE", "1"}},
       open_mpi,
       1,
       0},
      {"MPICH, Intel MPI", {{"PMI_SIZE", "16"}, {"PMI_RANK", "15"}}, "PMI_SIZE", 16, 15},
      {"MVAPICH2",
       {{"MV2_COMM_WORLD_SIZE", "3"}, {"MV2_COMM_WORLD_RANK", "0"}},
       "MV2_COMM_WORLD_SIZE",
       3,
       0},
      {"called by an sbatch script", kSbatch, "", 1, 0},
      {"called in a shell under salloc", kSalloc, "", 1, 0},
      {"srun", kSrun, srun, 4, 3},
      {"srun in an sbatch script", kSrun + kSbatch, srun, 4, 3},
      {"srun --mpi=pmix", kSrun + kPmix, srun, 4, 3},
      {"srun --mpi=pmi2", kSrun + Variables{{"PMI_SIZE", "4"}, {"PMI_RANK", "3"}}, "PMI_SIZE", 4,
       3},
      {"srun -n 1", Variables{{"SLURM_STEP_NUM_TASKS", "1"}, {"SLURM_PROCID", "0"}} + kSrun, srun,
       1, 0},
      {"the shell's own step under salloc",
       Variables{{"SLURM_STEP_ID", "4294967290"}, {"SLURM_PROCID", "0"}} + kSrun, "", 1, 0},
      {"mpirun in an sbatch script", kOpenMpi + kSbatch, open_mpi, 2, 1},
      {"mpirun whose daemons are a step", kOpenMpi + kSrun, open_mpi, 2, 1},
      {"some PMIx launcher", kPmix, "PMIX_RANK", 0, 5},
      {"no namespace", {{"PMIX_RANK", "5"}}, "", 1, 0},
      {"no rank", {{"OMPI_COMM_WORLD_SIZE", "2"}}, "", 1, 0},
      {"no count", {{"PMI_RANK", "1"}}, "", 1, 0},
      {"a rank that is none of them", {{"PMI_SIZE", "2"}, {"PMI_RANK", "2"}}, "", 1, 0},
      {"none at all", {{"PMI_SIZE", "0"}, {"PMI_RANK", "0"}}, "", 1, 0},
      {"not a number", {{"PMI_SIZE", "two"}, {"PMI_RANK", "0"}}, "", 1, 0},
      {"beyond int", {{"PMI_SIZE", "4294967298"}, {"PMI_RANK", "0"}}, "", 1, 0},
      {"no sense, then sense", Variables{{"OMPI_COMM_WORLD_SIZE", ""}} + kSrun, srun, 4, 3},
  };
  for (const Case& c : cases) {
    const Launch launch = Detect(c.variables);
    EXPECT_EQ(launch.variable, c.variable) << c.what;
    EXPECT_EQ(launch.process_count, c.process_count) << c.what;
    EXPECT_EQ(launch.rank, c.rank) << c.what;
    EXPECT_EQ(launch.launcher.empty(), launch.variable.empty()) << c.what;
    EXPECT_EQ(launch.needs_mpi(), c.process_count != 1) << c.what;
  }
}

TEST(Launch, SaysHow) {
  EXPECT_EQ(Describe(Detect({})), "alone");
  EXPECT_EQ(Describe(Detect(kSrun)),
            "as one of 4 processes by srun, which set SLURM_STEP_NUM_TASKS");
  EXPECT_EQ(Describe(Detect(kPmix)),
            "as one of perhaps several processes by a PMIx launcher, which set PMIX_RANK");
  EXPECT_EQ(Describe(Detect({{"PMI_SIZE", "1"}, {"PMI_RANK", "0"}})),
            "as the only process by mpiexec, which set PMI_SIZE");
}

}  // namespace
}  // namespace relayout
