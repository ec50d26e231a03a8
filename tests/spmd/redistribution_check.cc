// SPDX-License-Identifier: Apache-2.0
#include "tests/spmd/redistribution_check.h"

#include <cmath>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <utility>

#include "relayout/base/text.h"
#include "relayout/layout/notation.h"
#include "relayout/spmd/redistribute.h"
#include "tests/oracle/layouts.h"

namespace relayout::redistribution_check {
namespace {

using oracle::Ints;
using oracle::Random;
using oracle::Region;

std::string Describe(const Case& c) {
  std::string axes;
  for (const int axis : c.sum_axes) axes += Format(" {}", axis);
  const auto text = [](const LayoutSpec& spec) {
    const auto layout = Layout::Create(spec);
    return layout.ok() ? ToText(*layout) : layout.status().message();
  };
  return Format("{} of {} bytes from {} to {}, sums over axes [{}], nodes of {}, first rank {}",
                ToText(oracle::ToDims(c.shape)), c.element_size_bytes, text(c.from), text(c.to),
                axes, c.ranks_per_node, c.first_rank);
}

// Coordinates of a rank on some axes of a mesh, as one number.
int64_t CoordinatesOn(const std::vector<int64_t>& mesh, const std::vector<int>& axes,
                      int64_t rank) {
  int64_t number = 0;
  int64_t place = 1;
  for (size_t axis = mesh.size(); axis-- > 0;) {
    for (const int wanted : axes) {
      if (wanted != static_cast<int>(axis)) continue;
      number += rank % mesh[axis] * place;
      place *= mesh[axis];
    }
    rank /= mesh[axis];
  }
  return number;
}

// Element `i` of term number `term`: of many sizes, so that another order has another sum.
float Term(int64_t term, int64_t i) {
  Random random(static_cast<uint64_t>(term * 1'000'003 + i));
  return std::ldexp(static_cast<float>(random.Between(-999, 999)),
                    static_cast<int>(random.Between(-16, 16)));
}

std::string FloatBytes(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

// The whole tensor as `local_rank` has it before, and as all have it afterwards.
std::string WholeBefore(const Case& c, int64_t local_rank) {
  const int64_t count = oracle::Product(c.shape);
  if (c.sum_axes.empty()) return oracle::Content(1, count, c.element_size_bytes);
  std::vector<float> values;
  const int64_t term = CoordinatesOn(c.from.mesh, c.sum_axes, local_rank);
  for (int64_t i = 0; i < count; ++i) values.push_back(Term(term, i));
  return FloatBytes(values);
}

std::string WholeAfter(const Case& c) {
  const int64_t count = oracle::Product(c.shape);
  if (c.sum_axes.empty()) return oracle::Content(1, count, c.element_size_bytes);
  int64_t term_count = 1;
  for (const int axis : c.sum_axes) term_count *= c.from.mesh[static_cast<size_t>(axis)];
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) {
    float sum = Term(0, i);
    for (int64_t term = 1; term < term_count; ++term) sum += Term(term, i);
    values.push_back(sum);
  }
  return FloatBytes(values);
}

Status Run(Comm& comm, const Case& c, int64_t local_rank, const Region& from, const Region& to) {
  RELAYOUT_ASSIGN_OR_RETURN(const Layout from_layout, Layout::Create(c.from));
  RELAYOUT_ASSIGN_OR_RETURN(const Layout to_layout, Layout::Create(c.to));
  const RedistributionRequest request = {.shape = oracle::ToDims(c.shape),
                                         .element_size_bytes = c.element_size_bytes,
                                         .from = from_layout,
                                         .to = to_layout,
                                         .first_rank = c.first_rank,
                                         .sum_axes = c.sum_axes,
                                         .ranks_per_node = c.ranks_per_node};
  RELAYOUT_ASSIGN_OR_RETURN(const RedistributionPlan plan, PlanRedistribution(request, local_rank));
  const std::string before =
      oracle::Cut(WholeBefore(c, local_rank), c.shape, c.element_size_bytes, from);
  const std::string expected = oracle::Cut(WholeAfter(c), c.shape, c.element_size_bytes, to);
  if (std::ssize(before) != plan.from_bytes() || std::ssize(expected) != plan.to_bytes()) {
    return InvalidInput("shards of other sizes than the oracle's");
  }
  const std::string given = before;
  std::vector<std::byte> got(expected.size(), std::byte{0xEE});
  RELAYOUT_RETURN_IF_ERROR(Redistribute(comm, plan, std::as_bytes(std::span(given)), got));
  if (given != before) return InvalidInput("the shard it came from was written");
  if (std::memcmp(got.data(), expected.data(), expected.size()) != 0) {
    return InvalidInput("other bytes than the oracle's");
  }
  return OkStatus();
}

// Every non-empty set of the axes of `spec` that cut nothing.
std::vector<std::vector<int>> SumsOf(const LayoutSpec& spec) {
  std::vector<std::vector<int>> sets = {{}};
  for (int axis = 0; axis < std::ssize(spec.mesh); ++axis) {
    bool cuts = false;
    for (const auto& axes : spec.dim_axes) {
      for (const int used : axes) cuts = cuts || used == axis;
    }
    if (cuts) continue;
    const size_t count = sets.size();
    for (size_t i = 0; i < count; ++i) {
      sets.push_back(sets[i]);
      sets.back().push_back(axis);
    }
  }
  sets.erase(sets.begin());
  return spec.optimizer_group == 1 ? sets : std::vector<std::vector<int>>{};
}

}  // namespace

Status Check(Comm& comm, const Case& c) {
  const auto from = oracle::RegionsOfRanks(c.from, c.shape);
  const auto to = oracle::RegionsOfRanks(c.to, c.shape);
  if (!from || !to) return InvalidInput("a layout that does not fit: " + Describe(c));
  const int64_t local_rank = comm.rank() - c.first_rank;
  if (local_rank < 0 || local_rank >= std::ssize(*from)) return OkStatus();
  const auto rank = static_cast<size_t>(local_rank);
  const Status status = Run(comm, c, local_rank, (*from)[rank], (*to)[rank]);
  return status.WithContext(status.ok() ? "" : Describe(c));
}

Status CheckAllPairs(Comm& comm, size_t dim_count, int64_t stride) {
  const std::vector<LayoutSpec> layouts = oracle::AllLayouts(comm.size(), dim_count);
  int64_t number = 0;
  const auto check = [&](const LayoutSpec& from, const LayoutSpec& to, const std::vector<int>& axes,
                         int64_t node) {
    if (number++ % stride != 0) return OkStatus();
    return Check(comm, {.shape = oracle::CommonShape({from, to}, dim_count),
                        .from = from,
                        .to = to,
                        .sum_axes = axes,
                        .ranks_per_node = node});
  };
  for (const LayoutSpec& from : layouts) {
    for (const LayoutSpec& to : layouts) {
      RELAYOUT_RETURN_IF_ERROR(check(from, to, {}, number % 3));
      for (const std::vector<int>& axes : SumsOf(from)) {
        RELAYOUT_RETURN_IF_ERROR(check(from, to, axes, 0));
      }
    }
  }
  return number > 0 ? OkStatus() : InvalidInput("no layouts");
}

Case RandomCase(Random& random, int64_t device_count) {
  const auto dim_count = static_cast<size_t>(random.Below(4));
  Case c;
  c.from = oracle::RandomLayout(random, device_count, dim_count);
  c.to = oracle::RandomLayout(random, device_count, dim_count);
  const std::vector<std::vector<int>> sums = SumsOf(c.from);
  if (!sums.empty() && random.OneIn(2)) c.sum_axes = random.Pick(sums);
  c.element_size_bytes = c.sum_axes.empty() ? int64_t{1} << random.Below(4) : 4;
  c.ranks_per_node = random.Below(5);
  c.shape = oracle::CommonShape({c.from, c.to}, dim_count);
  for (int64_t& length : c.shape) {
    if (oracle::Product(c.shape) < 20'000) length *= random.OneIn(12) ? 0 : random.Between(1, 9);
  }
  if (dim_count == 0) return c;
  const bool uneven_from = random.OneIn(4) && c.from.optimizer_group == 1;
  if (uneven_from) oracle::MakeUneven(random, c.from, c.shape[0]);
  if (random.OneIn(4) && c.to.optimizer_group == 1) oracle::MakeUneven(random, c.to, c.shape[0]);
  return c;
}

}  // namespace relayout::redistribution_check
