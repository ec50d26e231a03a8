// SPDX-License-Identifier: Apache-2.0
//
// Runs: a box seen as contiguous stretches of a dense n-d array that contains it.
//
//   container [0:4,0:10], box [1:3,2:5]  ->  runs of 3 elements at 12 and 22
//   container [0:4,0:10], box [1:3,0:10] ->  one run of 20 elements at 10
#pragma once

#include <cstdint>

#include "relayout/layout/box.h"

namespace relayout {

// The first dimension from which on `box` covers `container` completely: all dims >= it are whole.
// Equals the number of dims when the last one is not covered.
size_t FirstWholeDim(const Box& container, const Box& box);

// The number of elements in each run of `box` in `container`. All runs have the same length.
int64_t RunElements(const Box& container, const Box& box);

// Calls fn(offset_elements) for the start of each run, ascending. Nothing for an empty box.
// @post run count * RunElements == box.volume()
template <typename Fn>
void ForEachRun(const Box& container, const Box& box, Fn&& fn) {
  if (box.volume() == 0) return;
  const size_t first_whole = FirstWholeDim(container, box);
  // Dimension first_whole - 1 is a range inside the run; those before it are stepped through.
  Dims end = box.end;
  for (size_t d = first_whole == 0 ? 0 : first_whole - 1; d < end.size(); ++d) {
    end[d] = box.begin[d] + 1;
  }
  Dims index = box.begin;
  do {
    fn(OffsetIn(container, index));
  } while (NextIndex(box.begin, end, index));
}

}  // namespace relayout
