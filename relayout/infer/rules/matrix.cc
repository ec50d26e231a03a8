// SPDX-License-Identifier: Apache-2.0
//
//   MatMul        x[m,k] w[k,n]               -> y[m,n]           mesh m k n
//   BatchMatMul   x[b..,m,k] w[b..,k,n]       -> y[b..,m,n]       mesh b.. m k n
//
// transpose_a and transpose_b (or transpose_x1, ...) exchange the last two dims of an input. Batch
// dims broadcast. MatMulExt and BatchMatMulExt are the same without transposition.
#include <algorithm>
#include <numeric>

#include "relayout/base/text.h"
#include "relayout/infer/rules/default_cuts.h"
#include "relayout/infer/rules/dims.h"
#include "relayout/infer/rules/families.h"

namespace relayout {
namespace {

struct MatrixDims {
  size_t rows = 0;  // Which dim of the input.
  size_t columns = 0;
};

MatrixDims LastTwo(const Dims& shape, bool transposed) {
  const size_t last = shape.size() - 1;
  return transposed ? MatrixDims{last, last - 1} : MatrixDims{last - 1, last};
}

// The axes of batch dims [0, count) of an output of `batch`, for an input with `own` such dims.
std::vector<int> BatchDims(const Dims& shape, size_t own, const std::vector<int>& batch) {
  std::vector<int> dims;
  for (size_t d = 0; d < own; ++d) {
    dims.push_back(shape[d] == 1 ? OperatorAxes::kWhole : batch[batch.size() - own + d]);
  }
  return dims;
}

Result<OperatorAxes> MatrixAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectTensors(op, 2, 1));
  const Dims& x = graph.value(op.inputs[0]).shape;
  const Dims& w = graph.value(op.inputs[1]).shape;
  const Dims& y = graph.value(op.outputs[0]).shape;
  if (x.size() < 2 || w.size() < 2 || y.size() != std::max(x.size(), w.size())) {
    return InvalidInput(Format("{}: multiplies {} by {} into {}, which are not matrices",
                               Describe(op), ToText(x), ToText(w), ToText(y)));
  }
  const MatrixDims of_x = LastTwo(x, op.attributes.GetBool("transpose_a", false));
  const MatrixDims of_w = LastTwo(w, op.attributes.GetBool("transpose_b", false));
  const size_t batch_count = y.size() - 2;
  if (x[of_x.columns] != w[of_w.rows] || x[of_x.rows] != y[batch_count] ||
      w[of_w.columns] != y[batch_count + 1]) {
    return InvalidInput(
        Format("{}: {} by {} cannot make {}", Describe(op), ToText(x), ToText(w), ToText(y)));
  }
  OperatorAxes axes;
  std::vector<int> output;
  for (size_t d = 0; d < batch_count; ++d) output.push_back(AddAxis(axes, y[d]));
  std::vector<int> of_input_x = BatchDims(x, x.size() - 2, output);
  std::vector<int> of_input_w = BatchDims(w, w.size() - 2, output);
  const int m = AddAxis(axes, y[batch_count]);
  const int k = AddAxis(axes, x[of_x.columns]);
  const int n = AddAxis(axes, y[batch_count + 1]);
  of_input_x.resize(x.size());
  of_input_x[of_x.rows] = m;
  of_input_x[of_x.columns] = k;
  of_input_w.resize(w.size());
  of_input_w[of_w.rows] = k;
  of_input_w[of_w.columns] = n;
  output.push_back(m);
  output.push_back(n);
  axes.inputs = {std::move(of_input_x), std::move(of_input_w)};
  axes.outputs = {std::move(output)};
  return axes;
}

// The rows of x, or its batch; and w's batch, if it has one.
Cuts BatchCuts(const Graph& graph, const Operator& op, const OperatorAxes& axes,
               int64_t device_count) {
  const Dims& x = graph.value(op.inputs[0]).shape;
  const Dims& w = graph.value(op.inputs[1]).shape;
  const size_t dim_count = std::max(x.size(), w.size());
  if (dim_count > 2) {
    return CutBatches(graph, op, {x.size() == dim_count, w.size() == dim_count}, device_count);
  }
  // Also of a transposed x.
  const size_t rows = axes.inputs[0][0] == axes.outputs[0][0] ? 0 : 1;
  Cuts cuts = WholeCuts(graph, op);
  cuts[0][rows] = std::gcd(x[rows], device_count);
  return cuts;
}

}  // namespace

std::vector<OperatorRule> MatrixRules() {
  std::vector<OperatorRule> rules;
  for (const std::string_view type : {"BatchMatMul", "BatchMatMulExt", "MatMul", "MatMulExt"}) {
    rules.push_back({.type = type, .axes = MatrixAxes, .default_cuts = BatchCuts});
  }
  return rules;
}

}  // namespace relayout
