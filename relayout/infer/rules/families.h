// SPDX-License-Identifier: Apache-2.0
//
// The families of rules; operator_rule.cc puts them into one table.
#pragma once

#include <vector>

#include "relayout/infer/operator_rule.h"

namespace relayout {

std::vector<OperatorRule> AttentionRules();      // FlashAttentionScore, RotaryPositionEmbedding.
std::vector<OperatorRule> BatchParallelRules();  // Flatten, Dense, NLLLoss: MindSpore has no rule.
std::vector<OperatorRule> ConvolutionRules();    // Conv2D, MaxPool, ResizeBilinearV2.
std::vector<OperatorRule> ElementwiseRules();    // Add, ReLU, Select; with broadcasting; BiasAdd.
std::vector<OperatorRule> GatherRules();         // Gather, GatherD, GatherNd, OneHot.
std::vector<OperatorRule> LossRules();           // SoftmaxCrossEntropyWithLogits, KLDivLoss.
std::vector<OperatorRule> MatrixRules();         // MatMul, BatchMatMul, MatMulExt.
std::vector<OperatorRule> NormalizationRules();  // Softmax, LayerNorm, BatchNorm; TopK, CumSum.
std::vector<OperatorRule> PieceRules();          // Split, Concat, Stack, Slice, StridedSlice.
std::vector<OperatorRule> ReductionRules();      // ReduceSum, MeanExt, Argmax.
std::vector<OperatorRule> ShapeRules();          // Reshape, Transpose, ExpandDims, Tile.

}  // namespace relayout
