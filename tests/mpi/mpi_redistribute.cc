// SPDX-License-Identifier: Apache-2.0
//
// Redistributions between processes, against the oracle; one process of several that mpirun starts:
//
//   mpirun -n 4 mpi_redistribute [MAX_MESSAGE_BYTES]
//
// Exit status 0 if all is as the oracle says. SEED in the environment chooses the random cases.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "relayout/base/text.h"
#include "relayout/comm/comm.h"
#include "relayout/comm/launch.h"
#include "relayout/mpi/mpi_comm.h"
#include "tests/oracle/random.h"
#include "tests/spmd/redistribution_check.h"

namespace relayout {
namespace {

Status RandomCases(Comm& comm, uint64_t seed) {
  oracle::Random random(seed);
  for (int i = 0; i < 300; ++i) {
    const int64_t device_count = random.Between(1, comm.size());
    auto c = redistribution_check::RandomCase(random, device_count);
    c.first_rank = random.Between(0, comm.size() - device_count);
    const Status status = redistribution_check::Check(comm, c);
    if (!status.ok()) return status.WithContext(Format("SEED={}, case {}", seed, i));
  }
  return OkStatus();
}

Status AllCases(Comm& comm, uint64_t seed) {
  for (const size_t dim_count : {0, 1, 2}) {
    RELAYOUT_RETURN_IF_ERROR(redistribution_check::CheckAllPairs(comm, dim_count));
  }
  RELAYOUT_RETURN_IF_ERROR(RandomCases(comm, seed));
  return comm.Barrier();
}

int Main(const MpiOptions& options, uint64_t seed) {
  auto comm = InitMpi(DetectLaunch(), options);
  const Status status = comm.ok() ? AllCases(**comm, seed) : comm.status();
  if (!status.ok()) (void)std::fputs((status.message() + "\n").c_str(), stdout);
  (void)std::fflush(stdout);
  if (!status.ok()) AbortMpi(1);
  return 0;
}

}  // namespace
}  // namespace relayout

int main(int argc, char** argv) {
  relayout::MpiOptions options;
  if (argc > 1) options.max_message_bytes = std::atoll(argv[1]);
  const char* seed = std::getenv("SEED");
  return relayout::Main(options, seed == nullptr ? 1 : std::strtoull(seed, nullptr, 10));
}
