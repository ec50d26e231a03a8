// SPDX-License-Identifier: Apache-2.0
#include "relayout/graph/operator_types.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "relayout/base/text.h"

namespace relayout {
namespace {

// "input mat2 transpose_a= transpose_b=", as in the table.
std::string OperandText(std::string_view type) {
  const std::optional<std::vector<Operand>> operands = FindOperands(type);
  if (!operands) return "unknown";
  std::string text;
  for (const Operand& operand : *operands) {
    text += Format("{}{}{}", text.empty() ? "" : " ", operand.name, operand.is_tensor ? "" : "=");
  }
  return text;
}

TEST(OperatorTypesTest, OperandsAreMindSporesInItsOrder) {
  const std::pair<const char*, const char*> kCases[] = {
      {"Abs", "input"},  // The first and the last of the table.
      {"ZerosLikeExt", "input dtype="},
      {"MatMul", "input mat2 transpose_a= transpose_b="},
      {"Concat", "tensors axis="},
      {"GatherD", "x dim= index"},
      {"Arange", "start= end= step= dtype="},
      {"LayerNorm", "input_x gamma beta begin_norm_axis= begin_params_axis= epsilon="},
      {"", "unknown"},
      {"matmul", "unknown"},
      {"MatMulX", "unknown"},
      {"~", "unknown"},
  };
  for (const auto& [type, operands] : kCases) EXPECT_EQ(OperandText(type), operands) << type;
}

TEST(OperatorTypesTest, InputOfKnowsWhatIsLeftOut) {
  Operator op;
  op.type = "FlashAttentionScore";
  op.inputs = {0, 1, 2, 3};
  op.attributes.Set(kAbsentOperands, std::string("real_shift drop_mask padding_mask"));
  EXPECT_EQ(InputOf(op, "query"), 0U);
  EXPECT_EQ(InputOf(op, "value"), 2U);
  EXPECT_EQ(InputOf(op, "attn_mask"), 3U);
  EXPECT_EQ(InputOf(op, "drop_mask"), std::nullopt);
  EXPECT_EQ(InputOf(op, "head_num"), std::nullopt);
  EXPECT_EQ(InputOf(op, "no such"), std::nullopt);

  op.attributes.Set(kAbsentOperands, std::string("drop_mask padding_mask attn_mask"));
  EXPECT_EQ(InputOf(op, "real_shift"), 3U);
  op.inputs.pop_back();  // None behind the last tensor is not noted.
  EXPECT_EQ(InputOf(op, "real_shift"), std::nullopt);
}

TEST(OperatorTypesTest, ANumberInPlaceOfATensorIsNoInput) {
  Operator op;
  op.type = "Select";
  op.inputs = {5, 6};
  op.attributes.Set("input", 0.5);
  EXPECT_EQ(InputOf(op, "condition"), 0U);
  EXPECT_EQ(InputOf(op, "input"), std::nullopt);
  EXPECT_EQ(InputOf(op, "other"), 1U);

  op.type = "OperatorThatNobodyKnows";
  EXPECT_EQ(InputOf(op, "condition"), std::nullopt);
}

}  // namespace
}  // namespace relayout
