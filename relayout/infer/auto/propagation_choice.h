// SPDX-License-Identifier: Apache-2.0
//
// Choices: the ways to cut an operator among which propagation chooses, as MindSpore lists them.
//
//   MatMul x[32,64] w[64,64] on 4 devices   (m,k,n) = (1,1,1) (1,1,2) (1,1,4) (1,2,1) (1,2,2) ...
//
// Cuts are powers of two whose product divides the devices, ascending. Where the devices have an
// odd factor, it goes to one axis whole, and last comes no cut at all. The order decides between
// choices that cost the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/graph/graph.h"
#include "relayout/infer/auto/mindspore_cost.h"
#include "relayout/infer/operator_axes.h"
#include "relayout/infer/operator_rule.h"

namespace relayout {

// A way to cut an operator. A Reshape's has layouts only.
struct Choice {
  AxisCuts cuts;
  OperatorLayout layout;
  MindsporeCost cost;  // Of the operator itself.
};

// What an operator may be: what all operators alike may be, which they share, and more of its own.
class ChoiceList {
 public:
  void Share(std::shared_ptr<const std::vector<Choice>> shared) { shared_ = std::move(shared); }
  void Add(Choice choice) { own_.push_back(std::move(choice)); }
  // Only choice `index` is left.
  void Keep(size_t index) {
    Choice kept = (*this)[index];
    own_.clear();
    own_.push_back(std::move(kept));
    shared_ = nullptr;
  }

  size_t size() const { return shared_size() + own_.size(); }
  bool empty() const { return size() == 0; }
  const Choice& operator[](size_t index) const {
    return index < shared_size() ? (*shared_)[index] : own_[index - shared_size()];
  }

 private:
  size_t shared_size() const { return shared_ == nullptr ? 0 : shared_->size(); }

  std::shared_ptr<const std::vector<Choice>> shared_;
  std::vector<Choice> own_;
};

// What an operator may be: one choice as annotated, or all that fit. At least one; fails, naming
// the operator, when an annotation does not fit, or nothing does.
Result<std::vector<Choice>> ChoicesOf(const Graph& graph, const Operator& op,
                                      const OperatorRule& rule, const OperatorAxes& axes,
                                      bool is_configured, int64_t device_count);

// Each dim of a tensor an axis; its layout is that of input and output.
std::vector<Choice> ChoicesOfTensor(const Dims& shape, int64_t device_count);

// Takes a neighbour's mesh as it is: for each choice that cuts the inputs as `inputs` (one layout
// for each) do, adds one with these very layouts, where its outputs can follow. `op` and `axes` are
// null for what is no operator: its outputs lie as its inputs.
void AddOnMeshOf(const std::vector<Layout>& inputs, const Graph& graph, const Operator* op,
                 const OperatorAxes* axes, int64_t device_count, ChoiceList& choices);

}  // namespace relayout
