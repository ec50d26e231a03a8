// SPDX-License-Identifier: Apache-2.0
//
// Redistributions against the oracle (tests/oracle/oracle.h): each rank cuts its shard out of the
// whole tensor by the definition of a layout, redistributes it, and holds the result against what
// the definition says of the other layout. Run by all ranks of any Comm: on threads by
// relayout/spmd/redistribute_test.cc, on MPI by tests/mpi/mpi_redistribute.cc; so no GoogleTest.
#pragma once

#include <cstdint>
#include <vector>

#include "relayout/comm/comm.h"
#include "relayout/layout/layout.h"
#include "tests/oracle/oracle.h"
#include "tests/oracle/random.h"

namespace relayout::redistribution_check {

struct Case {
  oracle::Ints shape;
  int64_t element_size_bytes = 4;
  LayoutSpec from;
  LayoutSpec to;
  std::vector<int> sum_axes = {};
  int64_t ranks_per_node = 0;
  // Ranks of the Comm before those of the stage; they and those after it take no part.
  int64_t first_rank = 0;
};

// OK, or in words what is wrong on this rank. The same case on all ranks; on those outside of the
// stage at once OK.
Status Check(Comm& comm, const Case& c);

// Check for all pairs of all layouts of a small world, and where the first leaves replicas for sums
// over each set of axes that make them. Of the cases, only every `stride`-th.
Status CheckAllPairs(Comm& comm, size_t dim_count, int64_t stride = 1);

// A case that fits `device_count` ranks.
Case RandomCase(oracle::Random& random, int64_t device_count);

}  // namespace relayout::redistribution_check
