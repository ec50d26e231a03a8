// SPDX-License-Identifier: Apache-2.0
//
// Rank cover: the fewest ranks that together hold everything that is needed.
//
//   needs {0,4} {1,5} {0,1}   ->  0, 1     (each set: the ranks that hold one needed shard)
#pragma once

#include <cstdint>
#include <set>
#include <vector>

namespace relayout {

struct RankCover {
  std::vector<int64_t> ranks;  // Ascending.
  // False when the search for the smallest set was cut short; `ranks` is then a small one.
  bool is_minimal = true;
};

// The smallest set of ranks that meets every need; of equally small ones the first in lexical order
// that the search meets. A need without candidates is ignored. Exact by branch and bound, which
// mesh layouts keep short; after 200,000 steps the best found so far is returned.
RankCover SmallestRankCover(const std::set<std::vector<int64_t>>& needs);

}  // namespace relayout
