// SPDX-License-Identifier: Apache-2.0
//
// Looking up rows of a table. The axis of the table's dim that is looked up in (v) decides:
//
//   Gather  x[c,v,e] i[f,g] axis 1  -> y[c,f,g,e]      mesh f g c e          v whole
//   Gather  x[v,e]   i[f,g] axis 0  -> y[f,g,e]        mesh repeats v e      v cut; repeats left,
//                                                      unless there are none
//   Gather  x[v,e]   i[f,g] axis 0                     mesh f g v            v cut, and all devices
//   Gather  x[b,v,e] i[b,f] axis 1, batch_dims 1 -> y[b,f,e]   mesh b f e
//
// Where v is cut, every device adds what it has of the rows. The sums are scattered over the
// result's dim 0 where that divides, but not where the indices cut it (f): then every device of
// a group gets the whole sum.
//
//   Embedding i[f] x[v,e]           -> y[f,e]          mesh v e; all devices or none
//   GatherD   x[a,v] i[a,w] dim 1   -> y[a,w]          mesh a; the dim is whole
//   GatherNd  x[v,w,e] i[f,2]       -> y[f,e]          mesh f; x is whole
//   OneHot    i[a] depth d          -> y[a,d]          mesh a d; annotated by y's dims
#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "relayout/base/text.h"
#include "relayout/infer/rules/default_cuts.h"
#include "relayout/infer/rules/dims.h"
#include "relayout/infer/rules/families.h"

namespace relayout {
namespace {

// How a Gather's tensors are made of the table's dims and those of the indices.
struct GatherForm {
  size_t axis = 0;  // Of the table: what is looked up in.
  size_t batch_dims = 0;
};

Result<GatherForm> FormOf(const Graph& graph, const Operator& op) {
  const Dims& table = InputShape(graph, op, 0);
  const Dims& indices = InputShape(graph, op, 1);
  GatherForm form;
  RELAYOUT_ASSIGN_OR_RETURN(form.axis, AxisAttribute(op, {"axis", "dim"}, 0, table.size()));
  const int64_t batch_dims = op.attributes.GetInt("batch_dims", 0);
  const bool fits = batch_dims >= 0 && static_cast<size_t>(batch_dims) <= form.axis &&
                    static_cast<size_t>(batch_dims) <= indices.size() &&
                    std::equal(table.begin(), table.begin() + batch_dims, indices.begin());
  if (!fits) {
    return InvalidInput(Format("{}: batch_dims {} do not fit a table of {} and indices of {}",
                               Describe(op), batch_dims, ToText(table), ToText(indices)));
  }
  form.batch_dims = static_cast<size_t>(batch_dims);
  return form;
}

// The table's list, with the axis replaced by what the indices have beyond the batch.
template <typename List, typename Item>
std::vector<Item> Looked(const GatherForm& form, const List& table, const List& indices) {
  std::vector<Item> result(table.begin(), table.begin() + static_cast<int64_t>(form.axis));
  result.insert(result.end(), indices.begin() + static_cast<int64_t>(form.batch_dims),
                indices.end());
  result.insert(result.end(), table.begin() + static_cast<int64_t>(form.axis) + 1, table.end());
  return result;
}

Result<OperatorAxes> GatherAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 2));
  const Dims& table = InputShape(graph, op, 0);
  const Dims& indices = InputShape(graph, op, 1);
  const Dims& y = OutputShape(graph, op, 0);
  RELAYOUT_ASSIGN_OR_RETURN(const GatherForm form, FormOf(graph, op));
  const std::vector<int64_t> shape = Looked<Dims, int64_t>(form, table, indices);
  if (!std::equal(shape.begin(), shape.end(), y.begin(), y.end())) {
    return InvalidInput(Format("{}: looking {} up along dim {} of {} cannot make {}", Describe(op),
                               ToText(indices), form.axis, ToText(table), ToText(y)));
  }
  OperatorAxes axes;
  const std::vector<int> of_indices = AddAxes(axes, indices);
  std::vector<int> of_table;
  for (size_t d = 0; d < table.size(); ++d) {
    const bool is_whole = d == form.axis && form.batch_dims > 0;
    of_table.push_back(is_whole              ? OperatorAxes::kWhole
                       : d < form.batch_dims ? of_indices[d]
                                             : AddAxis(axes, table[d]));
  }
  axes.inputs = {of_table, of_indices};
  for (size_t i = 2; i < op.inputs.size(); ++i) {
    axes.inputs.push_back(AllWhole(InputShape(graph, op, i)));
  }
  axes.outputs = {Looked<std::vector<int>, int>(form, of_table, of_indices)};
  if (of_table[form.axis] != OperatorAxes::kWhole && !y.empty()) {
    axes.conditionals = {{.axis = of_table[form.axis],
                          .length = y[0],
                          .sums = true,
                          .wants_whole_dim = form.axis == 0}};
  }
  return axes;
}

// The pieces of one input's dims.
struct Pieces {
  std::vector<int64_t> of_dim;
  int64_t product = 1;
};

