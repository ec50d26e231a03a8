// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/dataset.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "relayout/base/text.h"

namespace relayout {
namespace {

// f32[rows,2] with 10 r and 10 r + 1 in row r, and i32[rows] with r.
std::vector<Tensor> MakeTensors(int64_t rows) {
  std::vector<Tensor> tensors;
  tensors.emplace_back(DType::kFloat32, Dims{rows, 2});
  tensors.emplace_back(DType::kInt32, Dims{rows});
  for (int64_t r = 0; r < rows; ++r) {
    tensors[0].f32().data[2 * r] = static_cast<float>(10 * r);
    tensors[0].f32().data[2 * r + 1] = static_cast<float>(10 * r + 1);
    tensors[1].i32().data[r] = static_cast<int32_t>(r);
  }
  return tensors;
}

BatchOptions Options(int64_t batch_size) {
  BatchOptions options;
  options.batch_size = batch_size;
  return options;
}

std::string LabelsOf(const Dataset& dataset, int64_t epoch, int64_t index) {
  const auto batch = dataset.Batch(epoch, index);
  if (!batch.ok()) return batch.status().message();
  std::string text;
  for (const int32_t label : (*batch)[1].i32().elements()) text += Format("{} ", label);
  return text;
}

TEST(TensorDataset, GivesRowsThatBelongTogether) {
  BatchOptions options = Options(4);
  options.shuffle_seed = 1;
  options.drop_remainder = false;
  const auto dataset = TensorDataset::Create({"x", "label"}, MakeTensors(10), options);
  ASSERT_TRUE(dataset.ok()) << dataset.status().message();
  EXPECT_EQ(dataset->batch_count(), 3);
  EXPECT_EQ(dataset->names(), (std::vector<std::string>{"x", "label"}));
  EXPECT_EQ(dataset->types(), (std::vector<TensorType>{{DType::kFloat32, {4, 2}},  //
                                                       {DType::kInt32, {4}}}));
  int64_t rows = 0;
  for (int64_t i = 0; i < 3; ++i) {
    const auto batch = *dataset->Batch(0, i);
    ASSERT_EQ(batch.size(), 2U);
    EXPECT_EQ(batch[0].shape(), (Dims{i == 2 ? 2 : 4, 2}));
    for (int64_t r = 0; r < batch[1].size(); ++r, ++rows) {
      const auto label = static_cast<float>(batch[1].i32().data[r]);
      EXPECT_EQ(batch[0].f32().data[2 * r], 10 * label);
      EXPECT_EQ(batch[0].f32().data[2 * r + 1], 10 * label + 1);
    }
  }
  EXPECT_EQ(rows, 10);
  EXPECT_NE(LabelsOf(*dataset, 0, 0), LabelsOf(*dataset, 1, 0));
  EXPECT_EQ(LabelsOf(*dataset, 1, 0), LabelsOf(*dataset, 1, 0));
}

TEST(TensorDataset, IsDividedWithoutCopies) {
  const auto whole = *TensorDataset::Create({"x", "label"}, MakeTensors(8), Options(4));
  EXPECT_EQ(LabelsOf(whole, 0, 1), "4 5 6 7 ");
  BatchOptions options = Options(2);
  options.num_shards = 2;
  options.shard_id = 1;
  const auto shard = whole.With(options);
  ASSERT_TRUE(shard.ok());
  EXPECT_EQ(LabelsOf(*shard, 0, 0), "2 3 ");
  EXPECT_EQ(LabelsOf(*shard, 0, 1), "6 7 ");
  options.batch_size = 5;
  EXPECT_FALSE(whole.With(options).ok());
}

TEST(TensorDataset, TellsWhatIsWrong) {
  const auto failure = [](std::vector<std::string> names, std::vector<Tensor> tensors) {
    const auto dataset = TensorDataset::Create(std::move(names), std::move(tensors), Options(2));
    return dataset.ok() ? "" : dataset.status().message();
  };
  EXPECT_EQ(failure({}, {}),
            "a dataset of 0 tensors and 0 names; it takes a name for each tensor, and one tensor "
            "at least");
  EXPECT_EQ(failure({"x"}, MakeTensors(2)),
            "a dataset of 2 tensors and 1 name; it takes a name for each tensor, and one tensor "
            "at least");
  std::vector<Tensor> tensors = MakeTensors(4);
  tensors[1] = Tensor(DType::kInt32, {3});
  EXPECT_EQ(failure({"x", "label"}, std::move(tensors)),
            "label has 3 rows, and x has 4; row i of each belongs together");
  tensors = MakeTensors(4);
  tensors[1] = Tensor(DType::kInt32, {});
  EXPECT_EQ(failure({"x", "label"}, std::move(tensors)),
            "label: a number, []; dim 0 of a dataset's tensors counts rows");
  EXPECT_EQ(failure({"x", "label"}, MakeTensors(1)),
            "1 row: too few for a batch of 2 rows; take a smaller batch_size");
  const auto dataset = *TensorDataset::Create({"x", "label"}, MakeTensors(4), Options(2));
  EXPECT_EQ(LabelsOf(dataset, 0, 2), "batch 2 of epoch 0: an epoch has batches 0 to 1");
}

}  // namespace
}  // namespace relayout
