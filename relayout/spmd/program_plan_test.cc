// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/program_plan.h"

#include <gtest/gtest.h>

#include <string>

#include "relayout/graph/builder.h"
#include "relayout/graph/training_loss.h"
#include "relayout/infer/infer_strategy.h"

namespace relayout {
namespace {

using Memory = ProgramPlan::Memory;

// On one rank, with backward. What it says of operators is good as long as the graph: not here.
Result<ProgramPlan> PlanOf(const Result<Graph>& graph) {
  RELAYOUT_RETURN_IF_ERROR(graph.status());
  RELAYOUT_ASSIGN_OR_RETURN(const InferredStrategy inferred, InferStrategy(*graph, {}));
  const RankPlace place = RankPlace::Of(0, 1, 1);
  RELAYOUT_ASSIGN_OR_RETURN(const ParameterStore store, ParameterStore::Create(inferred, place));
  return PlanProgram({.network = &inferred, .place = place}, store);
}

// The tensor, or gradient, that owns the memory.
int OwnerOf(const std::vector<Memory>& memories, int index) {
  while (memories[static_cast<size_t>(index)].shares != ProgramPlan::kNone) {
    index = memories[static_cast<size_t>(index)].shares;
  }
  return index;
}

TEST(ProgramPlan, ViewsLieInTheirInputs) {
  NetworkBuilder net;
  const NetworkTensor x = net.Flatten(net.Input("x", {4, 2, 3}));
  const NetworkTensor y = net.MatMul(x, net.Parameter("weight", {6, 8}));
  const NetworkTensor z = net.ReLU(net.Reshape(y, {8, 4}));
  const auto planned = PlanOf(WithLoss(*net.Build({z}), Loss::kMeanSquaredError));
  ASSERT_TRUE(planned.ok()) << planned.status().message();
  const ProgramPlan& plan = *planned;
  const auto owner = [&](size_t run) { return OwnerOf(plan.tensors, plan.runs[run].outputs[0]); };
  EXPECT_EQ(owner(0), plan.feeds[0].tensor);  // Flatten.
  EXPECT_EQ(owner(2), owner(1));              // Reshape, of what MatMul made.
  EXPECT_EQ(owner(3), owner(1));              // ReLU overwrites that.
  const int dz = plan.runs[3].output_gradients[0];
  EXPECT_EQ(OwnerOf(plan.gradients, plan.runs[1].output_gradients[0]), OwnerOf(plan.gradients, dz));
}

TEST(ProgramPlan, NobodyOverwritesWhatOthersRead) {
  NetworkBuilder net;
  const NetworkTensor x = net.Flatten(net.Input("x", {4, 2, 3}));
  const NetworkTensor on_input = net.ReLU(x);
  const NetworkTensor y = net.Tanh(net.MatMul(on_input, net.Parameter("weight", {6, 8})));
  const NetworkTensor twice = net.MatMul(y, net.Parameter("other", {8, 8}));
  const NetworkTensor cut_off = net.ReLU(net.Reshape(y, {8, 4}));
  const NetworkTensor sum = cut_off + net.Reshape(twice, {8, 4});
  const auto planned = PlanOf(WithLoss(*net.Build({sum}), Loss::kMeanSquaredError));
  ASSERT_TRUE(planned.ok()) << planned.status().message();
  const ProgramPlan& plan = *planned;
  const auto owner = [&](size_t run) { return OwnerOf(plan.tensors, plan.runs[run].outputs[0]); };
  EXPECT_NE(owner(1), owner(0));  // ReLU beside what the rank was fed.
  EXPECT_EQ(owner(5), owner(3));  // Reshape of Tanh's result ...
  EXPECT_NE(owner(6), owner(3));  // ... which the MatMul and Tanh read backward.
  // Two contribute to the gradient of Tanh's result: it has memory of its own.
  EXPECT_NE(OwnerOf(plan.gradients, plan.runs[3].output_gradients[0]),
            OwnerOf(plan.gradients, plan.runs[5].output_gradients[0]));
}

}  // namespace
}  // namespace relayout
