// SPDX-License-Identifier: Apache-2.0
//
// Operators that take tensors apart and put them together: the dim along which they do is whole.
//
//   Split         x[a,b] axis 1      -> y[a,b/2] z[a,b/2]    mesh a
//   Concat        x[a,b] z[a,c]      -> y[a,b+c]             mesh a
//   Stack         x[a,b] z[a,b]      -> y[a,2,b]             mesh a b
//   Slice         x[a,b]             -> y[a,b/2]             mesh a; only dims that are taken whole
//   PadV3         x[a,b]             -> y[a,b+2]             likewise
//   StridedSlice  x[a,b]             -> y[b]                 likewise; masks as numpy's notation
#include <algorithm>
#include <numeric>

#include "relayout/base/text.h"
#include "relayout/infer/rules/default_cuts.h"
#include "relayout/infer/rules/dims.h"
#include "relayout/infer/rules/families.h"

namespace relayout {
namespace {

Result<std::vector<bool>> OneMark(const Operator& op, size_t dim_count) {
  RELAYOUT_ASSIGN_OR_RETURN(const size_t axis, AxisAttribute(op, {"axis", "dim"}, 0, dim_count));
  std::vector<bool> marks(dim_count, false);
  marks[axis] = true;
  return marks;
}

Result<OperatorAxes> SplitAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 1));
  const Dims& x = InputShape(graph, op, 0);
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<bool> whole, OneMark(op, x.size()));
  OperatorAxes axes;
  const std::vector<int> dims = AddAxes(axes, x, whole);
  axes.inputs.push_back(dims);
  for (const ValueId output : op.outputs) {
    axes.outputs.push_back(Follow(dims, x, graph.value(output).shape));
  }
  return axes;
}

Result<OperatorAxes> ConcatAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 1));
  const Dims& y = OutputShape(graph, op, 0);
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<bool> whole, OneMark(op, y.size()));
  OperatorAxes axes;
  const std::vector<int> dims = AddAxes(axes, y, whole);
  axes.outputs.push_back(dims);
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    const Dims& x = InputShape(graph, op, i);
    for (size_t d = 0; d < y.size(); ++d) {
      if (x.size() == y.size() && (whole[d] || x[d] == y[d])) continue;
      return InvalidInput(
          Format("{}: puts {} of input {} together to {}", Describe(op), ToText(x), i, ToText(y)));
    }
    axes.inputs.push_back(dims);
  }
  return axes;
}

Result<OperatorAxes> StackAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 1));
  const Dims& x = InputShape(graph, op, 0);
  RELAYOUT_ASSIGN_OR_RETURN(const size_t axis, AxisAttribute(op, {"axis", "dim"}, 0, x.size() + 1));
  OperatorAxes axes;
  std::vector<int> dims = AddAxes(axes, x);
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    if (InputShape(graph, op, i) != x) {
      return InvalidInput(Format("{}: stacks {} of input 0 and {} of input {}", Describe(op),
                                 ToText(x), ToText(InputShape(graph, op, i)), i));
    }
    axes.inputs.push_back(dims);
  }
  dims.insert(dims.begin() + static_cast<int64_t>(axis), OperatorAxes::kWhole);
  axes.outputs.push_back(std::move(dims));
  return axes;
}

// A dim that is taken whole has its length in the result, too.
Result<OperatorAxes> SliceAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 1));
  const Dims& x = InputShape(graph, op, 0);
  const Dims& y = OutputShape(graph, op, 0);
  if (x.size() != y.size()) {
    return InvalidInput(Format("{}: cannot make {} of {}", Describe(op), ToText(y), ToText(x)));
  }
  std::vector<bool> whole;
  for (size_t d = 0; d < x.size(); ++d) whole.push_back(x[d] != y[d]);
  OperatorAxes axes;
  const std::vector<int> dims = AddAxes(axes, x, whole);
  axes.inputs.push_back(dims);
  for (size_t i = 1; i < op.inputs.size(); ++i) {
    axes.inputs.push_back(AllWhole(InputShape(graph, op, i)));
  }
  axes.outputs.push_back(dims);
  return axes;
}

// What StridedSlice says about one dim.
struct Range {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t stride = 1;
  bool begin_masked = false;
  bool end_masked = false;
  bool is_new = false;   // The result has a dim here that the input lacks.
  bool shrinks = false;  // The result lacks this dim.

