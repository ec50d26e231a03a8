// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/kernels/loss.h"

#include <algorithm>

#include "relayout/spmd/kernels/elementwise.h"
#include "relayout/spmd/kernels/library.h"
#include "relayout/spmd/kernels/row_math.h"
#include "relayout/spmd/kernels/softmax.h"
#include "relayout/spmd/kernels/threads.h"

namespace relayout::kernels {
namespace {

void CheckRows(const Dims& shape, const View<const int32_t>& labels) {
  RELAYOUT_CHECK(shape.size() == 2 && labels.size() == shape[0]);
}

// The column of a label, or nothing (-1) when it is not here.
int64_t ColumnOf(int32_t label, int64_t columns, const LabelRule& rule) {
  const int64_t column = label - rule.class_begin;
  return label != rule.ignored && column >= 0 && column < columns ? column : -1;
}

}  // namespace

bool LabelsAreClasses(const View<const int32_t>& labels, int64_t class_count, int32_t ignored) {
  const auto elements = labels.elements();
  return std::all_of(elements.begin(), elements.end(), [&](int32_t label) {
    return label == ignored || (label >= 0 && label < class_count);
  });
}

int64_t CountedRows(const View<const int32_t>& labels, int32_t ignored) {
  const auto elements = labels.elements();
  return labels.size() - std::count(elements.begin(), elements.end(), ignored);
}

double NllSum(const View<const float>& log_probabilities, const View<const int32_t>& labels,
              LabelRule rule) {
  CheckRows(log_probabilities.shape, labels);
  const int64_t columns = log_probabilities.shape[1];
  double sum = 0;
  for (int64_t row = 0; row < labels.size(); ++row) {
    const int64_t column = ColumnOf(labels.data[row], columns, rule);
    if (column >= 0) sum -= static_cast<double>(log_probabilities.data[row * columns + column]);
  }
  return sum;
}

void NllGradient(const View<const int32_t>& labels, float scale, const View<float>& dx,
                 LabelRule rule) {
  CheckRows(dx.shape, labels);
  const int64_t columns = dx.shape[1];
  std::fill(dx.data, dx.data + dx.size(), 0.0F);
  for (int64_t row = 0; row < labels.size(); ++row) {
    const int64_t column = ColumnOf(labels.data[row], columns, rule);
    if (column >= 0) dx.data[row * columns + column] = -scale;
  }
}

float SoftmaxCrossEntropy(const View<const float>& logits, const View<const int32_t>& labels,
                          const View<float>& log_probabilities) {
  CheckRows(logits.shape, labels);
  LogSoftmax(logits, 1, log_probabilities);
  return static_cast<float>(NllSum(log_probabilities, labels) /
                            static_cast<double>(CountedRows(labels)));
}

void SoftmaxCrossEntropyGradient(const View<const float>& log_probabilities,
                                 const View<const int32_t>& labels, float scale,
                                 const View<float>& dx, LabelRule rule) {
  CheckRows(log_probabilities.shape, labels);
  RELAYOUT_CHECK(dx.shape == log_probabilities.shape);
  const int64_t columns = dx.shape[1];
  Apply(Function::kExp, dx.size(), log_probabilities.data, dx.data);
  for (int64_t row = 0; row < labels.size(); ++row) {
    float* const gradient = dx.data + row * columns;
    if (labels.data[row] == rule.ignored) {
      std::fill(gradient, gradient + columns, 0.0F);
      continue;
    }
    const int64_t column = ColumnOf(labels.data[row], columns, rule);
    if (column >= 0) gradient[column] -= 1;
    for (int64_t i = 0; i < columns; ++i) gradient[i] *= scale;
  }
}

void SoftmaxCrossEntropyOfRows(const View<const float>& logits, const View<const float>& labels,
                               const View<float>& loss, const View<float>& gradient) {
  RELAYOUT_CHECK(logits.shape.size() == 2 && labels.shape == logits.shape);
  RELAYOUT_CHECK(gradient.shape == logits.shape && loss.size() == logits.shape[0]);
  LogSoftmax(logits, 1, gradient);
  const int64_t columns = logits.shape[1];
  ForRange(loss.size(), RowGrain(columns), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t offset = row * columns;
      loss.data[row] =
          static_cast<float>(-DotRows(gradient.data + offset, labels.data + offset, columns));
    }
  });
  Apply(Function::kExp, gradient.size(), gradient.data, gradient.data);
  Sub(gradient, labels, gradient);
}

}  // namespace relayout::kernels
