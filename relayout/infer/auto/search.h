// SPDX-License-Identifier: Apache-2.0
//
// Search: the cheapest cuts for every operator of a network, by cost_model.h.
//
//   RELAYOUT_ASSIGN_OR_RETURN(const SearchResult found, Search(graph, 8, MachineModel{}, {}));
//   found.cost.seconds            // of a step
//   found.is_optimal              // nothing cheaper exists among all cuts
//
// # What is searched
//
// Annotated operators keep their cuts. Any other may be cut in every way that divides its lengths
// and whose pieces divide the devices, repeats included (candidates.h). The total is a sum over
// operators and edges, so elimination.h finds its minimum.
//
// # When the result is optimal
//
// Whenever the elimination over all candidates fits `work_limit`: on chains and trees of any
// length (work: the product of two neighbours' candidates), and on small or narrow networks of any
// form. `is_optimal` says so.
//
// Otherwise elimination runs on short lists of candidates, in rounds that never get worse:
// 1. Seeds: for each divisor d of the devices a sweep in which the first dim of every result is cut
//    by d and everything else is chosen greedily. (These are the usual mixtures of data and tensor
//    parallelism.)
// 2. The short list of an operator: its choice in every seed and in the best assignment so far, and
//    those that are cheapest while its neighbours stay as they are in the best one.
// 3. The minimum over short lists is the next best assignment. Until it hardly gets cheaper.
//
// # Memory
//
// When what is kept exceeds a device's memory, the price of memory is raised and the search begins
// anew (from what it found), until it fits: `fits_memory`. Optimal then means: at that price.
//
// Deterministic.
#pragma once

#include <cstdint>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/infer/auto/cost_model.h"

namespace relayout {

struct SearchOptions {
  CostOptions cost;
  // Table entries to look at in one elimination.
  double work_limit = 1e8;
};

// The cheapest other cuts of one operator while all others stay.
struct RunnerUp {
  AxisCuts cuts;  // Empty: there is no other.
  double extra_seconds = 0;
};

struct SearchResult {
  Assignment assignment;
  CostTable cost;
  bool is_optimal = false;
  bool fits_memory = true;
  // At the last price.
  MachineModel machine;
  std::vector<RunnerUp> runners_up;  // By OperatorId.
  int64_t candidate_count = 0;       // Of all operators together.
  int rounds = 0;                    // 0 where all candidates fitted at once.
};

// Fails, naming the operator, when a type has no rule or nothing fits.
Result<SearchResult> Search(const Graph& graph, int64_t device_count, const MachineModel& machine,
                            const SearchOptions& options);

}  // namespace relayout
