// SPDX-License-Identifier: Apache-2.0
//
// Walking several n-d arrays in step, each by its own strides (in elements).
//
//   f32[8,16,64] + f32[64]     strides (1024,64,1) and (0,0,1)
//   joined                     [128,64] with (64,1) and (0,1)
//
// A stride of 0 reads one element again and again: a broadcast dim. Dims that every array walks as
// one are joined, so that inner loops are long.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "relayout/base/dims.h"

namespace relayout::kernels {

// Strides of a dense array.
Dims DenseStrides(const Dims& shape);

// Strides with which an array of `shape` is read as one of `wanted`: dims are matched from the last
// one on, a dim of 1 or none is repeated. @pre shape broadcasts to `wanted`
Dims BroadcastStrides(const Dims& shape, const Dims& wanted);

template <size_t kArrays>
struct Walk {
  Dims shape;
  std::array<Dims, kArrays> strides;
};

// Drops dims of 1 and joins neighbours that each array walks as one dim. One dim is left at least.
template <size_t kArrays>
Walk<kArrays> Join(const Walk<kArrays>& walk) {
  Walk<kArrays> joined;
  for (size_t d = 0; d < walk.shape.size(); ++d) {
    if (walk.shape[d] == 1) continue;
    bool joins = !joined.shape.empty();
    const size_t last = joined.shape.size() - 1;
    for (size_t i = 0; i < kArrays && joins; ++i) {
      joins = joined.strides[i][last] == walk.strides[i][d] * walk.shape[d];
    }
    if (joins) {
      joined.shape[last] *= walk.shape[d];
      for (size_t i = 0; i < kArrays; ++i) joined.strides[i][last] = walk.strides[i][d];
    } else {
      joined.shape.push_back(walk.shape[d]);
      for (size_t i = 0; i < kArrays; ++i) joined.strides[i].push_back(walk.strides[i][d]);
    }
  }
  if (joined.shape.empty()) {
    joined.shape.push_back(1);
    for (Dims& strides : joined.strides) strides.push_back(0);
  }
  return joined;
}

// A place in a walk, and where each array is there.
template <size_t kArrays>
class Place {
 public:
  // The place number `number` in C order. @pre that many fit
  Place(const Walk<kArrays>& walk, int64_t number) : walk_(walk) {
    index_ = Dims::Filled(walk.shape.size(), 0);
    for (size_t d = walk.shape.size(); d-- > 0;) {
      index_[d] = number % walk.shape[d];
      number /= walk.shape[d];
      for (size_t i = 0; i < kArrays; ++i) offsets_[i] += index_[d] * walk.strides[i][d];
    }
  }

  int64_t offset(size_t array) const { return offsets_[array]; }

  // To the next place; behind the last one comes the first.
  void Next() {
    for (size_t d = walk_.shape.size(); d-- > 0;) {
      for (size_t i = 0; i < kArrays; ++i) offsets_[i] += walk_.strides[i][d];
      if (++index_[d] < walk_.shape[d]) return;
      for (size_t i = 0; i < kArrays; ++i) offsets_[i] -= walk_.strides[i][d] * index_[d];
      index_[d] = 0;
    }
  }

 private:
  const Walk<kArrays>& walk_;
  Dims index_;
  std::array<int64_t, kArrays> offsets_{};
};

// The walk without its last dim.
template <size_t kArrays>
Walk<kArrays> WithoutLast(const Walk<kArrays>& walk) {
  Walk<kArrays> outer;
  for (size_t d = 0; d + 1 < walk.shape.size(); ++d) {
    outer.shape.push_back(walk.shape[d]);
    for (size_t i = 0; i < kArrays; ++i) outer.strides[i].push_back(walk.strides[i][d]);
  }
  return outer;
}

}  // namespace relayout::kernels
