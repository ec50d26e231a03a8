// SPDX-License-Identifier: Apache-2.0
//
//   Transpose    x[a,b,c] perm (1,0,2)  -> y[b,a,c]      mesh a b c
//   ExpandDims   x[a,b]                 -> y[a,1,b]      mesh a b
//   Squeeze      x[a,1,b]               -> y[a,b]        mesh a b
//   BroadcastTo  x[a,1]                 -> y[n,a,b]      mesh a; what is made longer is whole
//   Tile         x[a,b] by (1,8)        -> y[a,8*b]      mesh a t: t cuts the eight copies
//   Reshape      x[a,b,c]               -> y[a,b*c]      mesh repeats a b c: b cuts b*c, and c,
//   where
//                                                        it is cut, nothing
//   Outer        x[a] z[b]              -> y[a,b]        mesh a b
//   Range, Ones                         -> y[a]          whole
//
// MindSpore gives a Reshape the layouts of its neighbours; a strategy of its own it has only where
// it is annotated or reads a parameter.
#include <algorithm>
#include <numeric>

#include "relayout/base/text.h"
#include "relayout/infer/rules/default_cuts.h"
#include "relayout/infer/rules/dims.h"
#include "relayout/infer/rules/families.h"

namespace relayout {
namespace {

Status CannotMake(const Graph& graph, const Operator& op) {
  return InvalidInput(Format("{}: cannot make {} of {}", Describe(op),
                             ToText(OutputShape(graph, op, 0)), ToText(InputShape(graph, op, 0))));
}

Result<OperatorAxes> TransposeAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 1));
  const Dims& x = InputShape(graph, op, 0);
  const auto order = IntsAttribute(op, {"perm", "input_perm", "dims"});
  if (!order || order->size() != x.size()) return CannotMake(graph, op);
  OperatorAxes axes;
  axes.inputs = {AddAxes(axes, x)};
  std::vector<int> output;
  Dims shape;
  std::vector<bool> seen(x.size(), false);
  for (const int64_t from : *order) {
    RELAYOUT_ASSIGN_OR_RETURN(const size_t dim, NormalAxis(op, from, x.size()));
    if (seen[dim]) return CannotMake(graph, op);
    seen[dim] = true;
    output.push_back(axes.inputs[0][dim]);
    shape.push_back(x[dim]);
  }
  if (shape != OutputShape(graph, op, 0)) return CannotMake(graph, op);
  axes.outputs = {std::move(output)};
  return axes;
}

// Dims of length 1 come or go.
Result<OperatorAxes> OnesAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 1));
  OperatorAxes axes;
  axes.inputs = {AddAxes(axes, InputShape(graph, op, 0))};
  std::vector<int> output = AllWhole(OutputShape(graph, op, 0));
  size_t axis = 0;
  for (size_t d = 0; d < output.size(); ++d) {
    const int64_t length = OutputShape(graph, op, 0)[d];
    if (length == 1) continue;
    if (axis == axes.count() || axes.lengths[axis] != length) return CannotMake(graph, op);
    output[d] = static_cast<int>(axis++);
  }
  if (axis != axes.count()) return CannotMake(graph, op);
  axes.outputs = {std::move(output)};
  return axes;
}

Result<OperatorAxes> BroadcastToAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 1));
  const Dims& x = InputShape(graph, op, 0);
  const Dims& y = OutputShape(graph, op, 0);
  if (x.size() > y.size()) return CannotMake(graph, op);
  for (size_t d = 0; d < x.size(); ++d) {
    if (x[d] != 1 && x[d] != y[y.size() - x.size() + d]) return CannotMake(graph, op);
  }
  OperatorAxes axes;
  axes.inputs = {AddAxes(axes, x)};
  axes.outputs = {Follow(axes.inputs[0], x, y)};
  return axes;
}

// How many copies of the input lie along each dim of the result.
Result<Dims> CopiesOf(const Graph& graph, const Operator& op) {
  const Dims& x = InputShape(graph, op, 0);
  const Dims& y = OutputShape(graph, op, 0);
  if (x.size() > y.size()) return CannotMake(graph, op);
  Dims copies;
  for (size_t d = 0; d < y.size(); ++d) {
    const bool is_new = d < y.size() - x.size();
    const int64_t length = is_new ? 1 : x[d - (y.size() - x.size())];
    if (length < 1 || y[d] % length != 0) return CannotMake(graph, op);
    copies.push_back(y[d] / length);
  }
  return copies;
}

Result<OperatorAxes> TileAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 1));
  RELAYOUT_ASSIGN_OR_RETURN(const Dims copies, CopiesOf(graph, op));
  const Dims& x = InputShape(graph, op, 0);
  OperatorAxes axes;
  axes.inputs = {AllWhole(x)};
  std::vector<int> output;
  Dims listed;
  for (size_t d = 0; d < copies.size(); ++d) {
    const size_t new_dims = copies.size() - x.size();
    const bool is_copied = copies[d] != 1 || d < new_dims;
    listed.push_back(is_copied ? copies[d] : x[d - new_dims]);
    output.push_back(AddAxis(axes, listed[d]));
    if (!is_copied) axes.inputs[0][d - new_dims] = output[d];
  }
  axes.listed = {{.dims = output, .shape = listed}};
  axes.outputs = {std::move(output)};
  return axes;
}

// MindSpore marks dim 0 of the list, and counts by dim 0 of the input, if that is the same dim.
Cuts TileDefault(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                 int64_t device_count) {
  const Dims& listed = axes.listed[0].shape;
  Cuts cuts = {std::vector<int64_t>(listed.size(), 1)};
  if (listed.empty()) return cuts;
  const Dims& x = InputShape(graph, op, 0);
  cuts[0][0] = x.size() == listed.size() ? std::gcd(x[0], device_count) : device_count;
  return cuts;
}