Pieces PiecesOf(const std::vector<int>& dims, const AxisCuts& axis_cuts) {
  Pieces pieces;
  for (const int axis : dims) {
    pieces.of_dim.push_back(axis == OperatorAxes::kWhole ? 1
                                                         : axis_cuts[static_cast<size_t>(axis)]);
    pieces.product *= pieces.of_dim.back();
  }
  return pieces;
}

// What MindSpore asks of a table that is cut where it is looked up in.
Status CheckGather(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                   const AxisCuts& axis_cuts, int64_t device_count) {
  RELAYOUT_ASSIGN_OR_RETURN(const GatherForm form, FormOf(graph, op));
  const Pieces table = PiecesOf(axes.inputs[0], axis_cuts);
  const Pieces indices = PiecesOf(axes.inputs[1], axis_cuts);
  const int64_t rows = table.of_dim[form.axis];
  if (rows == 1) return OkStatus();
  const auto refuse = [&](const std::string& why) {
    return InvalidInput(Format("{}: dim {} of input 0 ({}, {}) is looked up in and cut into {}; {}",
                               Describe(op), form.axis, Describe(graph, op.inputs[0]),
                               ToText(InputShape(graph, op, 0)), rows, why));
  };
  const size_t dim_count = table.of_dim.size();
  if (dim_count > 2 || form.axis > 1) return refuse("MindSpore does that to 1 or 2 dims only");
  if (indices.of_dim.empty()) return refuse("MindSpore then needs indices with dims");
  const bool may_cut_indices = form.axis == 0 && dim_count == 2 && table.product == rows &&
                               indices.of_dim.size() <= 2 && indices.of_dim[0] > 1 &&
                               rows * indices.product == device_count;
  if (indices.product != 1 && !may_cut_indices) {
    return refuse(
        Format("the indices may then be cut only in dim 0, or in both of two dims, and if both "
               "cuts together make {} pieces, one for each device of a stage; here they make {}",
               device_count, table.product * indices.product));
  }
  if (indices.product == 1 && table.product != device_count &&
      (form.axis != 0 || table.product != rows)) {
    return refuse(
        Format("with a cut of the other dim, or in dim 1, all {} of a stage are needed, "
               "not {}",
               Count(device_count, "device"), table.product));
  }
  const int64_t first = InputShape(graph, op, 0)[0];
  if (form.axis == 1 && first % table.product != 0) {
    return refuse(Format("its dim 0 = {} must then divide into {} pieces", first, table.product));
  }
  return OkStatus();
}

MeshOrder GatherOrder(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                      const AxisCuts& axis_cuts, int64_t device_count) {
  (void)device_count;
  MeshOrder order = MeshOrder::InOrder(axes.count());
  const Result<GatherForm> form = FormOf(graph, op);
  order.repeats_on_the_left =
      form.ok() && PiecesOf(axes.inputs[0], axis_cuts).of_dim[form->axis] > 1;
  return order;
}

// The indices, and with batch_dims the table too. Indices without dims MindSpore cuts all the same,
// and refuses.
Cuts GatherDefault(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                   int64_t device_count) {
  (void)axes;
  std::vector<bool> marked(op.inputs.size(), false);
  marked[0] = op.attributes.GetInt("batch_dims", 0) > 0;
  marked[1] = true;
  Cuts cuts = CutBatches(graph, op, marked, device_count);
  if (cuts[1].empty() && device_count > 1) cuts[1].push_back(device_count);
  return cuts;
}

// mint's Embedding: as Gather, with the indices first; MindSpore cuts only the table.
Result<OperatorAxes> EmbeddingAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectTensors(op, 2, 1));
  const Dims& indices = InputShape(graph, op, 0);
  const Dims& table = InputShape(graph, op, 1);
  const Dims& y = OutputShape(graph, op, 0);
  if (table.size() != 2 || y.size() != indices.size() + 1 || y[y.size() - 1] != table[1]) {
    return InvalidInput(Format("{}: looking {} up in {} cannot make {}", Describe(op),
                               ToText(indices), ToText(table), ToText(y)));
  }
  OperatorAxes axes;
  const std::vector<int> of_table = AddAxes(axes, table);
  axes.inputs = {AllWhole(indices), of_table};
  axes.outputs = {AllWhole(y)};
  axes.outputs[0].back() = of_table[1];
  if (of_table[0] != OperatorAxes::kWhole) {
    axes.conditionals = {{.axis = of_table[0], .length = y[0], .sums = true}};
  }
  return axes;
}

Status CheckEmbedding(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                      const AxisCuts& axis_cuts, int64_t device_count) {
  const int64_t pieces = PiecesOf(axes.inputs[1], axis_cuts).product;
  if (pieces == 1 || pieces == device_count) return OkStatus();
  return InvalidInput(
      Format("{}: MindSpore cuts input 1 ({}, {}) into a piece for each of the {} of a stage or "
             "not at all, not into {}",
             Describe(op), Describe(graph, op.inputs[1]), ToText(InputShape(graph, op, 1)),
             Count(device_count, "device"), pieces));
}

