// SPDX-License-Identifier: Apache-2.0
//
// Cross entropy against labels, as nn.CrossEntropyLoss and SparseSoftmaxCrossEntropyWithLogits:
//
//   logits f32[32,10], labels i32[32]  ->  the mean over the rows of -log softmax(logits)[label]
//
// Rows whose label is `ignored` count for nothing, neither in the sum nor in the mean. A label that
// is no class and not ignored is the caller's to refuse; LabelsAreClasses tells.
//
// In pieces, for shards: a rank holds some rows, and perhaps some classes only,
//
//   [class_begin, class_begin + logits.shape[1])
//
// log probabilities come from the pieces of softmax.h; each rank picks those that it holds, and
// the sums and counts are added up over the ranks.
#pragma once

#include "relayout/spmd/tensor.h"

namespace relayout::kernels {

inline constexpr int32_t kIgnoredLabel = -100;  // As nn.CrossEntropyLoss.

struct LabelRule {
  int64_t class_begin = 0;  // Of the first column; the others follow.
  int32_t ignored = kIgnoredLabel;
};

// Whether each label is one of [0, class_count), or `ignored`.
bool LabelsAreClasses(const View<const int32_t>& labels, int64_t class_count,
                      int32_t ignored = kIgnoredLabel);

// The rows that count: those whose label is not `ignored`.
int64_t CountedRows(const View<const int32_t>& labels, int32_t ignored = kIgnoredLabel);

// The sum over the rows of -log_probabilities[row, label], of labels that are columns here.
double NllSum(const View<const float>& log_probabilities, const View<const int32_t>& labels,
              LabelRule rule = {});
// The gradient of scale * NllSum: -scale at the labels, else 0.
void NllGradient(const View<const int32_t>& labels, float scale, const View<float>& dx,
                 LabelRule rule = {});

// The mean for whole rows, and log_probabilities for the backward pass. NaN (0/0) without rows that
// count. Backward: SoftmaxCrossEntropyGradient with scale = 1 / counted rows of all ranks, times
// the gradient of the loss.
float SoftmaxCrossEntropy(const View<const float>& logits, const View<const int32_t>& labels,
                          const View<float>& log_probabilities);
// dx = scale (softmax - one at the label), and 0 in ignored rows; from log probabilities, whose
// columns may be a part. dx may be log_probabilities.
void SoftmaxCrossEntropyGradient(const View<const float>& log_probabilities,
                                 const View<const int32_t>& labels, float scale,
                                 const View<float>& dx, LabelRule rule = {});

// Against probabilities of the classes, as SoftmaxCrossEntropyWithLogits: of each row the loss,
// -the sum of labels * log softmax(logits), and softmax(logits) - labels, which is its gradient by
// the logits where the labels add up to 1. `gradient` may be `logits`. Rows may be cut.
// @pre logits, labels and gradient f32[rows,classes], loss f32[rows]
void SoftmaxCrossEntropyOfRows(const View<const float>& logits, const View<const float>& labels,
                               const View<float>& loss, const View<float>& gradient);

}  // namespace relayout::kernels