  // As MindSpore sees it: it does not count negative numbers from the end.
  bool TakesAll(int64_t length) const {
    return !shrinks && (begin_masked || begin == 0) && (end_masked || end >= length);
  }
};

Result<std::vector<Range>> RangesOf(const Operator& op) {
  const auto begin = IntsAttribute(op, {"begin"});
  const auto end = IntsAttribute(op, {"end"});
  const auto strides = IntsAttribute(op, {"strides"});
  const bool fits = begin && end && strides && begin->size() == end->size() &&
                    begin->size() == strides->size() && begin->size() < 63;
  if (!fits) {
    return InvalidInput(
        Format("{}: its begin, end and strides are not lists of one length", Describe(op)));
  }
  if (op.attributes.GetInt("ellipsis_mask", 0) != 0) {
    return Unsupported(Format("{}: MindSpore cuts no slice with an ellipsis_mask", Describe(op)));
  }
  const auto bit = [&op](std::string_view mask, size_t at) {
    return ((op.attributes.GetInt(mask, 0) >> at) & 1) != 0;
  };
  std::vector<Range> ranges;
  for (size_t i = 0; i < begin->size(); ++i) {
    ranges.push_back({.begin = (*begin)[i],
                      .end = (*end)[i],
                      .stride = (*strides)[i],
                      .begin_masked = bit("begin_mask", i),
                      .end_masked = bit("end_mask", i),
                      .is_new = bit("new_axis_mask", i),
                      .shrinks = bit("shrink_axis_mask", i)});
  }
  return ranges;
}

Result<OperatorAxes> StridedSliceAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 1));
  const Dims& x = InputShape(graph, op, 0);
  const Dims& y = OutputShape(graph, op, 0);
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<Range> ranges, RangesOf(op));
  OperatorAxes axes;
  std::vector<int> input;
  std::vector<int> output;
  size_t at = 0;
  for (const Range& range : ranges) {
    if (range.is_new) {
      output.push_back(OperatorAxes::kWhole);
      continue;
    }
    if (at == x.size()) break;
    const bool can_be_cut = range.TakesAll(x[at]) && range.stride == 1;
    input.push_back(can_be_cut ? AddAxis(axes, x[at]) : OperatorAxes::kWhole);
    if (!range.shrinks) output.push_back(input.back());
    ++at;
  }
  for (; at < x.size(); ++at) {
    input.push_back(AddAxis(axes, x[at]));
    output.push_back(input.back());
  }
  if (output.size() != y.size()) {
    return InvalidInput(Format("{}: cannot slice {} to {}", Describe(op), ToText(x), ToText(y)));
  }
  axes.inputs = {std::move(input)};
  axes.outputs = {std::move(output)};
  return axes;
}

// MindSpore leaves a batch whole that is not taken whole, but forgets the stride: that it refuses.
Cuts CutTakenBatch(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                   int64_t device_count) {
  const Result<std::vector<Range>> ranges = RangesOf(op);
  const Dims& x = InputShape(graph, op, 0);
  for (const Range& range : ranges.value()) {
    if (range.is_new) continue;
    if (!x.empty() && !range.TakesAll(x[0])) return WholeCuts(graph, op);
    break;
  }
  return CutFirstBatch(graph, op, axes, device_count);
}

}  // namespace

std::vector<OperatorRule> PieceRules() {
  std::vector<OperatorRule> rules = {
      {.type = "Concat", .axes = ConcatAxes, .default_cuts = CutEveryBatchIfFree},
      {.type = "PadV3", .axes = SliceAxes},
      {.type = "Slice", .axes = SliceAxes, .default_cuts = CutFirstBatchIfFree},
      {.type = "SliceExt", .axes = SliceAxes, .default_cuts = CutFirstBatchIfFree},
      {.type = "Stack", .axes = StackAxes, .default_cuts = CutEveryBatch},
      {.type = "StackExt", .axes = StackAxes, .default_cuts = CutEveryBatch},
      {.type = "StridedSlice", .axes = StridedSliceAxes, .default_cuts = CutTakenBatch}};
  for (const std::string_view type : {"Split", "SplitTensor", "SplitV", "SplitWithSize"}) {
    rules.push_back({.type = type, .axes = SplitAxes, .default_cuts = CutFirstBatchIfFree});
  }
  return rules;
}

}  // namespace relayout
