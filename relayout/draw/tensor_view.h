// SPDX-License-Identifier: Apache-2.0
//
// TensorView: which two dimensions of a tensor a picture shows, and in which proportions.
//
//   f32[784,512] @ (a,-)      down: dim 0, across: dim 1
//   f32[512] @ (a)            across: dim 0; a vector lies
//   f32[8,3,64,64] @ (a,-,b,-)  down: dim 0, across: dim 2, the two that are cut
//
// Where more than two dimensions are cut, the two cut most finely are shown, and of the others the
// first piece.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "relayout/base/dims.h"

namespace relayout {

struct TensorView {
  std::optional<size_t> down;
  std::optional<size_t> across;
  std::vector<size_t> hidden;  // Cut, but not shown; ascending.
  double width = 1;            // Of the picture, the longer side being 1.
  double height = 1;
};

// `piece_counts` are the cuts of each dimension. `shape` is taken for the proportions where it is
// known, within reason: no side is shorter than a third of the other.
TensorView ViewOf(const Dims& piece_counts, const std::optional<Dims>& shape);

}  // namespace relayout
