// SPDX-License-Identifier: Apache-2.0
//
// Small things about MPI without state: its errors as Status, and its int counts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "relayout/base/status.h"

namespace relayout {

// What an MPI function returned; on failure "MPI_Ibcast: MPI_ERR_COMM: invalid communicator".
Status MpiStatus(int return_code, const char* function);

// OK if `provided`, which MPI_Init_thread gave, lets several threads take turns in calling MPI.
Status CheckThreadLevel(int provided);

// The name at the start of MPI_Get_library_version: "Open MPI v4.1.4".
std::string MpiLibrary();

// How a gather of more than int counts can say is cut. Think of what the ranks give as one long
// string, rank after rank: of the bytes [begin, end) of it, so many are of each rank. With sizes
// {3, 0, 4}, [2, 6) holds {1, 0, 3}.
// @post the sum is end - begin, if end is no more than the sum of sizes.
std::vector<int> CountsInWindow(const std::vector<int64_t>& sizes, int64_t begin, int64_t end);

}  // namespace relayout
