// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/batch_rules.h"

#include <gtest/gtest.h>

#include <utility>

namespace relayout {
namespace {

const BatchRules kRules{.names = {"x", "label"},
                        .types = {{DType::kFloat32, {2, 3}}, {DType::kInt32, {2}}},
                        .class_count = 4,
                        .ignored = -100};

std::vector<Tensor> BatchOf(const Dims& x, const Dims& label, int32_t second_label) {
  std::vector<Tensor> batch;
  batch.emplace_back(DType::kFloat32, x);
  batch.emplace_back(DType::kInt32, label);
  if (label == Dims{2}) batch[1].i32().data[1] = second_label;
  return batch;
}

TEST(BatchRules, SayWhatIsWrong) {
  struct Case {
    Dims x, label;
    int32_t second_label;
    std::string want;
  };
  const Case cases[] = {
      {{2, 3}, {2}, 3, ""},
      {{2, 3}, {2}, -100, ""},
      {{2, 3}, {2}, 4, "label: row 1 is 4, which is none of the 4 classes"},
      {{2, 3}, {2}, -1, "label: row 1 is -1, which is none of the 4 classes"},
      {{1, 3}, {2}, 0, "x is f32[1,3], but the network was built for f32[2,3]"},
      {{2, 3}, {3}, 0, "label is i32[3], but the network was built for i32[2]"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(CheckBatch(kRules, BatchOf(c.x, c.label, c.second_label)).message(), c.want);
  }
  std::vector<Tensor> one = BatchOf({2, 3}, {2}, 0);
  one.pop_back();
  EXPECT_EQ(CheckBatch(kRules, one).message(),
            "the batch has 1 tensor, but the network was built for 2");
}

TEST(BatchRules, WithoutClassesAnyNumberWillDo) {
  BatchRules rules = kRules;
  rules.class_count = 0;
  EXPECT_TRUE(CheckBatch(rules, BatchOf({2, 3}, {2}, 1000)).ok());
}

}  // namespace
}  // namespace relayout
