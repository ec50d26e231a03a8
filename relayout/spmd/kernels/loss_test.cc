// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/kernels/loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "relayout/spmd/kernels/arrange.h"
#include "relayout/spmd/kernels/softmax.h"
#include "tests/spmd/testing.h"

namespace relayout::kernels {
namespace {

struct Batch {
  Array logits;
  Tensor labels;
  int64_t counted = 0;
};

Batch RandomBatch(oracle::Random& random) {
  Batch batch;
  batch.logits = RandomArray(random, RandomShape(random, 2, 8), 5);
  const int64_t rows = batch.logits.shape[0];
  batch.labels = Tensor(DType::kInt32, {rows});
  for (int64_t row = 0; row < rows; ++row) {
    const bool ignored = row > 0 && random.OneIn(4);
    batch.labels.i32().data[row] =
        ignored ? kIgnoredLabel : static_cast<int32_t>(random.Below(batch.logits.shape[1]));
    batch.counted += ignored ? 0 : 1;
  }
  return batch;
}

// The mean of log(sum of exp) - logit of the label.
Array NaiveLoss(const Array& logits, const Tensor& labels) {
  const int64_t columns = logits.shape[1];
  double total = 0;
  double count = 0;
  for (int64_t row = 0; row < logits.shape[0]; ++row) {
    const int32_t label = labels.i32().data[row];
    if (label == kIgnoredLabel) continue;
    double sum = 0;
    for (int64_t c = 0; c < columns; ++c) sum += std::exp(logits.at({row, c}));
    total += std::log(sum) - logits.at({row, label});
    ++count;
  }
  return {{}, {total / count}};
}

TEST(SoftmaxCrossEntropy, EqualsLoopsAndDifferences) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    oracle::Random random(seed);
    const Batch batch = RandomBatch(random);
    const Operator64 naive = [&](const std::vector<Array>& inputs) {
      return NaiveLoss(inputs[0], batch.labels);
    };
    EXPECT_EQ(CountedRows(batch.labels.i32()), batch.counted);
    Tensor log_probabilities = Unwritten(batch.logits.shape);
    const float loss = SoftmaxCrossEntropy(ToTensor(batch.logits).f32(), batch.labels.i32(),
                                           log_probabilities.f32());
    EXPECT_NEAR(loss, naive({batch.logits}).values[0], 1e-5);

    const float scale = 3.0F / static_cast<float>(batch.counted);
    const Array want = DifferenceGradient(naive, {batch.logits}, {{}, {3.0}}, 0);
    Tensor dx = Unwritten(batch.logits.shape);
    SoftmaxCrossEntropyGradient(log_probabilities.f32(), batch.labels.i32(), scale, dx.f32());
    ExpectNear(dx, want, 1e-6);

    // The same by way of NLLLoss and LogSoftmax.
    Tensor dlog = Unwritten(batch.logits.shape);
    NllGradient(batch.labels.i32(), scale, dlog.f32());
    LogSoftmaxGradient(log_probabilities.f32(), dlog.f32(), 1, dx.f32());
    ExpectNear(dx, want, 1e-6);
  }
}

