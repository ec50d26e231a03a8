// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/kernels/gather.h"

#include <gtest/gtest.h>

#include <vector>

#include "relayout/spmd/kernels/elementwise.h"
#include "relayout/spmd/kernels/threads.h"
#include "tests/spmd/testing.h"

namespace relayout::kernels {
namespace {

struct Lookup {
  size_t axis = 0;
  int64_t row_begin = 0;
  Tensor ids;
  Dims shape;  // Of the result.
};

// ids of which some are in no row of the table.
Lookup RandomLookup(oracle::Random& random, const Dims& table) {
  Lookup lookup;
  lookup.axis = static_cast<size_t>(random.Below(static_cast<int64_t>(table.size())));
  lookup.row_begin = random.Below(3);
  const Dims ids = RandomShape(random, static_cast<size_t>(random.Below(3)), 4);
  lookup.ids = Tensor(DType::kInt32, ids);
  for (int32_t& id : lookup.ids.i32().elements()) {
    id = static_cast<int32_t>(lookup.row_begin + random.Between(-1, table[lookup.axis]));
  }
  for (size_t d = 0; d < table.size(); ++d) {
    if (d != lookup.axis) {
      lookup.shape.push_back(table[d]);
      continue;
    }
    for (const int64_t length : ids) lookup.shape.push_back(length);
  }
  return lookup;
}

Array NaiveGather(const Array& table, const Lookup& lookup) {
  Array y = Array::Zeros(lookup.shape);
  const size_t id_dims = lookup.ids.shape().size();
  y.ForEach([&](const Dims& index) {
    int64_t id = 0;
    for (size_t d = 0; d < id_dims; ++d) {
      id = id * lookup.ids.shape()[d] + index[lookup.axis + d];
    }
    Dims in_table;
    for (size_t d = 0; d < lookup.axis; ++d) in_table.push_back(index[d]);
    const int64_t row = lookup.ids.i32().data[id] - lookup.row_begin;
    in_table.push_back(row);
    for (size_t d = lookup.axis + id_dims; d < index.size(); ++d) in_table.push_back(index[d]);
    if (row >= 0 && row < table.shape[lookup.axis]) y.at(index) = table.at(in_table);
  });
  return y;
}

TEST(Gather, EqualsLoopsAndDifferences) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    oracle::Random random(seed);
    // Array's index of a dim of 1 is always 0, which a row outside is not.
    Dims shape = RandomShape(random, static_cast<size_t>(random.Between(1, 3)), 5);
    for (int64_t& length : shape) ++length;
    const Array table = RandomArray(random, shape);
    const Lookup lookup = RandomLookup(random, shape);
    const Operator64 naive = [&](const std::vector<Array>& inputs) {
      return NaiveGather(inputs[0], lookup);
    };
    Tensor y = Unwritten(lookup.shape);
    Gather(ToTensor(table).f32(), lookup.ids.i32(), lookup.axis, lookup.row_begin, y.f32());
    ExpectNear(y, naive({table}), 0);
    const Array dy = RandomArray(random, lookup.shape);
    Tensor dtable = Unwritten(shape);
    GatherGradient(ToTensor(dy).f32(), lookup.ids.i32(), lookup.axis, lookup.row_begin,
                   dtable.f32());
    ExpectNear(dtable, DifferenceGradient(naive, {table}, dy, 0), 1e-5);
  }
}

// Three ranks hold rows 0-1, 2 and 3-6.
TEST(Gather, OfACutTableAddsUpToTheWhole) {
  oracle::Random random(1);
  const Tensor table = ToTensor(RandomArray(random, {7, 3}));
  Tensor ids(DType::kInt32, {20});
  for (int32_t& id : ids.i32().elements()) id = static_cast<int32_t>(random.Below(7));
  Tensor whole = Unwritten({20, 3});
  Gather(table.f32(), ids.i32(), 0, 0, whole.f32());
  Tensor whole_gradient = Unwritten({7, 3});
  GatherGradient(whole.f32(), ids.i32(), 0, 0, whole_gradient.f32());

  const int64_t ends[] = {0, 2, 3, 7};
  Tensor sum(DType::kFloat32, {20, 3});
  Tensor gradient = Unwritten({7, 3});
  for (size_t rank = 0; rank < 3; ++rank) {
    Tensor y = Unwritten({20, 3});
    Gather(table.f32().Slices(ends[rank], ends[rank + 1]), ids.i32(), 0, ends[rank], y.f32());
    Add(sum.f32(), y.f32(), sum.f32());
    GatherGradient(whole.f32(), ids.i32(), 0, ends[rank],
                   gradient.f32().Slices(ends[rank], ends[rank + 1]));
  }
  for (int64_t i = 0; i < 60; ++i) EXPECT_EQ(sum.f32().data[i], whole.f32().data[i]);
  for (int64_t i = 0; i < 21; ++i) {
    EXPECT_EQ(gradient.f32().data[i], whole_gradient.f32().data[i]);
  }
}

TEST(Gather, IsTheSameBitsOnThreads) {
  oracle::Random random(2);
  const Tensor table = ToTensor(RandomArray(random, {50, 96}));
  Tensor ids(DType::kInt32, {3000});
  for (int32_t& id : ids.i32().elements()) id = static_cast<int32_t>(random.Below(50));
  std::vector<Tensor> gradients;
  for (const int threads : {1, 3}) {
    UseKernelThreads(threads);
    Tensor y = Unwritten({3000, 96});
    Gather(table.f32(), ids.i32(), 0, 0, y.f32());
    for (int64_t i = 0; i < 3000; ++i) {
      ASSERT_EQ(y.f32().data[i * 96 + 95], table.f32().data[ids.i32().data[i] * 96 + 95]);
    }
    gradients.push_back(Unwritten({50, 96}));
    GatherGradient(y.f32(), ids.i32(), 0, 0, gradients.back().f32());
  }
  UseKernelThreads(1);
  for (int64_t i = 0; i < 50 * 96; ++i) {
    ASSERT_EQ(gradients[0].f32().data[i], gradients[1].f32().data[i]);
  }
}

TEST(OneHot, EqualsLoops) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    oracle::Random random(seed);
    const Dims shape = RandomShape(random, static_cast<size_t>(random.Between(1, 3)), 4);
    const auto axis = static_cast<size_t>(random.Below(std::ssize(shape)));
    const int64_t class_begin = random.Below(3);
    Dims ids_shape;
    for (size_t d = 0; d < shape.size(); ++d) {
      if (d != axis) ids_shape.push_back(shape[d]);
    }
    Tensor ids(DType::kInt32, ids_shape);
    for (int32_t& id : ids.i32().elements()) id = static_cast<int32_t>(random.Between(-1, 6));
    Array want = Array::Zeros(shape);
    want.ForEach([&](const Dims& index) {
      int64_t offset = 0;
      for (size_t d = 0; d < shape.size(); ++d) {
        if (d != axis) offset = offset * shape[d] + index[d];
      }
      want.at(index) = ids.i32().data[offset] == class_begin + index[axis] ? 2 : -3;
    });
    Tensor y = Unwritten(shape);
    OneHot(ids.i32(), axis, class_begin, 2, -3, y.f32());
    ExpectNear(y, want, 0);
  }
}

}  // namespace
}  // namespace relayout::kernels
