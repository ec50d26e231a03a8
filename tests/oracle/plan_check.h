// SPDX-License-Identifier: Apache-2.0
//
// Holds PlanTransfer and TileCursor against the oracle: plans a case, then carries the tiles out in
// memory, element by element, counting every read and write.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "relayout/plan/tiles.h"
#include "relayout/plan/transfer.h"
#include "tests/oracle/oracle.h"
#include "tests/oracle/random.h"

namespace relayout::oracle {

struct PlacedSpec {
  LayoutSpec spec;
  int64_t first_rank = 0;
};

struct PlanCase {
  std::vector<PlacedSpec> sources;
  std::vector<PlacedSpec> targets;
  Ints shape;
  int64_t element_size_bytes = 1;
  std::set<int64_t> unwanted;     // Target ranks.
  std::set<int64_t> unavailable;  // Source ranks.
  TileOptions options;
};

struct PlanCounts {
  int64_t direct_tiles = 0;
  int64_t gather_tiles = 0;
  int64_t refused = 0;  // No holder of something needed.
};

// Empty, or the promise of tiles.h or transfer.h that was broken. Layouts must fit the shape.
std::string CheckPlan(const PlanCase& plan_case, PlanCounts* counts = nullptr);

// One or two sources and targets, some ranks unwanted or unavailable, small tiles.
PlanCase RandomPlanCase(Random& random);

std::string Describe(const PlanCase& plan_case);

}  // namespace relayout::oracle
