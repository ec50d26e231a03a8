// SPDX-License-Identifier: Apache-2.0
//
// The naive oracle: what layouts mean, by listing ranks and counting, as the definition in
// relayout/layout/layout.h reads. Slow and small on purpose. It shares no arithmetic with Layout,
// Partition or the planner; of LayoutSpec it only reads the fields.
//
//   {a:2,b:2} [4,6] @ (-,b) opt:all    four ranks
//   RegionsOfRanks -> rank 0 [0:2,0:3]  rank 1 [0:2,3:6]  rank 2 [2:4,0:3]  rank 3 [2:4,3:6]
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/dims.h"
#include "relayout/layout/box.h"
#include "relayout/layout/layout.h"

namespace relayout::oracle {

using Ints = std::vector<int64_t>;

// What a rank stores of a tensor: [begin, end) in each dimension.
struct Region {
  Ints begin;
  Ints end;

  Ints shape() const;
  friend bool operator==(const Region&, const Region&) = default;
};

// The regions of all ranks of the stage; nothing when the layout does not fit the shape.
std::optional<std::vector<Region>> RegionsOfRanks(const LayoutSpec& spec, const Ints& shape);

// The pieces of each dimension, the optimizer split included.
Ints PieceCounts(const LayoutSpec& spec);

int64_t Product(const Ints& shape);

// The bytes of a whole tensor: every element differs from its neighbours, and from the elements at
// the same place of other tensors.
std::string Content(uint64_t tensor, int64_t element_count, int64_t element_size_bytes);

// The bytes of a region, element by element.
std::string Cut(std::string_view whole, const Ints& shape, int64_t element_size_bytes,
                const Region& region);

// Every index of a region in C order.
std::vector<Ints> IndicesOf(const Region& region);
// Where an element is in a dense tensor.
int64_t FlatIndex(const Ints& shape, const Ints& index);

// Between the oracle's types and the library's.
Dims ToDims(const Ints& values);
Ints ToInts(const Dims& dims);
Box ToBox(const Region& region);

}  // namespace relayout::oracle
