// SPDX-License-Identifier: Apache-2.0
//
// Looking up rows of a table.
//
//   Gather, IndexSelect    table[v,e] ids[f] axis 0 -> y[f,e]
//   EmbeddingLookup        the same, of ids - offset
//   Embedding              ids[f] table[v,e]        -> y[f,e]
//   OneHot, OneHotExt      ids[a]                   -> y[a,d]     d may be cut
//
// Where the table's rows are cut (v), a rank gives zeros for those of others, and y is a term along
// v. infer/ lays out what MindSpore makes of that, which scatters the sum over y's dim 0: that cut
// is taken out, for a rank has to have its term of all of y.
#include "relayout/base/text.h"
#include "relayout/graph/operator_types.h"
#include "relayout/spmd/kernels/gather.h"
#include "relayout/spmd/operators/attributes.h"
#include "relayout/spmd/operators/cuts.h"
#include "relayout/spmd/operators/families.h"

namespace relayout {
namespace {

// Which input is what, and where the rows lie.
struct Lookup {
  size_t table = 0;
  size_t ids = 1;
  size_t axis = 0;     // Of the table.
  int64_t offset = 0;  // Of the ids: row 0 is this one.
};

Lookup LookupOf(const Operator& op, size_t table_dim_count) {
  if (op.type == "Embedding") return {.table = 1, .ids = 0};
  if (op.type == "EmbeddingLookup") return {.offset = op.attributes.GetInt("offset", 0)};
  const std::string_view name = op.type == "IndexSelect" ? "dim" : "axis";
  return {.axis = DimOf(op, name, 0, table_dim_count)};
}

Lookup LookupOf(const RankOperator& at) {
  Lookup lookup = LookupOf(*at.op, at.input_boxes[0].begin.size());
  lookup.offset += at.input_boxes[lookup.table].begin[lookup.axis];
  return lookup;
}

Status CheckLookup(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputCount(op, 2, 2));
  const size_t table = op.type == "Embedding" ? 1 : 0;
  RELAYOUT_RETURN_IF_ERROR(ExpectInput(graph, op, table, {DType::kFloat32}));
  RELAYOUT_RETURN_IF_ERROR(ExpectInput(graph, op, 1 - table, {DType::kInt32}));
  if (op.attributes.GetInt("batch_dims", 0) != 0) return RefuseAttribute(op, "batch_dims", "0");
  for (const std::string_view none : {"padding_idx", "max_norm"}) {
    if (op.attributes.Find(none) != nullptr) return RefuseAttribute(op, none, "nothing");
  }
  if (!op.attributes.GetBool("scale_grad_by_freq", false)) return OkStatus();
  return RefuseAttribute(op, "scale_grad_by_freq", "false");
}

void AdaptLookup(const Graph& graph, const Operator& op, OperatorLayout& layout) {
  (void)graph;
  const Lookup lookup = LookupOf(op, layout.inputs[0].dim_count());
  TakeOut(layout.outputs[0],
          CuttingAxes(layout.inputs[lookup.table], lookup.axis, lookup.axis + 1));
}

Status LookupForward(const ForwardCall& call) {
  const Lookup lookup = LookupOf(call.at);
  kernels::Gather(call.inputs[lookup.table]->f32(), call.inputs[lookup.ids]->i32(), lookup.axis,
                  lookup.offset, call.outputs[0]->f32());
  return OkStatus();
}

Status LookupBackward(const BackwardCall& call) {
  const Lookup lookup = LookupOf(call.at);
  if (Tensor* const dtable = call.input_gradients[lookup.table]) {
    kernels::GatherGradient(call.output_gradients[0]->f32(), call.inputs[lookup.ids]->i32(),
                            lookup.axis, lookup.offset, dtable->f32());
  }
  return OkStatus();
}

OperatorKernel LookupKernel(std::string_view type) {
  return {.type = type,
          .forward = LookupForward,
          .backward = LookupBackward,
          .check = CheckLookup,
          .adapt = AdaptLookup,
          .reads_inputs = type == "Embedding" ? 0b01U : 0b10U,
          .reads_outputs = 0};
}

// --- OneHot -------------------------------------------------------------------------------------

constexpr std::string_view kValueNames[] = {"on_value", "off_value"};

Status CheckOneHot(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInput(graph, op, 0, {DType::kInt32}));
  RELAYOUT_RETURN_IF_ERROR(ExpectOutput(graph, op, 0, {DType::kFloat32}));
  for (const std::string_view name : kValueNames) {
    if (const std::optional<size_t> input = InputOf(op, name)) {
      RELAYOUT_RETURN_IF_ERROR(ExpectInput(graph, op, *input, {DType::kFloat32}));
      if (SizeOf(graph.value(op.inputs[*input]).shape) != 1) {
        return Refuse(op, Format("{} is f32{}, but relayout runs it with one value only", name,
                                 ToText(graph.value(op.inputs[*input]).shape)));
      }
    } else if (!NumberOf(op, name)) {
      return RefuseAttribute(op, name, "a number or a tensor of one");
    }
  }
  return OkStatus();
}

float ValueOf(const ForwardCall& call, std::string_view name) {
  const std::optional<size_t> input = InputOf(*call.at.op, name);
  if (input) return *call.inputs[*input]->f32().data;
  return static_cast<float>(*NumberOf(*call.at.op, name));
}

Status OneHotForward(const ForwardCall& call) {
  const Box& box = call.at.output_boxes[0];
  const size_t axis = DimOf(*call.at.op, "axis", -1, box.begin.size());
  kernels::OneHot(call.inputs[0]->i32(), axis, box.begin[axis], ValueOf(call, kValueNames[0]),
                  ValueOf(call, kValueNames[1]), call.outputs[0]->f32());
  return OkStatus();
}

}  // namespace

std::vector<OperatorKernel> LookupKernels() {
  const OperatorKernel one_hot = {.type = "OneHot", .forward = OneHotForward, .check = CheckOneHot};
  OperatorKernel one_hot_ext = one_hot;
  one_hot_ext.type = "OneHotExt";
  return {one_hot,
          one_hot_ext,
          LookupKernel("Embedding"),
          LookupKernel("EmbeddingLookup"),
          LookupKernel("Gather"),
          LookupKernel("IndexSelect")};
}

}  // namespace relayout
