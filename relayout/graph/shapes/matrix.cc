// SPDX-License-Identifier: Apache-2.0
//
//   MatMul      f32[m,k] f32[k,n]           -> f32[m,n]      transpose_a, transpose_b
//   BatchMatMul f32[b,h,m,k] f32[b,h,k,n]   -> f32[b,h,m,n]  the same; batch dims broadcast
//   Dense       f32[..,k] f32[n,k] (f32[n]) -> f32[..,n]
#include <algorithm>
#include <utility>

#include "relayout/base/text.h"
#include "relayout/graph/shapes/families.h"

namespace relayout {
namespace {

struct Matrix {
  int64_t rows = 0;
  int64_t columns = 0;
};

Matrix LastTwo(const Dims& shape, bool transposed) {
  Matrix matrix = {shape[shape.size() - 2], shape[shape.size() - 1]};
  if (transposed) std::swap(matrix.rows, matrix.columns);
  return matrix;
}

Dims WithoutLastTwo(const Dims& shape) {
  Dims batch;
  for (size_t d = 0; d + 2 < shape.size(); ++d) batch.push_back(shape[d]);
  return batch;
}

Result<Dims> BatchShape(const ShapeCall& call) {
  std::vector<TensorType> batches;
  for (size_t i = 0; i < 2; ++i) {
    batches.push_back({call.dtype(i), WithoutLastTwo(call.shape(i))});
  }
  const Result<Dims> shape = BroadcastShape(call.On(batches), 0, 2);
  if (shape.ok()) return shape;
  return call.Fail(Format("the batches of {} and {} do not broadcast", ToText(call.shape(0)),
                          ToText(call.shape(1))));
}

Result<ResultTypeList> Product(const ShapeCall& call) {
  const Matrix x = LastTwo(call.shape(0), call.attributes().GetBool("transpose_a", false));
  const Matrix w = LastTwo(call.shape(1), call.attributes().GetBool("transpose_b", false));
  if (x.columns != w.rows) {
    return call.Fail(Format("{} columns of {} against {} rows of {}", x.columns,
                            ToText(call.shape(0)), w.rows, ToText(call.shape(1))));
  }
  RELAYOUT_ASSIGN_OR_RETURN(Dims shape, BatchShape(call));
  shape.push_back(x.rows);
  shape.push_back(w.columns);
  return ResultTypeList{{CommonType(call.dtype(0), call.dtype(1)), shape}};
}

Result<ResultTypeList> BatchMatMul(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(2));
  RELAYOUT_RETURN_IF_ERROR(call.ExpectDims(0, 2));
  RELAYOUT_RETURN_IF_ERROR(call.ExpectDims(1, 2));
  return Product(call);
}

Result<ResultTypeList> MatMul(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(2));
  if (call.dim_count(0) != 2 || call.dim_count(1) != 2) {
    return call.Fail(Format("multiplies matrices of 2 dims, here {} by {}", ToText(call.shape(0)),
                            ToText(call.shape(1))));
  }
  return Product(call);
}

// A vector on the left is a row, on the right a column; that dim is dropped from the result.
Result<ResultTypeList> MatMulExt(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(2));
  RELAYOUT_RETURN_IF_ERROR(call.ExpectDims(0, 1));
  RELAYOUT_RETURN_IF_ERROR(call.ExpectDims(1, 1));
  std::vector<TensorType> matrices = call.inputs();
  const bool row = call.dim_count(0) == 1;
  const bool column = call.dim_count(1) == 1;
  if (row) matrices[0].shape = {1, call.shape(0)[0]};
  if (column) matrices[1].shape = {call.shape(1)[0], 1};
  RELAYOUT_ASSIGN_OR_RETURN(ResultTypeList results, Product(call.On(matrices)));
  const Dims whole = results[0].shape;
  Dims shape = WithoutLastTwo(whole);
  if (!row) shape.push_back(whole[whole.size() - 2]);
  if (!column) shape.push_back(whole[whole.size() - 1]);
  results[0].shape = shape;
  return results;
}

Result<ResultTypeList> Dense(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(2, 3));
  RELAYOUT_RETURN_IF_ERROR(call.ExpectDims(0, 1));
  const Dims& w = call.shape(1);
  Dims shape = call.shape(0);
  int64_t& last = shape[shape.size() - 1];
  if (w.size() != 2 || w[1] != last) {
    return call.Fail(
        Format("{} columns of {} against a weight of {}", last, ToText(call.shape(0)), ToText(w)));
  }
  last = w[0];
  if (call.count() == 3 && call.shape(2) != Dims{w[0]}) {
    return call.Fail(Format("a bias of {} for a weight of {}", ToText(call.shape(2)), ToText(w)));
  }
  return ResultTypeList{{call.dtype(0), shape}};
}

Result<ResultTypeList> Outer(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(2));
  if (call.dim_count(0) != 1 || call.dim_count(1) != 1) {
    return call.Fail(
        Format("multiplies vectors, here {} by {}", ToText(call.shape(0)), ToText(call.shape(1))));
  }
  return ResultTypeList{
      {CommonType(call.dtype(0), call.dtype(1)), {call.shape(0)[0], call.shape(1)[0]}}};
}

// Something that broadcasts to the product of inputs 1 and 2 is added to it.
Result<ResultTypeList> AddProduct(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(3));
  const std::vector<TensorType> factors = {call.input(1), call.input(2)};
  RELAYOUT_ASSIGN_OR_RETURN(const ResultTypeList product, MatMulExt(call.On(factors)));
  const std::vector<TensorType> sum = {product[0], call.input(0)};
  RELAYOUT_ASSIGN_OR_RETURN(const Dims shape, BroadcastShape(call.On(sum), 0, 2));
  if (shape == product[0].shape) return product;
  return call.Fail(Format("{} does not broadcast to the product's {}", ToText(call.shape(0)),
                          ToText(product[0].shape)));
}

}  // namespace

std::vector<ShapeRule> MatrixShapes() {
  return {{"Addmm", AddProduct},
          {"Addmv", AddProduct},
          {"Baddbmm", AddProduct},
          {"Dot", MatMulExt},
          {"Mm", MatMul},
          {"Mv", MatMulExt},
          {"Outer", Outer},
          {"BatchMatMul", BatchMatMul},
          {"BatchMatMulExt", BatchMatMul},
          {"Dense", Dense},
          {"MatMul", MatMul},
          {"MatMulExt", MatMulExt}};
}

}  // namespace relayout
