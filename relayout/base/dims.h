// SPDX-License-Identifier: Apache-2.0
//
// Dims: a short list of int64 held inline, for shapes, coordinates and corners of boxes.
//
//   const Dims shape = {784, 512};
//   ElementCount(shape)   // 401408, or nothing on overflow
//   ToText(shape)         // "[784,512]"
//
// A 0-d tensor has an empty shape and one element.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>

#include "relayout/base/check.h"

namespace relayout {

// More dimensions than any framework stores (MindSpore 8, numpy 64 in theory). Files with more are
// refused by the readers.
inline constexpr size_t kMaxDims = 16;

class Dims {
 public:
  Dims() = default;
  Dims(std::initializer_list<int64_t> values) {
    for (const int64_t value : values) push_back(value);
  }
  // `count` times `value`.
  static Dims Filled(size_t count, int64_t value) {
    Dims dims;
    for (size_t i = 0; i < count; ++i) dims.push_back(value);
    return dims;
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // @pre size() < kMaxDims
  void push_back(int64_t value) {
    RELAYOUT_CHECK(size_ < kMaxDims);
    values_[size_++] = value;
  }
  int64_t& operator[](size_t i) { return values_[i]; }
  int64_t operator[](size_t i) const { return values_[i]; }
  int64_t* begin() { return values_.data(); }
  int64_t* end() { return values_.data() + size_; }
  const int64_t* begin() const { return values_.data(); }
  const int64_t* end() const { return values_.data() + size_; }

  friend bool operator==(const Dims& a, const Dims& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  uint32_t size_ = 0;
  std::array<int64_t, kMaxDims> values_{};
};

// The product of non-negative dims; 1 for an empty list; nothing on overflow or a negative dim.
std::optional<int64_t> ElementCount(const Dims& dims);

// "[784,512]", "[]".
std::string ToText(const Dims& dims);

// Steps `index` through all of [begin, end) in C order (last dimension fastest). False when done.
// @pre every begin[d] <= index[d] < end[d]
bool NextIndex(const Dims& begin, const Dims& end, Dims& index);

}  // namespace relayout
