// SPDX-License-Identifier: Apache-2.0
//
// The ranks along some axes of a mesh: what sums, or shares, what those axes cut or repeat.
//
//   mesh {a:2,b:2,c:2}, local rank 5 = (1,0,1), the first rank of the stage is 8
//     along b      ranks 13 15
//     along a, c   ranks 8 9 12 13
//     along none   rank  13
//
// For one list of axes the groups of all ranks are a partition of the stage, so all of them can go
// through a collective of groups (Comm::Exchange, AllReduceSum) at the same time.
#pragma once

#include <cstdint>
#include <vector>

namespace relayout {

// The ranks of the Comm that differ from `local_rank` in their coordinates along `axes` only,
// ascending. @pre the axes are of the mesh, local_rank is on it
std::vector<int> MeshGroup(const std::vector<int64_t>& mesh, const std::vector<int>& axes,
                           int64_t local_rank, int64_t first_rank);

}  // namespace relayout