// A run of dims of the input that multiplies to the same as a run of the result's.
struct Run {
  size_t x_begin = 0;
  size_t x_end = 0;
  size_t y_begin = 0;
  size_t y_end = 0;
};

// The outermost dims of a run that are not 1 run along, as far as both are divisible. MindSpore
// also cuts the input's other dims; the result is then whole.
void AddRun(const Run& run, const Dims& x, const Dims& y, OperatorAxes& axes) {
  size_t outermost = run.y_begin;
  while (outermost < run.y_end && y[outermost] == 1) ++outermost;
  bool is_first = true;
  for (size_t d = run.x_begin; d < run.x_end; ++d) {
    const int axis = AddAxis(axes, x[d]);
    axes.inputs[0][d] = axis;
    if (axis == OperatorAxes::kWhole) continue;
    const bool runs_along = is_first && outermost < run.y_end;
    axes.conditionals.push_back(
        {.axis = axis, .dim = runs_along ? outermost : 0, .length = runs_along ? y[outermost] : 1});
    is_first = false;
  }
}

Result<OperatorAxes> ReshapeAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 1));
  const Dims& x = InputShape(graph, op, 0);
  const Dims& y = OutputShape(graph, op, 0);
  const auto count = ElementCount(x);
  if (!count || count != ElementCount(y)) return CannotMake(graph, op);
  OperatorAxes axes;
  axes.inputs = {AllWhole(x)};
  axes.outputs = {AllWhole(y)};
  if (*count == 0) return axes;
  size_t i = 0;
  size_t j = 0;
  while (i < x.size() && j < y.size()) {
    Run run{.x_begin = i, .y_begin = j};
    int64_t of_x = x[i++];
    int64_t of_y = y[j++];
    while (of_x != of_y) {
      if (of_x < of_y) {
        of_x *= x[i++];
      } else {
        of_y *= y[j++];
      }
    }
    run.x_end = i;
    run.y_end = j;
    AddRun(run, x, y, axes);
  }
  return axes;
}

MeshOrder RepeatsFirst(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                       const AxisCuts& axis_cuts, int64_t device_count) {
  (void)graph;
  (void)op;
  (void)axis_cuts;
  (void)device_count;
  MeshOrder order = MeshOrder::InOrder(axes.count());
  order.repeats_on_the_left = true;
  return order;
}

// All devices or none.
Cuts ReshapeDefault(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                    int64_t device_count) {
  (void)axes;
  Cuts cuts = WholeCuts(graph, op);
  const bool divides = !cuts[0].empty() && InputShape(graph, op, 0)[0] % device_count == 0;
  if (divides) cuts[0][0] = device_count;
  return cuts;
}

// Copies of elements beside each other; a piece of the input makes a piece of the result.
Result<OperatorAxes> RepeatAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 1));
  const Dims& x = InputShape(graph, op, 0);
  const Dims& y = OutputShape(graph, op, 0);
  if (x.size() != y.size()) return CannotMake(graph, op);
  OperatorAxes axes;
  axes.inputs = {AddAxes(axes, x)};
  for (size_t d = 0; d < x.size(); ++d) {
    if (x[d] < 1 || y[d] % x[d] != 0) return CannotMake(graph, op);
  }
  axes.outputs = {axes.inputs[0]};
  return axes;
}

Result<OperatorAxes> OuterAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectTensors(op, 2, 1));
  const Dims& x = InputShape(graph, op, 0);
  const Dims& z = InputShape(graph, op, 1);
  const Dims& y = OutputShape(graph, op, 0);
  if (x.size() != 1 || z.size() != 1 || y != Dims{x[0], z[0]}) return CannotMake(graph, op);
  OperatorAxes axes;
  const std::vector<int> dims = AddAxes(axes, y);
  axes.inputs = {{dims[0]}, {dims[1]}};
  axes.outputs = {dims};
  return axes;
}

// What makes tensors of numbers. MindSpore may cut the result; no parameter depends on it.
Result<OperatorAxes> NewTensorAxes(const Graph& graph, const Operator& op) {
  OperatorAxes axes;
  for (const ValueId input : op.inputs) axes.inputs.push_back(AllWhole(graph.value(input).shape));
  for (const ValueId output : op.outputs) {
    axes.outputs.push_back(AllWhole(graph.value(output).shape));
  }
  return axes;
}

}  // namespace

std::vector<OperatorRule> ShapeRules() {
  std::vector<OperatorRule> rules = {
      {.type = "BroadcastTo", .axes = BroadcastToAxes},
      {.type = "ExpandDims", .axes = OnesAxes},
      {.type = "Outer", .axes = OuterAxes},
      {.type = "RepeatInterleaveInt", .axes = RepeatAxes},
      {.type = "Reshape",
       .axes = ReshapeAxes,
       .default_cuts = ReshapeDefault,
       .order = RepeatsFirst},
      {.type = "Squeeze", .axes = OnesAxes},
      {.type = "Tile", .axes = TileAxes, .default_cuts = TileDefault},
      {.type = "Transpose", .axes = TransposeAxes}};
  for (const std::string_view type : {"Arange", "Eye", "FillScalar", "FillTensor", "FillV2",
                                      "LinSpace", "LinSpaceExt", "Ones", "Range", "Zeros"}) {
    rules.push_back({.type = type, .axes = NewTensorAxes, .default_cuts = CutNothing});
  }
  return rules;
}

}  // namespace relayout
