// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/rank_list.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "tests/oracle/layouts.h"
#include "tests/oracle/oracle.h"

namespace relayout::oracle {
namespace {

constexpr int64_t kSourceRanks = 8;

struct Placed {
  LayoutSpec spec;
  int64_t first_rank = 0;
};

struct Tensor {
  Ints shape;
  std::vector<Placed> sources;
  Placed target;
};

bool Holds(const Region& region, const Ints& index) {
  for (size_t d = 0; d < index.size(); ++d) {
    if (index[d] < region.begin[d] || index[d] >= region.end[d]) return false;
  }
  return true;
}

// Can `wanted` target rank be made when only the ranks of the bit set `files` are there? Element by
// element, from one of the sources alone.
bool Suffices(const std::vector<Tensor>& tensors, int64_t wanted, uint32_t files) {
  return std::all_of(tensors.begin(), tensors.end(), [&](const Tensor& tensor) {
    const auto target = *RegionsOfRanks(tensor.target.spec, tensor.shape);
    const auto indices = IndicesOf(target[static_cast<size_t>(wanted)]);
    return std::any_of(tensor.sources.begin(), tensor.sources.end(), [&](const Placed& source) {
      const auto regions = *RegionsOfRanks(source.spec, tensor.shape);
      return std::all_of(indices.begin(), indices.end(), [&](const Ints& index) {
        for (size_t local = 0; local < regions.size(); ++local) {
          const auto rank = static_cast<uint32_t>(source.first_rank) + local;
          if ((files >> rank & 1) != 0 && Holds(regions[local], index)) return true;
        }
        return false;
      });
    });
  });
}

PlacedTensor Place(const Placed& placed, const Ints& shape) {
  return {.partition = *Partition::Create(*Layout::Create(placed.spec), ToDims(shape)),
          .first_rank = placed.first_rank};
}

TEST(CoverValuesTest, EqualsBruteForce) {
  int tied = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Random random(seed);
    const int64_t targets = random.Between(1, 4);
    const int64_t wanted = random.Below(targets);
    std::vector<Tensor> tensors;
    const int64_t count = random.Between(1, 4);
    for (int64_t i = 0; i < count; ++i) {
      Tensor& tensor = tensors.emplace_back();
      const auto dim_count = static_cast<size_t>(random.Between(1, 2));
      std::vector<LayoutSpec> specs;
      // One stage of eight ranks, or one or both of two stages of four.
      const int64_t kind = random.Below(4);
      if (kind == 0) tensor.sources.push_back({RandomLayout(random, 8, dim_count), 0});
      if (kind == 1 || kind == 3) tensor.sources.push_back({RandomLayout(random, 4, dim_count), 0});
      if (kind == 2 || kind == 3) tensor.sources.push_back({RandomLayout(random, 4, dim_count), 4});
      tied += kind == 3;
      tensor.target = {RandomLayout(random, targets, dim_count), 0};
      for (const Placed& source : tensor.sources) specs.push_back(source.spec);
      specs.push_back(tensor.target.spec);
      tensor.shape = CommonShape(specs, dim_count);
    }
    std::vector<NeededValue> values;
    for (const Tensor& tensor : tensors) {
      NeededValue& value = values.emplace_back();
      for (const Placed& source : tensor.sources) {
        value.sources.push_back(Place(source, tensor.shape));
      }
      value.targets.push_back(Place(tensor.target, tensor.shape));
    }
    const RankCover cover = CoverValues(
        values, [](size_t, int64_t) { return true; }, [&](int64_t rank) { return rank == wanted; });
    ASSERT_TRUE(cover.is_minimal);
    uint32_t files = 0;
    for (const int64_t rank : cover.ranks) files |= 1U << rank;
    ASSERT_TRUE(Suffices(tensors, wanted, files)) << "seed " << seed;
    int fewest = kSourceRanks;
    for (uint32_t set = 0; set < 1U << kSourceRanks; ++set) {
      if (std::popcount(set) < fewest && Suffices(tensors, wanted, set))
        fewest = std::popcount(set);
    }
    ASSERT_EQ(std::ssize(cover.ranks), fewest) << "seed " << seed;
  }
  EXPECT_GT(tied, 100);
}

// A tied embedding and its optimizer states ask one question, not 2^40.
TEST(CoverValuesTest, ManyTiedValuesOfOneLayout) {
  const LayoutSpec rows{.mesh = {4}, .dim_axes = {{0}}, .uneven_rows = {}};
  const NeededValue value{.sources = {Place({rows, 0}, {8}), Place({rows, 4}, {8})},
                          .targets = {Place({rows, 0}, {8})}};
  const RankCover cover = CoverValues(
      std::vector<NeededValue>(40, value), [](size_t, int64_t) { return true; },
      [](int64_t rank) { return rank == 3; });
  EXPECT_TRUE(cover.is_minimal);
  EXPECT_EQ(cover.ranks, (std::vector<int64_t>{3}));
}

}  // namespace
}  // namespace relayout::oracle
