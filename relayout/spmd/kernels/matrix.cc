// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/kernels/matrix.h"

#include "relayout/spmd/kernels/elementwise.h"
#include "relayout/spmd/kernels/library.h"
#include "relayout/spmd/kernels/strides.h"
#include "relayout/spmd/kernels/threads.h"

namespace relayout::kernels {
namespace {

using Input = View<const float>;
using Output = View<float>;

// Multiplications in the time in which a simple loop does an element.
constexpr int64_t kWorkAnElement = 16;

// One factor of a product of (stacks of) matrices.
struct Factor {
  const Input& matrices;
  bool transposed;

  int64_t dim(size_t from_end) const { return matrices.shape[matrices.shape.size() - from_end]; }
  int64_t rows() const { return dim(transposed ? 1 : 2); }
  int64_t columns() const { return dim(transposed ? 2 : 1); }
  MatrixOperand at(int64_t offset) const { return {matrices.data + offset, transposed}; }
};

Dims BatchDims(const Dims& shape) {
  RELAYOUT_CHECK(shape.size() >= 2);
  Dims batch;
  for (size_t d = 0; d + 2 < shape.size(); ++d) batch.push_back(shape[d]);
  return batch;
}

Dims Scaled(Dims strides, int64_t factor) {
  for (int64_t& stride : strides) stride *= factor;
  return strides;
}

// The product of each pair; the batch dims of a and b broadcast to those of c.
void Multiply(const Factor& a, const Factor& b, const Output& c) {
  const int64_t m = a.rows();
  const int64_t k = a.columns();
  const int64_t n = b.columns();
  const Dims batch = BatchDims(c.shape);
  RELAYOUT_CHECK(b.rows() == k && c.shape[batch.size()] == m && c.shape[batch.size() + 1] == n);
  const Walk<3> walk = {batch,
                        {Scaled(BroadcastStrides(BatchDims(a.matrices.shape), batch), m * k),
                         Scaled(BroadcastStrides(BatchDims(b.matrices.shape), batch), k * n),
                         Scaled(DenseStrides(batch), m * n)}};
  const int64_t count = SizeOf(batch);
  if (count == 0) return;
  // With fewer matrices than threads, the threads share each matrix.
  const int64_t grain = count >= KernelThreads() ? RowGrain(m * n * k / kWorkAnElement) : count;
  ForRange(count, grain, [&](int64_t begin, int64_t end) {
    Place<3> place(walk, begin);
    for (int64_t i = begin; i < end; ++i, place.Next()) {
      MultiplyMatrices(m, n, k, a.at(place.offset(0)), b.at(place.offset(1)),
                       c.data + place.offset(2));
    }
  });
}

// A gradient of a factor that may have been repeated over batch dims of the product.
void MultiplySummed(const Factor& a, const Factor& b, const Dims& batch, const Output& c) {
  Dims whole = batch;
  whole.push_back(a.rows());
  whole.push_back(b.columns());
  if (whole == c.shape) {
    Multiply(a, b, c);
    return;
  }
  Tensor product(DType::kFloat32, whole);
  Multiply(a, b, product.f32());
  SumTo(product.f32(), c);
}

}  // namespace

void MatMul(const Input& a, const Input& b, Transposes transposes, const Output& c) {
  RELAYOUT_CHECK(a.shape.size() == 2 && b.shape.size() == 2);
  BatchMatMul(a, b, transposes, c);
}

void MatMulGradientA(const Input& dc, const Input& b, Transposes transposes, const Output& da) {
  RELAYOUT_CHECK(dc.shape.size() == 2 && b.shape.size() == 2);
  BatchMatMulGradientA(dc, b, transposes, da);
}

void MatMulGradientB(const Input& dc, const Input& a, Transposes transposes, const Output& db) {
  RELAYOUT_CHECK(dc.shape.size() == 2 && a.shape.size() == 2);
  BatchMatMulGradientB(dc, a, transposes, db);
}

void BatchMatMul(const Input& a, const Input& b, Transposes transposes, const Output& c) {
  Multiply({a, transposes.a}, {b, transposes.b}, c);
}

// c = A B with A = a or aᵀ: dA = dc Bᵀ, and dAᵀ = B dcᵀ. The same for b.
void BatchMatMulGradientA(const Input& dc, const Input& b, Transposes transposes,
                          const Output& da) {
  const Dims batch = BatchDims(dc.shape);
  if (transposes.a) {
    MultiplySummed({b, transposes.b}, {dc, true}, batch, da);
  } else {
    MultiplySummed({dc, false}, {b, !transposes.b}, batch, da);
  }
}

void BatchMatMulGradientB(const Input& dc, const Input& a, Transposes transposes,
                          const Output& db) {
  const Dims batch = BatchDims(dc.shape);
  if (transposes.b) {
    MultiplySummed({dc, true}, {a, transposes.a}, batch, db);
  } else {
    MultiplySummed({a, !transposes.a}, {dc, false}, batch, db);
  }
}

}  // namespace relayout::kernels
