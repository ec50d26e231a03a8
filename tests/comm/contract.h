// SPDX-License-Identifier: Apache-2.0
//
// What relayout/comm/comm.h promises, as a table that is run on every transport: on one process and
// on threads by relayout/comm/comm_contract_test.cc, on MPI by tests/mpi/mpi_contract.cc, which
// mpirun starts. Hence no GoogleTest here: a case is run by all ranks and says what is wrong.
#pragma once

#include <functional>
#include <vector>

#include "relayout/comm/comm.h"

namespace relayout::comm_contract {

struct Case {
  const char* name;
  std::function<Status(Comm&)> run;
};

// The cases, in an order that any Comm can go through: the one that requests a stop comes last.
const std::vector<Case>& Cases();

}  // namespace relayout::comm_contract
