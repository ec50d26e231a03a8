// SPDX-License-Identifier: Apache-2.0
//
// What all ranks know alike of a network that they run: how each operator is run, where values come
// from and go to, and which have gradients. What program_plan.cc plans with.
//
//   two stages, layer1 = 0, layer2 = 1       origin  last use  gradient
//   x                                        -       0         no
//   layer1.weight                            0       0         yes
//   #0 MatMul (x, layer1.weight)             0       1         yes      crosses into stage 1
#pragma once

#include <cstdint>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/graph/graph.h"
#include "relayout/spmd/operator_kernel.h"

namespace relayout {

struct InferredStrategy;  // infer_strategy.h

// An operator as it is run, on any stage.
struct PreparedOperator {
  const OperatorKernel* kernel = nullptr;
  OperatorLayout layout;  // As its kernel wants it.

  // The mesh axes along which what it makes are terms of a sum that is still to be made.
  std::vector<int> SumAxes(size_t output) const;
};

class NetworkFacts {
 public:
  static constexpr int64_t kNowhere = -1;

  // `network` must outlive it. Fails when an operator has no kernel, or a result's element type is
  // not one of tensor.h's, naming it.
  static Result<NetworkFacts> Of(const InferredStrategy& network, bool training);

  const Graph& graph() const;
  const PreparedOperator& prepared(OperatorId id) const {
    return prepared_[static_cast<size_t>(id)];
  }
  int64_t StageOf(OperatorId id) const;
  // The stage that an operator's result, or in training a parameter, comes from; kNowhere of inputs
  // and constants, which each stage has.
  int64_t OriginOf(ValueId id) const { return origin_[static_cast<size_t>(id)]; }
  int64_t LastUseOf(ValueId id) const { return last_use_[static_cast<size_t>(id)]; }
  // It is, or is made from, a trained parameter.
  bool HasGradient(ValueId id) const { return has_gradient_[static_cast<size_t>(id)]; }
  // By operators of any stage, and by the network's results.
  int64_t UseCountOf(ValueId id) const { return use_count_[static_cast<size_t>(id)]; }
  // How a stage stores a parameter; null when it does not.
  const Layout* StoredLayoutOf(ValueId parameter, int64_t stage) const;
  // Whether a value comes to `stage` from the one before it.
  bool Crosses(ValueId id, int64_t stage) const {
    return OriginOf(id) != kNowhere && OriginOf(id) < stage && stage <= LastUseOf(id);
  }

 private:
  NetworkFacts(const InferredStrategy& network, bool training);
  Status Add(const Operator& op);
  Status CheckType(ValueId id) const;
  void NoteUses();

  const InferredStrategy* network_;
  std::vector<PreparedOperator> prepared_;  // By OperatorId.
  // By ValueId.
  std::vector<int64_t> origin_;
  std::vector<int64_t> last_use_;
  std::vector<int64_t> use_count_;
  std::vector<bool> has_gradient_;
};

}  // namespace relayout
