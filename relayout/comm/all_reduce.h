// SPDX-License-Identifier: Apache-2.0
//
// All-reduce: floats that several ranks hold are added up, and every rank gets the sums. The sums
// are the same on every rank and in every run, to the last bit, on every transport: they are made
// in the order of the ranks,
//
//   ((v_0 + v_1) + v_2) + ...           where v_i are the values of group[i]
//
// and longer values are cut into one part for each rank, which that rank adds up for all:
//
//   four ranks, 1 MiB each     each rank gives 3 x 256 KiB, adds up its quarter, gives 3 x 256 KiB
//
// Groups of ranks that share no rank work at the same time; see Comm::Exchange.
#pragma once

#include <span>
#include <string_view>

#include "relayout/base/status.h"
#include "relayout/comm/comm.h"

namespace relayout {

// Collective among the ranks of `group`, which must bring equally many values: otherwise fails with
// kInvalidInput on a rank that sees it, and with kIoError on those that then wait for that rank.
Status AllReduceSum(Comm& comm, std::span<const int> group, std::span<float> values);

// sum[i] += the i-th float of `bytes`, which need not be aligned. @pre as many floats as sums
void AddFloats(std::string_view bytes, std::span<float> sum);

}  // namespace relayout
