// SPDX-License-Identifier: Apache-2.0
//
// Tensor: a dense array in memory, of f32 for what is computed and i32 for ids and labels. What a
// rank holds of a value while it runs a network.
//
//   Tensor x(DType::kFloat32, {2, 3});      // zeros
//   x.f32().data[4] = 1;                    // row 1, column 1
//   View<float> row = x.f32().Slices(1, 2);  // f32[1,3] on the same memory
//
// A View is a pointer and a shape: what kernels take. It owns nothing, copies cheaply, and turns
// into a view of constants by itself. Elements lie in C order without gaps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>

#include "relayout/base/check.h"
#include "relayout/base/dims.h"
#include "relayout/base/dtype.h"

namespace relayout {

// The number of elements. @pre the shape is that of something in memory
int64_t SizeOf(const Dims& shape);

template <typename T>
struct View {
  T* data = nullptr;
  Dims shape;

  int64_t size() const { return SizeOf(shape); }
  std::span<T> elements() const { return {data, static_cast<size_t>(size())}; }
  operator View<const T>() const  // NOLINT: as a pointer converts.
      requires(!std::is_const_v<T>) {
    return {data, shape};
  }
  // The same elements in another shape. @pre as many
  View Reshaped(const Dims& other) const {
    RELAYOUT_CHECK(SizeOf(other) == size());
    return {data, other};
  }
  // Indices [begin, end) of the first dim.
  View Slices(int64_t begin, int64_t end) const {
    RELAYOUT_CHECK(!shape.empty() && 0 <= begin && begin <= end && end <= shape[0]);
    View part = *this;
    part.shape[0] = 1;
    part.data += begin * part.size();
    part.shape[0] = end - begin;
    return part;
  }
};

// Where each tensor begins: a cache line, and what vector instructions like best.
inline constexpr size_t kTensorAlignment = 64;

class Tensor {
 public:
  // f32[0].
  Tensor() : Tensor(DType::kFloat32, {0}) {}
  // Zeros. Without memory std::bad_alloc, as of any container. @pre dtype is f32 or i32
  Tensor(DType dtype, const Dims& shape);
  Tensor(Tensor&& other) noexcept = default;
  Tensor& operator=(Tensor&& other) noexcept = default;
  // Copies are long, so they are asked for.
  Tensor Clone() const;
  // The elements of `other`, in its memory, in another shape; `other` has to outlive it. @pre as
  // many
  static Tensor Sharing(Tensor& other, const Dims& shape);

  DType dtype() const { return dtype_; }
  const Dims& shape() const { return shape_; }
  int64_t size() const { return SizeOf(shape_); }
  int64_t size_bytes() const { return size() * ElementSize(dtype_); }
  std::span<std::byte> bytes();
  std::span<const std::byte> bytes() const;

  // @pre the dtype is that
  View<float> f32() { return {As<float>(DType::kFloat32), shape_}; }
  View<const float> f32() const { return {As<float>(DType::kFloat32), shape_}; }
  View<int32_t> i32() { return {As<int32_t>(DType::kInt32), shape_}; }
  View<const int32_t> i32() const { return {As<int32_t>(DType::kInt32), shape_}; }

  // The same elements in another shape. @pre as many
  void Reshape(const Dims& shape);

 private:
  struct Freer {
    Freer() : owns(true) {}
    explicit Freer(bool owner) : owns(owner) {}
    bool owns;
    void operator()(void* memory) const;
  };

  template <typename T>
  T* As(DType dtype) const {
    RELAYOUT_CHECK(dtype_ == dtype);
    return static_cast<T*>(memory_.get());
  }

  DType dtype_ = DType::kFloat32;
  Dims shape_;
  std::unique_ptr<void, Freer> memory_;
};

}  // namespace relayout
