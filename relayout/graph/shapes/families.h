// SPDX-License-Identifier: Apache-2.0
//
// The families of rules for shapes; operator_shapes.cc puts them into one table.
#pragma once

#include <vector>

#include "relayout/graph/shapes/call.h"

namespace relayout {

std::vector<ShapeRule> ElementwiseShapes();  // ReLU, Cast; Add, Equal, Select, with broadcasting.
std::vector<ShapeRule> MatrixShapes();       // MatMul, BatchMatMul, Dense.
std::vector<ShapeRule> NormalizingShapes();  // Softmax, LayerNorm, BatchNorm, Dropout.
std::vector<ShapeRule> ReducingShapes();     // ReduceSum, MeanExt, Argmax.
std::vector<ShapeRule> ReshapingShapes();    // Reshape, Flatten, Transpose, Tile.
std::vector<ShapeRule> PartingShapes();      // Split, Concat, Stack, StridedSlice.
std::vector<ShapeRule> LookupShapes();       // Gather, OneHot.
std::vector<ShapeRule> LossShapes();         // SoftmaxCrossEntropyWithLogits, NLLLoss.
std::vector<ShapeRule> AttentionShapes();    // FlashAttentionScore, RotaryPositionEmbedding.
std::vector<ShapeRule> CreatingShapes();     // Zeros, FillV2, Arange.
std::vector<ShapeRule> WindowShapes();       // Conv2D, MaxPool.

}  // namespace relayout
