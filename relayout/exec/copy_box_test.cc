// SPDX-License-Identifier: Apache-2.0
#include "relayout/exec/copy_box.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <string>

#include "tests/oracle/oracle.h"
#include "tests/oracle/random.h"

namespace relayout {
namespace {

using oracle::Region;

std::byte* BytesOf(std::string& text) { return std::as_writable_bytes(std::span(text)).data(); }

// A box inside [0, 5) in each dimension, not empty.
Region RandomRegion(oracle::Random& random, size_t dim_count) {
  Region region;
  for (size_t d = 0; d < dim_count; ++d) {
    region.begin.push_back(random.Below(4));
    region.end.push_back(random.Between(region.begin.back() + 1, 5));
  }
  return region;
}

// A box that contains `inner`; often equal to it in a dimension, as shards are.
Region Around(oracle::Random& random, const Region& inner) {
  Region outer = inner;
  for (size_t d = 0; d < inner.begin.size(); ++d) {
    if (random.OneIn(2)) continue;
    outer.begin[d] = random.Between(0, inner.begin[d]);
    outer.end[d] = random.Between(inner.end[d], 6);
  }
  return outer;
}

TEST(CopyBoxTest, MovesTheBoxAndNothingElse) {
  oracle::Random random(1);
  const int64_t sizes[] = {1, 2, 4, 8, 16, 3, 24};
  for (int i = 0; i < 5000; ++i) {
    const auto dim_count = static_cast<size_t>(random.Between(0, 5));
    const int64_t size = sizes[random.Below(7)];
    const oracle::Ints shape(dim_count, 6);
    const Region box = RandomRegion(random, dim_count);
    const Region from = Around(random, box);
    const Region to = Around(random, box);
    const std::string whole = oracle::Content(1, oracle::Product(shape), size);
    std::string source = oracle::Cut(whole, shape, size, from);
    std::string target(static_cast<size_t>(oracle::Product(to.shape()) * size), '?');
    CopyBox(BytesOf(source), oracle::ToBox(from), BytesOf(target), oracle::ToBox(to),
            oracle::ToBox(box), size);
    // As the tensor would be if only the box had content.
    std::string only_box(whole.size(), '?');
    for (const oracle::Ints& index : oracle::IndicesOf(box)) {
      const auto at = static_cast<size_t>(oracle::FlatIndex(shape, index) * size);
      only_box.replace(at, static_cast<size_t>(size), whole, at, static_cast<size_t>(size));
    }
    ASSERT_EQ(target, oracle::Cut(only_box, shape, size, to)) << "case " << i;
  }
}

TEST(CopyBoxTest, AnEmptyBoxIsNothing) {
  const Box empty{{0, 1}, {2, 1}};
  CopyBox(nullptr, {{0, 1}, {2, 1}}, nullptr, {{0, 0}, {2, 4}}, empty, 4);
}

TEST(CopyRowsTest, KeepsStrides) {
  std::string source = "ab..cd..ef";
  std::string target = "------------";
  CopyRows(BytesOf(source), 4, BytesOf(target), 5, 3, 2);
  EXPECT_EQ(target, "ab---cd---ef");
}

}  // namespace
}  // namespace relayout
