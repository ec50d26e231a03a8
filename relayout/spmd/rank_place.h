// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace relayout {

// Where a rank stands among the others: the ranks of a stage are consecutive.
//
//   rank 5 of 8 in 2 stages     stage 1, first_rank 4, local_rank 1
struct RankPlace {
  int rank = 0;
  int rank_count = 1;
  int64_t stage = 0;
  int64_t stage_count = 1;

  int64_t stage_ranks() const { return rank_count / stage_count; }
  int64_t first_rank() const { return stage * stage_ranks(); }
  int64_t local_rank() const { return rank - first_rank(); }

  // @pre the stages divide the ranks
  static RankPlace Of(int rank, int rank_count, int64_t stage_count) {
    return {rank, rank_count, rank / (rank_count / stage_count), stage_count};
  }
};

}  // namespace relayout