// Classes 0 to 2 on the one rank, the others on another.
TEST(SoftmaxCrossEntropy, OfCutClassesIsThatOfTheWhole) {
  oracle::Random random(1);
  Batch batch;
  batch.logits = RandomArray(random, {5, 7}, 5);
  batch.labels = Tensor(DType::kInt32, {5});
  const int32_t labels[] = {0, 2, 3, 6, kIgnoredLabel};
  std::copy(std::begin(labels), std::end(labels), batch.labels.i32().data);
  Tensor whole = Unwritten(batch.logits.shape);
  const float loss =
      SoftmaxCrossEntropy(ToTensor(batch.logits).f32(), batch.labels.i32(), whole.f32());
  Tensor whole_gradient = Unwritten(batch.logits.shape);
  SoftmaxCrossEntropyGradient(whole.f32(), batch.labels.i32(), 0.25F, whole_gradient.f32());

  double sum = 0;
  for (const int64_t begin : {0, 3}) {
    const Dims shape = {5, begin == 0 ? 3 : 4};
    const LabelRule rule{begin, kIgnoredLabel};
    Tensor part = Unwritten(shape);
    Slice(whole.f32(), {0, begin}, {1, 1}, part.f32());
    sum += NllSum(part.f32(), batch.labels.i32(), rule);
    Tensor want = Unwritten(shape);
    Slice(whole_gradient.f32(), {0, begin}, {1, 1}, want.f32());
    SoftmaxCrossEntropyGradient(part.f32(), batch.labels.i32(), 0.25F, part.f32(), rule);
    for (int64_t i = 0; i < part.size(); ++i) {
      EXPECT_NEAR(part.f32().data[i], want.f32().data[i], 1e-7);
    }
    Tensor dlog = Unwritten(shape);
    NllGradient(batch.labels.i32(), 1, dlog.f32(), rule);
    double ones = 0;
    for (const float value : dlog.f32().elements()) ones -= static_cast<double>(value);
    EXPECT_EQ(ones, 2);
  }
  EXPECT_NEAR(sum / 4, static_cast<double>(loss), 1e-6);
}

TEST(LabelsAreClasses, KnowsTheIgnored) {
  Tensor labels(DType::kInt32, {2});
  labels.i32().data[1] = 9;
  EXPECT_TRUE(LabelsAreClasses(labels.i32(), 10));
  EXPECT_FALSE(LabelsAreClasses(labels.i32(), 9));
  labels.i32().data[0] = kIgnoredLabel;
  EXPECT_TRUE(LabelsAreClasses(labels.i32(), 10));
  EXPECT_FALSE(LabelsAreClasses(labels.i32(), 10, -1));
}

TEST(SoftmaxCrossEntropy, OfIgnoredRowsAloneIsNoNumber) {
  Tensor labels(DType::kInt32, {1});
  labels.i32().data[0] = kIgnoredLabel;
  Tensor log_probabilities = Unwritten({1, 3});
  EXPECT_TRUE(std::isnan(SoftmaxCrossEntropy(Tensor(DType::kFloat32, {1, 3}).f32(), labels.i32(),
                                             log_probabilities.f32())));
}

// -the sum of labels * log softmax, of each row.
Array NaiveLossOfRows(const Array& logits, const Array& labels) {
  Array loss = Array::Zeros({logits.shape[0]});
  for (int64_t row = 0; row < logits.shape[0]; ++row) {
    double sum = 0;
    for (int64_t c = 0; c < logits.shape[1]; ++c) sum += std::exp(logits.at({row, c}));
    for (int64_t c = 0; c < logits.shape[1]; ++c) {
      loss.at({row}) -= labels.at({row, c}) * (logits.at({row, c}) - std::log(sum));
    }
  }
  return loss;
}

TEST(SoftmaxCrossEntropyOfRows, EqualsLoopsAndDifferences) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(seed);
    oracle::Random random(seed);
    const Array logits = RandomArray(random, RandomShape(random, 2, 8), 5);
    Array labels = RandomArray(random, logits.shape, 0.5, 0.5);
    // They add up to 1: otherwise what is given is not the gradient.
    for (int64_t row = 0; row < logits.shape[0]; ++row) {
      double sum = 0;
      for (int64_t c = 0; c < logits.shape[1]; ++c) sum += labels.at({row, c});
      for (int64_t c = 0; c < logits.shape[1]; ++c) labels.at({row, c}) /= sum;
    }
    Tensor loss = Unwritten({logits.shape[0]});
    Tensor gradient = ToTensor(logits);
    SoftmaxCrossEntropyOfRows(gradient.f32(), ToTensor(labels).f32(), loss.f32(), gradient.f32());
    ExpectNear(loss, NaiveLossOfRows(logits, labels), 1e-6);
    const Operator64 naive = [&](const std::vector<Array>& inputs) {
      return NaiveLossOfRows(inputs[0], labels);
    };
    Array dy = Array::Zeros({logits.shape[0]});
    for (double& value : dy.values) value = 1;
    ExpectNear(gradient, DifferenceGradient(naive, {logits}, dy, 0), 1e-6);
  }
}

}  // namespace
}  // namespace relayout::kernels
