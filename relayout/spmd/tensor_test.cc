// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/tensor.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <utility>

namespace relayout {
namespace {

TEST(Tensor, IsAlignedAndZero) {
  for (const Dims& shape : {Dims{}, Dims{0}, Dims{3, 0, 2}, Dims{1}, Dims{5, 7}}) {
    const Tensor tensor(DType::kFloat32, shape);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.f32().data) % kTensorAlignment, 0U);
    for (const float value : tensor.f32().elements()) EXPECT_EQ(value, 0);
    EXPECT_EQ(tensor.bytes().size(), static_cast<size_t>(tensor.size()) * 4);
  }
}

TEST(Tensor, MovesAndCopies) {
  Tensor first(DType::kInt32, {2, 3});
  first.i32().data[4] = 7;
  Tensor copy = first.Clone();
  const Tensor moved = std::move(first);
  copy.i32().data[4] = 8;
  EXPECT_EQ(moved.i32().data[4], 7);
  EXPECT_EQ(copy.shape(), moved.shape());
}

TEST(Tensor, ViewsShareItsMemory) {
  Tensor tensor(DType::kFloat32, {4, 2, 3});
  const View<float> part = tensor.f32().Slices(1, 3);
  EXPECT_EQ(part.shape, (Dims{2, 2, 3}));
  part.data[0] = 5;
  EXPECT_EQ(tensor.f32().data[6], 5);
  const View<const float> flat = part.Reshaped({12});
  EXPECT_EQ(flat.data[0], 5);
  EXPECT_EQ(tensor.f32().Slices(4, 4).size(), 0);
  tensor.Reshape({24});
  EXPECT_EQ(tensor.shape(), (Dims{24}));
}

TEST(Tensor, SharesMemory) {
  Tensor owner(DType::kFloat32, {4, 6});
  Tensor view = Tensor::Sharing(owner, {2, 12});
  owner.f32().data[13] = 3;
  EXPECT_EQ(view.f32().data[13], 3);
  EXPECT_EQ(view.shape(), (Dims{2, 12}));
  const Tensor again = Tensor::Sharing(view, {24});
  view = Tensor();
  const Tensor moved = std::move(owner);
  EXPECT_EQ(again.f32().data, moved.f32().data);
}

TEST(TensorDeathTest, RefusesWhatIsNotThere) {
  Tensor tensor(DType::kFloat32, {4, 2});
  EXPECT_DEATH(tensor.i32(), "dtype");
  EXPECT_DEATH(tensor.f32().Reshaped({9}), "size");
  EXPECT_DEATH(tensor.f32().Slices(3, 5), "end");
}

}  // namespace
}  // namespace relayout
