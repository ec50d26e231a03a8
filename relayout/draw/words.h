// SPDX-License-Identifier: Apache-2.0
//
// A layout in sentences, for readers who do not know the notation.
//
//   {a:2,b:4} (b,-) opt:2
//
//   8 devices, a grid of 2 x 4 (axes a, b).
//   Rows (dim 0) are cut in 4 along axis b. Columns (dim 1) are not cut.
//   2 devices would hold the same piece (those that differ only on axis a); the optimizer split
//   cuts it further in 2 by rows, and each keeps one part. So there are 8 different shards; each
//   device holds 1/8 of the tensor.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "relayout/layout/layout.h"

namespace relayout {

// One sentence or two an item, in the order of the example.
std::vector<std::string> LayoutWords(const Layout& layout);

// "rows", "columns" of a matrix; "dim 2" of anything else.
std::string DimWord(size_t dim_count, size_t d);

}  // namespace relayout
