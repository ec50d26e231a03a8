// SPDX-License-Identifier: Apache-2.0
//
//   FlashAttentionScore query f32[2,16,64] key value head_num=4 input_layout=BSH
//       -> f32[2,4,16,8] f32[2,4,16,8] f32[1] f32[2,16,64]    largest, sum, softmax, attention
#include <array>

#include "relayout/base/text.h"
#include "relayout/graph/shapes/families.h"

namespace relayout {
namespace {

// What the kernel keeps for the backward pass is 8 wide.
constexpr int64_t kStatisticsWidth = 8;

// Where in a layout's name ("BSH") a dim is; the length of `shape` there, or `otherwise`.
int64_t LengthOf(std::string_view layout, char dim, const Dims& shape, int64_t otherwise) {
  const size_t place = layout.find(dim);
  return place == std::string_view::npos ? otherwise : shape[place];
}

// What the dims of query, key and value are: by name, or by its place in MindSpore's enumeration.
std::string_view InputLayout(const ShapeCall& call) {
  static constexpr std::array<std::string_view, 5> kLayouts = {"BSH", "BNSD", "SBH", "BSND", "TND"};
  const int64_t number = call.attributes().GetInt("input_layout", 0);
  const bool known = number >= 0 && number < std::ssize(kLayouts);
  return call.attributes().GetText("input_layout",
                                   kLayouts[known ? static_cast<size_t>(number) : 0]);
}

Result<ResultTypeList> FlashAttention(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(3, 10));
  const std::string_view layout = InputLayout(call);
  for (size_t i = 0; i < 3; ++i) {
    if (call.dim_count(i) == layout.size()) continue;
    return call.Fail(Format("input {} is {}, which has not the dims of input_layout '{}'", i,
                            ToText(call.shape(i)), Printable(layout)));
  }
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t head_num, call.Int("head_num"));
  if (head_num < 1) return call.Fail(Format("head_num = {}", head_num));
  const Dims& query = call.shape(0);
  const int64_t heads = LengthOf(layout, 'N', query, head_num);
  Dims statistics;
  if (layout == "TND") {
    statistics = {query[0], heads, kStatisticsWidth};
  } else {
    statistics = {LengthOf(layout, 'B', query, 1), heads, LengthOf(layout, 'S', query, 1),
                  kStatisticsWidth};
  }
  return ResultTypeList{{DType::kFloat32, statistics},
                        {DType::kFloat32, statistics},
                        {call.dtype(0), {1}},
                        call.input(0)};
}

// Query and key, turned by their positions.
Result<ResultTypeList> ApplyRotary(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(4, 5));
  return ResultTypeList{call.input(0), call.input(1)};
}

Result<ResultTypeList> FirstInput(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(3, 12));
  return ResultTypeList{call.input(0)};
}

}  // namespace

std::vector<ShapeRule> AttentionShapes() {
  return {{"ApplyRotaryPosEmb", ApplyRotary},
          {"FlashAttentionScore", FlashAttention},
          {"PromptFlashAttention", FirstInput},
          {"RotaryPositionEmbedding", FirstInput}};
}

}  // namespace relayout
