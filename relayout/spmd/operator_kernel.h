// SPDX-License-Identifier: Apache-2.0
//
// What one rank calculates of one operator, forward and backward: a table of kernels by type.
//
// A rank calls the kernels of kernels/ on the pieces that it holds. Which pieces these are, the
// operator's layouts say; what is missing to the whole afterwards follows from them too:
//
//   MatMul ((2,1),(1,2)) on 8 devices     x (a,-)  w (-,b)  y (a,b)  on mesh {a:2,b:2,c:2}
//
//     forward    y[a,b] = x[a] w[b]           whole: every axis that cuts an input cuts y too
//     backward   dx[a]  = dy[a,b] w[b]^T      a term: b cuts w and dy, but not x   (PartialAxes)
//                dw[b]  = x[a]^T dy[a,b]      a term: a cuts x and dy, but not w
//     c          repeats all of that
//
// PartialAxes(layout, tensor) is this rule: the mesh axes that cut another tensor of the operator
// and not this one. An output that is partial is a sum of terms over these axes (a contracted dim),
// an input's gradient likewise. Sums are made by who runs the operator (program.h), so a kernel
// knows nothing of other ranks, but for the few that are not sums of terms (a mean over rows that
// count): these add up themselves by RankContext::Sum.
//
// A kernel that cannot work on the pieces it is given says by `adapt` what it wants instead: the
// same layouts with fewer cuts. Whoever runs it redistributes before and after.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/comm/comm.h"
#include "relayout/graph/graph.h"
#include "relayout/infer/operator_axes.h"
#include "relayout/layout/box.h"
#include "relayout/spmd/tensor.h"

namespace relayout {

// An operator as one rank of a stage runs it; the same in every step.
struct RankOperator {
  const Graph* graph = nullptr;
  const Operator* op = nullptr;
  // As it is run: after `adapt`. All on one mesh.
  OperatorLayout layout = {};
  int64_t local_rank = 0;
  // What this rank holds of each tensor, in the whole tensor's coordinates.
  std::vector<Box> input_boxes = {};
  std::vector<Box> output_boxes = {};

  const Dims& whole_input(size_t i) const { return graph->value(op->inputs[i]).shape; }
  const Dims& whole_output(size_t i) const { return graph->value(op->outputs[i]).shape; }
};

// The mesh axes along which a tensor of the operator is a term of a sum: they cut another one, and
// not this. Ascending. Axes that cut nothing repeat the calculation.
std::vector<int> PartialAxesOfInput(const OperatorLayout& layout, size_t input);
std::vector<int> PartialAxesOfOutput(const OperatorLayout& layout, size_t output);

// Where and when a kernel runs.
struct RankContext {
  Comm* comm = nullptr;
  int64_t first_rank = 0;  // Of the stage.
  bool training = true;
  uint64_t seed = 0;  // Of what is random (Dropout): the same on all ranks.
  int64_t step = 0;   // Counts micro batches, from 0; the same on all ranks.

  // Replaces `values` by their sums over the ranks of this one's group along `mesh_axes` of the
  // operator's mesh.
  Status Sum(const RankOperator& at, const std::vector<int>& mesh_axes,
             std::span<float> values) const;
};

// Tensors are dense, in the shape of the rank's box. Outputs hold anything before.
struct ForwardCall {
  const RankOperator& at;
  const RankContext& context;
  std::span<const Tensor* const> inputs;
  std::span<Tensor* const> outputs;
  // For the backward pass, beside inputs and outputs: as many tensors as the kernel wants, of any
  // kind. Empty in the first call, and what this rank's last call left in later ones.
  std::vector<Tensor>& kept;
};

struct BackwardCall {
  const RankOperator& at;
  const RankContext& context;
  std::span<const Tensor* const> inputs;
  std::span<const Tensor* const> outputs;
  const std::vector<Tensor>& kept;
  // Null where the loss does not depend on that output.
  std::span<const Tensor* const> output_gradients;
  // To be overwritten; null where nobody wants it. Terms, along PartialAxesOfInput.
  std::span<Tensor* const> input_gradients;
};

struct OperatorKernel {
  std::string_view type;
  Status (*forward)(const ForwardCall& call) = nullptr;
  // Null: no gradient passes (numbers of classes, comparisons).
  Status (*backward)(const BackwardCall& call) = nullptr;
  // Fails when there is no kernel for the operator's attributes or element types, naming it.
  // Null: there always is.
  Status (*check)(const Graph& graph, const Operator& op) = nullptr;
  // Takes out cuts that the kernel cannot work with. Null: it works with all that infer/ makes.
  void (*adapt)(const Graph& graph, const Operator& op, OperatorLayout& layout) = nullptr;
  // What backward reads, so that the rest need not be kept: bit i for input i, output i.
  uint32_t reads_inputs = ~uint32_t{0};
  uint32_t reads_outputs = ~uint32_t{0};
  // Output 0 may be input 0's tensor (if that has its shape, and backward does not read it), and
  // input 0's gradient that of output 0.
  bool in_place = false;
  // Output 0 has the elements of input 0 in their order, whatever their shapes: it may lie in its
  // memory also where that is read by others, and input 0's gradient in that of output 0's.
  bool is_view = false;
  // forward gives the outputs whole, having added up by RankContext::Sum what PartialAxesOfOutput
  // says: nobody is to add them up once more. Gradients of inputs are terms as ever.
  bool sums_outputs = false;
};

// The kernel for `op`, or an error that names the operator and its type. Checked.
Result<const OperatorKernel*> KernelOf(const Graph& graph, const Operator& op);
// Every type that has one, ascending.
std::vector<std::string_view> KernelTypes();

// `layout` with every tensor whole on every rank; the mesh stays.
void RunWhole(OperatorLayout& layout);

}  // namespace relayout
