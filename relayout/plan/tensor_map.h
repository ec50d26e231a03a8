// SPDX-License-Identifier: Apache-2.0
//
// Tensor map: a picture of a Transfer in ASCII. The tensor is drawn from above, with a line where
// shards begin, and every cell says which rank it is read from and which ranks store it.
//
// {a:2} f32[4,6] @ (-,a) on ranks 0-1 to {a:2} (a,-) on ranks 0-1:
//
//       0       3       6
//     0 #=======|=======#         # =   shards of both sides begin
//       # 0 > 0 | 1 > 0 #         | -   shards of the source begin
//     2 #.......|.......#         : .   shards of the target begin
//       # 0 > 1 | 1 > 1 #
//     4 #=======|=======#
//
// Cells are as large as their text and not to scale: the numbers beside the lines say where they
// are. Two dimensions are drawn at most, those that are cut into the most pieces.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "relayout/plan/transfer.h"

namespace relayout {

struct TensorMapLimits {
  size_t width = 100;     // Characters a line.
  size_t row_count = 12;  // Rows of cells.
};

// The lines of the picture, its legend and what it leaves out. Empty when there is nothing to
// draw: nothing is cut, or the tensor has no elements.
std::vector<std::string> DrawTensorMap(const Transfer& transfer,
                                       const TensorMapLimits& limits = {});

// "0-3", "0,4", or where that is longer than `limit` "0+7": rank 0 and 7 more.
std::string ShortRanks(const std::vector<int64_t>& ascending_ranks, size_t limit);

}  // namespace relayout