Result<OperatorAxes> GatherDAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectTensors(op, 2, 1));
  const Dims& x = InputShape(graph, op, 0);
  const Dims& indices = InputShape(graph, op, 1);
  if (x.size() != indices.size() || OutputShape(graph, op, 0) != indices) {
    return InvalidInput(
        Format("{}: cannot look {} up in {}", Describe(op), ToText(indices), ToText(x)));
  }
  RELAYOUT_ASSIGN_OR_RETURN(const size_t axis, AxisAttribute(op, {"dim", "axis"}, 0, x.size()));
  OperatorAxes axes;
  std::vector<int> dims;
  for (size_t d = 0; d < x.size(); ++d) {
    dims.push_back(d == axis ? OperatorAxes::kWhole : AddAxis(axes, std::gcd(x[d], indices[d])));
  }
  axes.inputs = {dims, dims};
  axes.outputs = {dims};
  return axes;
}

Result<OperatorAxes> GatherNdAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectTensors(op, 2, 1));
  const Dims& x = InputShape(graph, op, 0);
  const Dims& indices = InputShape(graph, op, 1);
  const Dims& y = OutputShape(graph, op, 0);
  if (indices.empty() || y.size() + 1 < indices.size()) {
    return InvalidInput(
        Format("{}: cannot look {} up in {}", Describe(op), ToText(indices), ToText(x)));
  }
  OperatorAxes axes;
  std::vector<bool> whole(indices.size(), false);
  whole.back() = true;
  const std::vector<int> dims = AddAxes(axes, indices, whole);
  axes.inputs = {AllWhole(x), dims};
  axes.outputs = {AllWhole(y)};
  std::copy(dims.begin(), dims.end() - 1, axes.outputs[0].begin());
  return axes;
}

Cuts CutSecondBatch(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                    int64_t device_count) {
  (void)axes;
  return CutBatches(graph, op, {false, true}, device_count);
}

Result<OperatorAxes> OneHotAxes(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputs(op, 1));
  const Dims& indices = InputShape(graph, op, 0);
  const Dims& y = OutputShape(graph, op, 0);
  RELAYOUT_ASSIGN_OR_RETURN(const size_t depth, AxisAttribute(op, {"axis"}, -1, y.size()));
  std::vector<int64_t> rest(y.begin(), y.end());
  if (!rest.empty()) rest.erase(rest.begin() + static_cast<int64_t>(depth));
  if (!std::equal(rest.begin(), rest.end(), indices.begin(), indices.end())) {
    return InvalidInput(
        Format("{}: cannot make {} of {}", Describe(op), ToText(y), ToText(indices)));
  }
  // Of more than one dim MindSpore cuts the first only.
  std::vector<bool> whole(indices.size(), indices.size() > 1);
  if (indices.size() > 1) whole[0] = false;
  OperatorAxes axes;
  std::vector<int> dims = AddAxes(axes, indices, whole);
  axes.inputs.push_back(dims);
  for (size_t i = 1; i < op.inputs.size(); ++i) {
    axes.inputs.push_back(AllWhole(InputShape(graph, op, i)));
  }
  const int of_depth = indices.size() > 1 ? OperatorAxes::kWhole : AddAxis(axes, y[depth]);
  dims.insert(dims.begin() + static_cast<int64_t>(depth), of_depth);
  axes.listed = {{.dims = dims, .shape = y}};
  axes.outputs = {std::move(dims)};
  return axes;
}

// All devices cut the result's dim 0, be it the depth, if they divide dim 0 of the indices.
Cuts OneHotDefault(const Graph& graph, const Operator& op, const OperatorAxes& axes,
                   int64_t device_count) {
  (void)axes;
  Cuts cuts = {std::vector<int64_t>(OutputShape(graph, op, 0).size(), 1)};
  const Dims& indices = InputShape(graph, op, 0);
  if (!indices.empty() && indices[0] % device_count == 0) cuts[0][0] = device_count;
  return cuts;
}

}  // namespace

std::vector<OperatorRule> GatherRules() {
  std::vector<OperatorRule> rules = {
      // On CPUs only; MindSpore cuts nothing by default.
      {.type = "EmbeddingLookup",
       .axes = GatherAxes,
       .default_cuts = CutNothing,
       .check = CheckGather,
       .order = GatherOrder},
      // MindSpore marks the second input, which is the table here.
      {.type = "Embedding",
       .axes = EmbeddingAxes,
       .default_cuts = CutSecondBatch,
       .check = CheckEmbedding},
      {.type = "GatherD", .axes = GatherDAxes, .default_cuts = CutEveryBatchIfFree},
      {.type = "GatherNd", .axes = GatherNdAxes, .default_cuts = CutSecondBatch},
      {.type = "OneHot", .axes = OneHotAxes, .default_cuts = OneHotDefault},
      {.type = "OneHotExt", .axes = OneHotAxes, .default_cuts = OneHotDefault}};
  for (const std::string_view type : {"Gather", "IndexSelect", "SparseGatherV2"}) {
    rules.push_back({.type = type,
                     .axes = GatherAxes,
                     .default_cuts = GatherDefault,
                     .check = CheckGather,
                     .order = GatherOrder});
  }
  return rules;
}

}  // namespace relayout
