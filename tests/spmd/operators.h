// SPDX-License-Identifier: Apache-2.0
//
// For tests of kernels of operators: what ranks make of their pieces, put together, against what
// one rank makes of the whole.
//
//   ExpectSameOnPieces({"MatMul", "f32[8,4] f32[4,8]"});
//   ExpectSameOnPieces({"Split", "f32[8,6]", {{"axis", 1}, {"output_num", 3}}, 0b101});
//
// The layouts are those that infer/ makes of cuts of the operator's axes, on 1 to 8 ranks, then
// adapted. A term is added up over PartialAxes by plain code. What a kernel says it does not read
// is not there in its backward pass; what it may do in place it does as well.
//
// All of it is compiled once, in operators.cc: with sanitizers it takes a compiler twenty seconds,
// which each of the tests would otherwise pay.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/comm/thread_comm.h"
#include "relayout/graph/operator_shapes.h"
#include "relayout/infer/operator_rule.h"
#include "relayout/spmd/operator_kernel.h"
#include "tests/oracle/random.h"

namespace relayout::testing {

struct OperatorCase {
  std::string type;
  std::string inputs;  // "f32[8,4] i32[8]".
  Attributes attributes = {};
  // The outputs from which gradients come: bit i for output i.
  uint32_t output_gradients = 1;
  // Values of f32 inputs are in [lowest, highest], of i32 in [0, id_count).
  double lowest = -2;
  double highest = 2;
  int64_t id_count = 4;
  double tolerance = 1e-5;
};

std::string ToText(const OperatorCase& c);
std::string ToText(const OperatorLayout& layout);

// A graph of the one operator.
class OneOperator {
 public:
  explicit OneOperator(const OperatorCase& c);
  const Graph& graph() const { return graph_; }
  const Operator& op() const { return graph_.op(0); }
  const Value& input(size_t i) const { return graph_.value(op().inputs[i]); }
  const Value& output(size_t i) const { return graph_.value(op().outputs[i]); }

 private:
  Graph graph_;
};

// A kernel's answer to an operator on inputs of these types: OK, or why there is none.
Status KernelStatus(const std::string& type, const std::string& inputs, Attributes attributes = {});

bool HaveSameBytes(const Tensor& a, const Tensor& b);

// Each element within tolerance * the largest magnitude of `want` (at least 1); i32 the same.
void ExpectClose(const Tensor& got, const Tensor& want, double tolerance);

struct WholeTensors {
  std::vector<Tensor> inputs;
  std::vector<Tensor> output_gradients;
};

WholeTensors RandomTensors(oracle::Random& random, const OperatorCase& c, const OneOperator& one);

// What a rank made.
struct Made {
  std::vector<Tensor> outputs;
  std::vector<Tensor> input_gradients;
};

// One rank's part: forward, forward again with what the first call kept, backward, backward for
// each input alone, and in place what may be done in place, all of which have to agree.
class RankRun {
 public:
  RankRun(const OneOperator& one, const OperatorKernel& kernel, const OperatorLayout& layout,
          Comm& comm, const RankContext& context);

  Status Run(const OperatorCase& c, const WholeTensors& whole, Made& made);

 private:
  Box BoxOf(const Layout& layout, const Dims& shape) const;
  Status Forward(Made& made);
  Status ForwardInPlace(Made& made);
  Status Backward(const OperatorCase& c, Made& made, uint32_t wanted,
                  std::vector<Tensor>& input_gradients, Tensor* first = nullptr);
  Status BackwardOfOne(const OperatorCase& c, Made& made, size_t input);
  Status BackwardInPlace(const OperatorCase& c, Made& made);

  const OneOperator& one_;
  const OperatorKernel& kernel_;
  RankContext context_;
  RankOperator at_;
  std::vector<Tensor> inputs_;
  std::vector<Tensor> gradients_;
  std::vector<Tensor> kept_;
};

// What each rank makes under `layout`.
std::vector<Made> RunOnRanks(const OperatorCase& c, const OneOperator& one,
                             const OperatorKernel& kernel, const OperatorLayout& layout,
                             const WholeTensors& whole, const RankContext& context = {});

OperatorLayout OnOneRank(const OneOperator& one);

// What the ranks make under `layout`, adapted, is what `want` has of the whole.
void ExpectSameUnder(const OperatorCase& c, const OneOperator& one, const OperatorKernel& kernel,
                     OperatorLayout layout, const WholeTensors& whole, const Made& want,
                     const RankContext& context);

// ExpectSameUnder, under layouts picked at random.
void ExpectSameOnPieces(const OperatorCase& c);

}  // namespace relayout::testing
