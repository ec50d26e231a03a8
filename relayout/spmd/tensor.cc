// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/tensor.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>

namespace relayout {

int64_t SizeOf(const Dims& shape) {
  const std::optional<int64_t> count = ElementCount(shape);
  RELAYOUT_CHECK(count.has_value());
  return *count;
}

void Tensor::Freer::operator()(void* memory) const {
  if (owns) std::free(memory);
}

Tensor::Tensor(DType dtype, const Dims& shape) : dtype_(dtype), shape_(shape) {
  RELAYOUT_CHECK(dtype == DType::kFloat32 || dtype == DType::kInt32);
  // aligned_alloc wants a multiple of the alignment, and may give nothing for nothing.
  const size_t lines = static_cast<size_t>(size_bytes()) / kTensorAlignment + 1;
  memory_.reset(std::aligned_alloc(kTensorAlignment, lines * kTensorAlignment));
  if (memory_ == nullptr) throw std::bad_alloc();
  std::memset(memory_.get(), 0, lines * kTensorAlignment);
}

Tensor Tensor::Clone() const {
  Tensor copy(dtype_, shape_);
  std::memcpy(copy.memory_.get(), memory_.get(), static_cast<size_t>(size_bytes()));
  return copy;
}

Tensor Tensor::Sharing(Tensor& other, const Dims& shape) {
  RELAYOUT_CHECK(SizeOf(shape) == other.size());
  Tensor shared;
  shared.dtype_ = other.dtype_;
  shared.shape_ = shape;
  shared.memory_ = {other.memory_.get(), Freer(false)};
  return shared;
}

std::span<std::byte> Tensor::bytes() {
  return {static_cast<std::byte*>(memory_.get()), static_cast<size_t>(size_bytes())};
}

std::span<const std::byte> Tensor::bytes() const {
  return {static_cast<const std::byte*>(memory_.get()), static_cast<size_t>(size_bytes())};
}

void Tensor::Reshape(const Dims& shape) {
  RELAYOUT_CHECK(SizeOf(shape) == size());
  shape_ = shape;
}

}  // namespace relayout
