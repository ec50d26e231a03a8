// SPDX-License-Identifier: Apache-2.0
//
// Layouts to test with: all of a small world, or random ones.
#pragma once

#include <cstdint>
#include <vector>

#include "relayout/layout/layout.h"
#include "tests/oracle/oracle.h"
#include "tests/oracle/random.h"

namespace relayout::oracle {

// Every layout of a tensor of `dim_count` dims on `device_count` devices whose mesh axes are longer
// than 1: every order of the axes, every nesting of axes in a dim, every optimizer group.
std::vector<LayoutSpec> AllLayouts(int64_t device_count, size_t dim_count);

// Any layout, axes of size 1 included.
LayoutSpec RandomLayout(Random& random, int64_t device_count, size_t dim_count);

// Gives dim 0 of a layout without an optimizer split random pieces that add up to `rows`.
void MakeUneven(Random& random, LayoutSpec& spec, int64_t rows);

// The smallest shape that all layouts can cut; layouts with uneven rows do not count in dim 0.
Ints CommonShape(const std::vector<LayoutSpec>& specs, size_t dim_count);

}  // namespace relayout::oracle
