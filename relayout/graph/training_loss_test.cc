// SPDX-License-Identifier: Apache-2.0
#include "relayout/graph/training_loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "relayout/format/testing.h"
#include "relayout/graph/builder.h"
#include "relayout/graph/global_batch.h"
#include "relayout/graph/mindir.h"
#include "relayout/io/memory_file_system.h"

namespace relayout {
namespace {

using ::testing::HasSubstr;

Graph Network(const Dims& result, DType dtype = DType::kFloat32) {
  NetworkBuilder net;
  const NetworkTensor x = net.Input("x", result, dtype);
  return *net.Build({net.ReLU(x)});
}

TEST(TrainingLoss, StandsBehindTheNetwork) {
  const std::pair<Loss, std::string> kCases[] = {
      {Loss::kCrossEntropy,
       "x input f32[32,10]\n"
       "label input i32[32]\n"
       "#0 ReLU (x) -> f32[32,10]\n"
       "#1 CrossEntropyLoss (#0, label) -> f32[] f32[32,10] f32[0] f32[0] reduction='mean' "
       "ignore_index=-100\n"
       "return #1.0\n"},
      {Loss::kSoftmaxCrossEntropy,
       "x input f32[32,10]\n"
       "label input i32[32]\n"
       "#0 ReLU (x) -> f32[32,10]\n"
       "#1 SparseSoftmaxCrossEntropyWithLogits (#0, label) -> f32[] is_grad=false\n"
       "return #1\n"},
      {Loss::kMeanSquaredError,
       "x input f32[32,10]\n"
       "label input f32[32,10]\n"
       "#0 ReLU (x) -> f32[32,10]\n"
       "#1 Sub (#0, label) -> f32[32,10]\n"
       "#2 Square (#1) -> f32[32,10]\n"
       "#3 ReduceMean (#2) -> f32[] axis=()\n"
       "return #3\n"},
  };
  for (const auto& [loss, want] : kCases) {
    const auto trained = WithLoss(Network({32, 10}), loss);
    ASSERT_TRUE(trained.ok()) << trained.status().message();
    EXPECT_EQ(ToText(*trained), want);
    // The batch of all devices grows the labels too.
    const auto grown = WithGlobalBatch(*trained, 4);
    ASSERT_TRUE(grown.ok()) << grown.status().message();
    EXPECT_EQ(grown->value(grown->inputs().back()).shape[0], 128);
  }
}

// As long as its sentences are many, so that a length alone does not tell the batch.
TEST(TrainingLoss, IsDealtToMicroBatchesWithTheNetwork) {
  MemoryFileSystem fs;
  fs.SetFile("gpt.mindir", testing_support::ReadTestData("spmd/gpt.mindir"));
  const auto graph = ReadMindir(fs, "gpt.mindir", {.constants = true});
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  const auto trained = WithLoss(*graph, Loss::kCrossEntropy);
  ASSERT_TRUE(trained.ok()) << trained.status().message();
  const auto dealt = WithMicroBatches(*trained, 4);
  ASSERT_TRUE(dealt.ok()) << dealt.status().message();
  EXPECT_EQ(dealt->value(dealt->inputs()[0]).shape, (Dims{2, 8}));
  EXPECT_EQ(dealt->value(dealt->inputs()[1]).shape, (Dims{16}));
  for (size_t id = 0; id < dealt->values().size(); ++id) {
    if (dealt->values()[id].role != ValueRole::kConstant) continue;
    EXPECT_EQ(dealt->values()[id].shape, (Dims{8, 8}));
    EXPECT_EQ(dealt->values()[id].bytes, graph->values()[id].bytes);
  }
}

TEST(TrainingLoss, MseTakesAnyShape) {
  const auto trained = WithLoss(Network({2, 3, 4}), Loss::kMeanSquaredError);
  ASSERT_TRUE(trained.ok());
  EXPECT_EQ(trained->value(trained->inputs()[1]).shape, (Dims{2, 3, 4}));
  EXPECT_EQ(trained->op(1).name, "Default/_loss_fn-MSELoss/Sub-op0");
}

std::string ErrorOf(const Result<Graph>& graph) {
  return graph.ok() ? "none" : graph.status().message();
}

TEST(TrainingLoss, SaysWhatDoesNotFit) {
  EXPECT_EQ(ErrorOf(WithLoss(Network({2, 3, 4}), Loss::kCrossEntropy)),
            "the loss cross_entropy is of f32[rows,classes]; the network returns the result of "
            "ReLU 'Default/ReLU-op0', f32[2,3,4]. Reshape it so that each row has the scores of "
            "all classes");
  EXPECT_THAT(ErrorOf(WithLoss(Network({8}), Loss::kSoftmaxCrossEntropy)),
              HasSubstr("softmax_cross_entropy is of f32[rows,classes]; the network returns"));
  EXPECT_THAT(ErrorOf(WithLoss(Network({2, 3}, DType::kFloat16), Loss::kMeanSquaredError)),
              HasSubstr("is of f32 numbers; the network returns the result of ReLU "
                        "'Default/ReLU-op0', f16[2,3]. Cast it to f32"));
  NetworkBuilder two;
  const NetworkTensor x = two.Input("x", {4, 2});
  EXPECT_EQ(ErrorOf(WithLoss(*two.Build({x, x}), Loss::kCrossEntropy)),
            "the loss cross_entropy is of one tensor; the network returns 2");
  const auto once = WithLoss(Network({32, 10}), Loss::kCrossEntropy);
  EXPECT_EQ(ErrorOf(WithLoss(*once, Loss::kCrossEntropy)),
            "the network has an input 'label' of its own, i32[32]: it seems to have its loss");
}

TEST(TrainingLoss, NamesAreRead) {
  for (const Loss loss :
       {Loss::kCrossEntropy, Loss::kSoftmaxCrossEntropy, Loss::kMeanSquaredError}) {
    EXPECT_EQ(*ParseLoss(ToText(loss)), loss);
  }
  EXPECT_EQ(ParseLoss("mse").status().message(),
            "there is no loss 'mse'; there are cross_entropy, softmax_cross_entropy, "
            "mean_squared_error");
}

}  // namespace
}  // namespace relayout
