// SPDX-License-Identifier: Apache-2.0
#include "examples/tutorial/digits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/train/initializer.h"
#include "relayout/train/mnist_dataset.h"
#include "tests/spmd/mlp.h"

namespace relayout {
namespace {

TEST(Digits, DependOnNumberAndSeed) {
  const Digits whole = DrawDigits(10, 8, 1);
  EXPECT_EQ(whole.images.shape, (Dims{8, 28, 28}));
  EXPECT_EQ(whole.labels.shape, (Dims{8}));
  ASSERT_EQ(whole.images.values.size(), 8U * 784);
  const Digits part = DrawDigits(13, 2, 1);
  EXPECT_TRUE(std::equal(part.images.values.begin(), part.images.values.end(),
                         whole.images.values.begin() + 3 * 784));
  EXPECT_EQ(part.labels.values[1], whole.labels.values[4]);
  EXPECT_NE(DrawDigits(13, 2, 2).images, part.images);
  EXPECT_NE(DrawDigits(14, 2, 1).images, part.images);
}

TEST(Digits, LookLikeMnists) {
  const Digits digits = DrawDigits(0, 2000, 1);
  double sum = 0;
  for (const uint8_t value : digits.images.values) sum += value;
  const double mean = sum / static_cast<double>(digits.images.values.size()) / 255;
  EXPECT_NEAR(mean, 0.1307, 0.03);
  std::array<int, 10> counts{};
  for (const uint8_t label : digits.labels.values) ++counts.at(label);
  for (const int count : counts) EXPECT_NEAR(count, 200, 60);
}

struct Batches {
  MnistDataset train;
  MnistDataset test;
};

Batches MakeBatches(int64_t train_count, int64_t test_count) {
  BatchOptions options;
  options.batch_size = 32;
  options.shuffle_seed = 1;
  Digits train = DrawDigits(0, train_count, 1);
  Digits test = DrawDigits(int64_t{1} << 40, test_count, 1);
  return {*MnistDataset::FromArrays(std::move(train.images), std::move(train.labels), options),
          *MnistDataset::FromArrays(std::move(test.images), std::move(test.labels), options)};
}

void Initialize(Tensor& value, const std::string& name, double bound) {
  Initializer uniform;
  uniform.kind = Initializer::Kind::kUniform;
  uniform.scale = bound;
  const Dims& shape = value.shape();
  ASSERT_TRUE(
      InitializeShard(uniform, 1, name, shape, Box::Whole(shape), value.f32().elements()).ok());
}

double Accuracy(Mlp& mlp, const MnistDataset& dataset) {
  int64_t right = 0;
  for (int64_t i = 0; i < dataset.batch_count(); ++i) {
    std::vector<Tensor> batch = *dataset.Batch(0, i);
    batch[0].Reshape({batch[1].size(), 784});
    mlp.Forward(std::as_const(batch[0]).f32());
    const std::span<const float> logits = mlp.layers().back().y.f32().elements();
    for (int64_t row = 0; row < batch[1].size(); ++row) {
      const auto* begin = &logits[static_cast<size_t>(10 * row)];
      right += std::max_element(begin, begin + 10) - begin == batch[1].i32().data[row];
    }
  }
  return static_cast<double>(right) / static_cast<double>(dataset.batch_count() * 32);
}

// What they are for: the tutorial's network learns them in some hundred steps of plain SGD.
TEST(Digits, CanBeLearned) {
  const auto [train, test] = MakeBatches(2048, 512);
  Mlp mlp(32, {784, 128, 128, 10});
  for (size_t i = 0; i < 3; ++i) {
    Tensor& weight = mlp.layers()[i].weight;
    const double inputs = static_cast<double>(weight.shape()[0]);
    Initialize(weight, Format("layer{}.weight", i + 1), 1 / std::sqrt(inputs));
  }
  MlpOptimizer sgd;
  sgd.learning_rate = 0.1F;
  EXPECT_LT(Accuracy(mlp, test), 0.3);
  for (int64_t step = 0; step < 320; ++step) {
    std::vector<Tensor> batch = *train.Batch(step / train.batch_count(), step % 64);
    batch[0].Reshape({32, 784});
    mlp.Step(std::as_const(batch[0]).f32(), std::as_const(batch[1]).i32(), sgd);
  }
  const double accuracy = Accuracy(mlp, test);
  RecordProperty("accuracy", Format("{}", accuracy));
  EXPECT_GT(accuracy, 0.9);
}

}  // namespace
}  // namespace relayout
