// SPDX-License-Identifier: Apache-2.0
//
//   FlashAttentionScore  BNSD: q[b,n,s,d] k[b,m,t,d] v[b,m,t,d] mask[b,1,s,t]   mesh b n s
//                        BSH:  q[b,s,n*d] k[b,t,m*d] v[b,t,m*d]                 mesh b s n
//                        BSND, SBH: likewise, in the order of q's dims
//   RotaryPositionEmbedding  x[b,s,n,d] cos[1,s,1,d] sin[1,s,1,d] -> y          mesh b s n
//
// The heads of k and v may be fewer (m): n cuts them too, unless there is but one.
#include <algorithm>
#include <numeric>

#include "relayout/base/text.h"
#include "relayout/infer/rules/default_cuts.h"
#include "relayout/infer/rules/dims.h"
#include "relayout/infer/rules/families.h"

namespace relayout {
namespace {

// Which dim of a query is what; the rest are whole.
struct AttentionForm {
  std::string_view name;
  size_t batch = 0;
  size_t sequence = 0;
  size_t heads = 0;  // Or heads times their size, in three dims.
  size_t dim_count = 0;

  bool HeadsAreFlat() const { return dim_count == 3; }
};

constexpr AttentionForm kForms[] = {
    {.name = "BNSD", .batch = 0, .sequence = 2, .heads = 1, .dim_count = 4},
    {.name = "BSH", .batch = 0, .sequence = 1, .heads = 2, .dim_count = 3},
    {.name = "BSND", .batch = 0, .sequence = 1, .heads = 2, .dim_count = 4},
    {.name = "SBH", .batch = 1, .sequence = 0, .heads = 2, .dim_count = 3},
};

// MindIR keeps the layout as MindSpore's number for it.
Result<AttentionForm> FormOf(const Graph& graph, const Operator& op) {
  static constexpr std::string_view kByNumber[] = {"BSH", "BNSD", "SBH", "BSND", "TND", "TH"};
  std::string_view name = op.attributes.GetText("input_layout", "BSH");
  const AttributeValue* const value = op.attributes.Find("input_layout");
  if (value != nullptr && std::holds_alternative<int64_t>(*value)) {
    const auto number = static_cast<uint64_t>(std::get<int64_t>(*value));
    name = number < std::size(kByNumber) ? kByNumber[number] : "?";
  }
  const auto* const form = std::find_if(std::begin(kForms), std::end(kForms),
                                        [name](const AttentionForm& f) { return f.name == name; });
  if (form == std::end(kForms)) {
    return Unsupported(Format("{}: relayout does not know how its input_layout {} is cut",
                              Describe(op), Printable(name)));
  }
  for (size_t i = 0; i < 3; ++i) {
    const Dims& shape = InputShape(graph, op, i);
    if (shape.size() == form->dim_count) continue;
    return InvalidInput(Format("{}: input {} of {} does not have the {} dims of {}", Describe(op),
                               i, ToText(shape), form->dim_count, form->name));
  }
  return *form;
}

struct AttentionAxes {
  int batch = OperatorAxes::kWhole;
  int sequence = OperatorAxes::kWhole;
  int heads = OperatorAxes::kWhole;
};

// Masks and what comes out beside the result: [b,n,s,..] with 1 where it is the same for all, or
// [s,..].
std::vector<int> Beside(const AttentionAxes& of, const Dims& shape, const Dims& query,
                        int64_t head_count, const AttentionForm& form, bool sequence_is_whole) {
  std::vector<int> dims = AllWhole(shape);
  const auto match = [&](size_t d, int64_t length, int axis) {
    if (shape[d] == length) dims[d] = axis;
  };
  const int sequence = sequence_is_whole ? OperatorAxes::kWhole : of.sequence;
  if (shape.size() == 4) {
    match(0, query[form.batch], of.batch);
    match(1, head_count, of.heads);
    match(2, query[form.sequence], sequence);
  } else if (shape.size() == 2) {
    match(0, query[form.sequence], sequence);
  }
  return dims;
}

// What can be cut of the heads: all inputs' that have more than one.
int64_t HeadLength(const Graph& graph, const Operator& op, const AttentionForm& form,
                   int64_t head_count) {
  const Dims& query = InputShape(graph, op, 0);
  int64_t common = head_count;
  for (size_t i = 1; i < 3; ++i) {
    const int64_t length = InputShape(graph, op, i)[form.heads];
    const int64_t size = form.HeadsAreFlat() ? query[form.heads] / head_count : 1;
    const int64_t own = std::max<int64_t>(1, length / std::max<int64_t>(1, size));
    if (own > 1) common = std::gcd(common, own);
  }
  return common;
}

Result<OperatorAxes> FlashAttentionAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 3));
  RELAYOUT_ASSIGN_OR_RETURN(const AttentionForm form, FormOf(graph, op));
  const Dims& query = InputShape(graph, op, 0);
  const int64_t head_count =
      form.HeadsAreFlat() ? op.attributes.GetInt("head_num", 1) : query[form.heads];
  if (head_count < 1 || query[form.heads] % head_count != 0) {
    return InvalidInput(
        Format("{}: {} heads do not fit a query of {}", Describe(op), head_count, ToText(query)));
  }
  OperatorAxes axes;
  AttentionAxes of;
  for (size_t d = 0; d < form.dim_count; ++d) {
    if (d == form.batch) of.batch = AddAxis(axes, query[d]);
    if (d == form.sequence) of.sequence = AddAxis(axes, query[d]);
    if (d == form.heads) of.heads = AddAxis(axes, HeadLength(graph, op, form, head_count));
  }
  std::vector<int> dims = AllWhole(query);
  dims[form.batch] = of.batch;
  dims[form.heads] = of.heads;
  for (size_t i = 0; i < 3; ++i) {
    axes.inputs.push_back(dims);
    if (InputShape(graph, op, i)[form.heads] == 1) axes.inputs[i][form.heads] = -1;
  }
  axes.inputs[0][form.sequence] = of.sequence;
  // Compressed masks have a length of their own.
  const bool mask_is_whole = op.attributes.GetInt("sparse_mode", 0) > 1;
  for (size_t i = 3; i < op.inputs.size(); ++i) {
    axes.inputs.push_back(
        Beside(of, InputShape(graph, op, i), query, head_count, form, mask_is_whole));
  }
  for (const ValueId output : op.outputs) {
    const Dims& shape = graph.value(output).shape;
    axes.outputs.push_back(shape == query ? axes.inputs[0]
                                          : Beside(of, shape, query, head_count, form, false));
  }
  return axes;
}

Result<OperatorAxes> RotaryAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 3));
  OperatorAxes axes;
  const Dims& x = InputShape(graph, op, 0);
  std::vector<bool> whole(x.size(), false);
  if (!whole.empty()) whole.back() = true;
  const std::vector<int> dims = AddAxes(axes, x, whole);
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    axes.inputs.push_back(Follow(dims, x, InputShape(graph, op, i)));
  }
  axes.outputs.push_back(Follow(dims, x, OutputShape(graph, op, 0)));
  return axes;
}

}  // namespace

std::vector<OperatorRule> AttentionRules() {
  return {
      {.type = "FlashAttentionScore", .axes = FlashAttentionAxes, .default_cuts = CutEveryBatch},
      {.type = "RotaryPositionEmbedding", .axes = RotaryAxes, .default_cuts = CutEveryBatch}};
}

}  // namespace relayout
