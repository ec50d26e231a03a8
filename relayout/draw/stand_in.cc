// SPDX-License-Identifier: Apache-2.0
#include "relayout/draw/stand_in.h"

#include <numeric>
#include <optional>
#include <utility>

#include "relayout/base/checked_math.h"
#include "relayout/base/text.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

Result<std::vector<PlacedTensor>> Place(const std::vector<Placement>& placements,
                                        const Dims& shape) {
  std::vector<PlacedTensor> placed;
  for (const Placement& placement : placements) {
    RELAYOUT_ASSIGN_OR_RETURN(Partition partition, Partition::Create(placement.layout(), shape));
    placed.push_back({.partition = std::move(partition), .first_rank = placement.first_rank});
  }
  return placed;
}

}  // namespace

Result<Dims> StandInShape(const std::vector<Layout>& layouts) {
  RELAYOUT_CHECK(!layouts.empty());
  Dims shape = Dims::Filled(layouts[0].dim_count(), 1);
  std::optional<int64_t> stated_rows;
  for (const Layout& layout : layouts) {
    if (layout.dim_count() != shape.size()) {
      return InvalidInput(Format("{} has {}, but {} has {}", ToText(layouts[0]),
                                 Count(std::ssize(shape), "dimension"), ToText(layout),
                                 layout.dim_count()));
    }
    const std::vector<int64_t>& rows = layout.spec().uneven_rows;
    if (!rows.empty()) stated_rows = std::accumulate(rows.begin(), rows.end(), int64_t{0});
    for (size_t d = rows.empty() ? 0 : 1; d < shape.size(); ++d) {
      const int64_t factor = layout.grid()[d] / std::gcd(shape[d], layout.grid()[d]);
      const auto product = CheckedMul(shape[d], factor);
      if (!product) return Unsupported("the cuts have no common multiple below 2^63");
      shape[d] = *product;
    }
  }
  if (stated_rows) shape[0] = *stated_rows;
  if (!ElementCount(shape)) return Unsupported("the cuts have no common multiple below 2^63");
  for (const Layout& layout : layouts) {
    RELAYOUT_ASSIGN_OR_RETURN(const Partition partition, Partition::Create(layout, shape));
  }
  return shape;
}

Result<Transfer> PlanOnStandIn(const std::vector<Placement>& sources,
                               const std::vector<Placement>& targets) {
  std::vector<Layout> layouts;
  layouts.reserve(sources.size() + targets.size());
  for (const Placement& placement : sources) layouts.push_back(placement.layout());
  for (const Placement& placement : targets) layouts.push_back(placement.layout());
  RELAYOUT_ASSIGN_OR_RETURN(const Dims shape, StandInShape(layouts));
  TransferRequest request;
  RELAYOUT_ASSIGN_OR_RETURN(request.sources, Place(sources, shape));
  RELAYOUT_ASSIGN_OR_RETURN(request.targets, Place(targets, shape));
  request.is_available = [](int64_t) { return true; };
  request.is_wanted = [](int64_t) { return true; };
  ReplicaChooser chooser;
  return PlanTransfer(request, chooser);
}

}  // namespace relayout
