// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/auto/cost_model.h"

#include <algorithm>
#include <bit>
#include <set>
#include <string_view>
#include <variant>

#include "relayout/base/check.h"
#include "relayout/base/text.h"

namespace relayout {
namespace {

bool IsMatrixProduct(std::string_view type) {
  return type == "MatMul" || type == "BatchMatMul" || type == "MatMulExt" ||
         type == "BatchMatMulExt";
}

double Elements(const Dims& shape) {
  double count = 1;
  for (const int64_t length : shape) count *= static_cast<double>(length);
  return count;
}

// The mesh axes that cut something, by number.
void MarkUsed(const Layout& layout, std::vector<bool>& used) {
  for (const std::vector<int>& axes : layout.spec().dim_axes) {
    for (const int axis : axes) used[static_cast<size_t>(axis)] = true;
  }
}

std::vector<bool> UsedAxes(const std::vector<Layout>& layouts, size_t mesh_axis_count) {
  std::vector<bool> used(mesh_axis_count, false);
  for (const Layout& layout : layouts) MarkUsed(layout, used);
  return used;
}

// Into how many pieces the calculation is cut; the other devices repeat it.
int64_t PieceCount(const OperatorLayout& layout) {
  const std::vector<int64_t>& mesh = layout.outputs[0].spec().mesh;
  std::vector<bool> used = UsedAxes(layout.inputs, mesh.size());
  MarkUsed(layout.outputs[0], used);
  int64_t count = 1;
  for (size_t axis = 0; axis < mesh.size(); ++axis) count *= used[axis] ? mesh[axis] : 1;
  return count;
}

std::vector<bool> NeedsGradient(const Graph& graph) {
  std::vector<bool> needs(graph.values().size(), false);
  for (const ValueId id : graph.parameters())
    needs[static_cast<size_t>(id)] = graph.value(id).trained;
  for (const Operator& op : graph.operators()) {
    const bool any = std::any_of(op.inputs.begin(), op.inputs.end(), [&needs](ValueId input) {
      return needs[static_cast<size_t>(input)];
    });
    for (const ValueId output : op.outputs) {
      needs[static_cast<size_t>(output)] = any && op.type != "StopGradient";
    }
  }
  return needs;
}

// A data set deals its rows to all devices where they divide.
Layout DataLayout(const Dims& shape, int64_t device_count, bool full_batch) {
  if (full_batch || shape.empty() || shape[0] % device_count != 0) {
    return Layout::Replicated(device_count, shape.size());
  }
  LayoutSpec spec;
  spec.mesh = {device_count};
  spec.dim_axes.resize(shape.size());
  spec.dim_axes[0] = {0};
  Result<Layout> layout = Layout::Create(std::move(spec));
  RELAYOUT_CHECK(layout.ok());
  return std::move(layout).value();
}

std::string ToText(const AttributeValue& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::vector<int64_t>> ||
                      std::is_same_v<T, std::vector<double>>) {
          std::string text;
          for (const auto& element : v) text += Format("{},", element);
          return text;
        } else {
          return Format("{}", v);
        }
      },
      value);
}

}  // namespace

CostModel::CostModel(const Graph& graph, const MachineModel& machine, const CostOptions& options)
    : graph_(graph), machine_(machine), options_(options), needs_gradient_(NeedsGradient(graph)) {
  FindFirstUses();
  for (OperatorId id = 0; id < static_cast<OperatorId>(graph.operators().size()); ++id) {
    const Operator& op = graph.op(id);
    for (int32_t i = 0; i < static_cast<int32_t>(op.inputs.size()); ++i) {
      const ValueId input = op.inputs[static_cast<size_t>(i)];
      const Value& value = graph.value(input);
      const Graph::Use& first = first_use_[static_cast<size_t>(input)];
      const double bytes = WholeBytes(input);
      if (value.role == ValueRole::kResult) {
        const bool has_backward = options.training && needs_gradient_[static_cast<size_t>(input)];
        edges_.push_back(
            {value.producer, id, input, value.output_index, i, false, bytes, has_backward});
      } else if (value.role == ValueRole::kParameter && op.type != "Cast" &&
                 (first.user != id || first.input != i)) {
        edges_.push_back({first.user, id, input, first.input, i, true, bytes, false});
      }
    }
  }
}

// The first that is no Cast, if there is one.
void CostModel::FindFirstUses() {
  first_use_.resize(graph_.values().size());
  const std::vector<std::vector<Graph::Use>> uses = graph_.Uses();
  for (const ValueId parameter : graph_.parameters()) {
    const std::vector<Graph::Use>& users = uses[static_cast<size_t>(parameter)];
    if (users.empty()) continue;
    const auto first = std::find_if(users.begin(), users.end(), [this](const Graph::Use& use) {
      return graph_.op(use.user).type != "Cast";
    });
    first_use_[static_cast<size_t>(parameter)] = first == users.end() ? users[0] : *first;
  }
}

bool CostModel::IsView(const Operator& op) const {
  static const std::set<std::string_view> views = {
      "ExpandDims", "Flatten", "Identity", "Reshape", "Squeeze", "StopGradient", "TupleGetItem"};
  return views.contains(op.type);
}

double CostModel::WholeBytes(ValueId value) const {
  const Value& v = graph_.value(value);
  return Elements(v.shape) * static_cast<double>(ElementSize(v.dtype));
}

double CostModel::PieceBytes(ValueId value, const Layout& layout) const {
  return WholeBytes(value) / static_cast<double>(layout.shard_count());
}

double CostModel::GatherSeconds(double bytes, int64_t group_size, bool crosses_nodes) const {
  if (group_size <= 1 || bytes <= 0) return 0;
  const double bandwidth =
      crosses_nodes ? machine_.bytes_between_nodes : machine_.bytes_within_node;
  return bytes / bandwidth + StartSeconds(group_size);
}

double CostModel::StartSeconds(int64_t group_size) const {
  const auto steps = std::bit_width(static_cast<uint64_t>(group_size - 1));
  return machine_.message_seconds * static_cast<double>(steps);
}

double CostModel::ReduceSeconds(double bytes, int64_t group_size, bool crosses_nodes) const {
  if (group_size <= 1) return 0;
  const double others = static_cast<double>(group_size - 1) / static_cast<double>(group_size);
  return 2 * GatherSeconds(bytes * others, group_size, crosses_nodes);
}

double CostModel::PartialSumSeconds(ValueId value, const Layout& layout,
                                    const std::vector<bool>& working) const {
  const std::vector<int64_t>& mesh = layout.spec().mesh;
  std::vector<bool> own(mesh.size(), false);
  MarkUsed(layout, own);
  std::vector<int> summed;
  int64_t group_size = 1;
  for (size_t axis = 0; axis < mesh.size(); ++axis) {
    if (!working[axis] || own[axis]) continue;
    summed.push_back(static_cast<int>(axis));
    group_size *= mesh[axis];
  }
  return ReduceSeconds(PieceBytes(value, layout), group_size,
                       CrossesNodes(mesh, summed, machine_.devices_per_node));
}

double CostModel::ScatteredSumSeconds(const Operator& op, const OperatorLayout& layout) const {
  if (op.type != "Gather") return 0;
  const size_t dim_count = layout.inputs[0].dim_count();
  const int64_t given = op.attributes.GetInt("axis", 0);
  const auto axis =
      static_cast<size_t>(given < 0 ? given + static_cast<int64_t>(dim_count) : given);
  const std::vector<int64_t>& mesh = layout.outputs[0].spec().mesh;
  std::vector<bool> in_result(mesh.size(), false);
  MarkUsed(layout.outputs[0], in_result);
  std::vector<int> scattered;
  int64_t group_size = 1;
  for (const int mesh_axis : layout.inputs[0].spec().dim_axes[axis]) {
    const auto at = static_cast<size_t>(mesh_axis);
    if (!in_result[at]) continue;  // Summed up whole: a partial sum like any other.
    scattered.push_back(mesh_axis);
    group_size *= mesh[at];
  }
  const double piece = PieceBytes(op.outputs[0], layout.outputs[0]);
  return ReduceSeconds(piece * static_cast<double>(group_size), group_size,
                       CrossesNodes(mesh, scattered, machine_.devices_per_node)) /
         2;
}

double CostModel::ComputeSeconds(const Operator& op, const OperatorLayout& layout) const {
  if (IsView(op)) return 0;
  double bytes = 0;
  for (size_t i = 0; i < op.inputs.size(); ++i) bytes += PieceBytes(op.inputs[i], layout.inputs[i]);
  for (size_t i = 0; i < op.outputs.size(); ++i) {
    bytes += PieceBytes(op.outputs[i], layout.outputs[i]);
  }
  double flops = 0;
  if (IsMatrixProduct(op.type)) {
    const Dims& x = graph_.value(op.inputs[0]).shape;
    const bool transposed = op.attributes.GetBool("transpose_a", false);
    const int64_t contracted = x[x.size() - (transposed ? 2 : 1)];
    flops = 2 * Elements(graph_.value(op.outputs[0]).shape) * static_cast<double>(contracted) /
            static_cast<double>(PieceCount(layout));
  }
  const double forward =
      std::max(flops / machine_.flops_per_second, bytes / machine_.memory_bytes_per_second);
  return options_.training ? 3 * forward : forward;
}

double CostModel::GradientSeconds(ValueId parameter, const Layout& layout) const {
  const std::vector<int64_t>& mesh = layout.spec().mesh;
  return PartialSumSeconds(parameter, layout, std::vector<bool>(mesh.size(), true));
}

double CostModel::InputSeconds(ValueId input, const Layout& layout) const {
  const Layout data =
      DataLayout(graph_.value(input).shape, layout.device_count(), options_.full_batch);
  const Movement movement = MovementBetween(data, layout, machine_.devices_per_node);
  return GatherSeconds(movement.fraction * WholeBytes(input), movement.group_size,
                       movement.crosses_nodes);
}

double CostModel::ParameterBytesKept(ValueId parameter, const Layout& layout) const {
  const Value& value = graph_.value(parameter);
  const double bytes = PieceBytes(parameter, layout);
  if (!options_.training || !value.trained) return bytes;
  const int64_t replicas = layout.replica_count();
  const bool is_split = options_.optimizer_parallel && !value.shape.empty() &&
                        value.shape[0] % (layout.mesh_count(0) * replicas) == 0;
  const double kept = 2 + options_.state_bytes_per_parameter_byte;
  return bytes * kept / (is_split ? static_cast<double>(replicas) : 1);
}

OperatorCost CostModel::CostOf(OperatorId id, const OperatorLayout& layout) const {
  const Operator& op = graph_.op(id);
  OperatorCost cost;
  cost.compute = ComputeSeconds(op, layout);
  const std::vector<Layout>& any = layout.outputs.empty() ? layout.inputs : layout.outputs;
  const size_t mesh_axis_count = any.empty() ? 0 : any[0].spec().mesh.size();
  std::vector<bool> working = UsedAxes(layout.inputs, mesh_axis_count);
  for (size_t i = 0; i < op.outputs.size(); ++i) {
    cost.reduction += PartialSumSeconds(op.outputs[i], layout.outputs[i], working);
    if (options_.training && !IsView(op)) {
      cost.bytes_kept += PieceBytes(op.outputs[i], layout.outputs[i]);
    }
  }
  cost.reduction += ScatteredSumSeconds(op, layout);
  for (const Layout& output : layout.outputs) MarkUsed(output, working);
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    const ValueId input = op.inputs[i];
    const Value& value = graph_.value(input);
    const Layout& at = layout.inputs[i];
    const bool backward = options_.training && needs_gradient_[static_cast<size_t>(input)];
    if (value.role == ValueRole::kInput) cost.input += InputSeconds(input, at);
    if (value.role == ValueRole::kResult && backward) {
      cost.reduction += PartialSumSeconds(input, at, working);
    }
    const Graph::Use& first = first_use_[static_cast<size_t>(input)];
    if (value.role == ValueRole::kParameter && first.user == id &&
        first.input == static_cast<int32_t>(i)) {
      cost.bytes_kept += ParameterBytesKept(input, at);
      if (backward) cost.gradient += GradientSeconds(input, at);
    }
  }
  cost.memory = cost.bytes_kept * machine_.seconds_per_byte_kept;
  return cost;
}

EdgeCost CostModel::CostOf(const Edge& edge, const Layout& from, const Layout& to) const {
  return CostOf(edge, MovementBetween(from, to, machine_.devices_per_node),
                MovementBetween(to, from, machine_.devices_per_node));
}

EdgeCost CostModel::CostOf(const Edge& edge, const Movement& there, const Movement& back) const {
  EdgeCost cost;
  cost.from = edge.from;
  cost.to = edge.to;
  cost.value = edge.value;
  cost.input = edge.input;
  if (edge.shared_parameter) {
    // Pieces that differ make some device lack something in one direction at least.
    cost.disagreement = there.fraction > 0 || back.fraction > 0;
    return cost;
  }
  const LinearSeconds forward = SecondsOf(there);
  cost.forward = forward.fixed + edge.bytes * forward.per_byte;
  if (edge.has_backward) {
    const LinearSeconds backward = SecondsOf(back);
    cost.backward = backward.fixed + edge.bytes * backward.per_byte;
  }
  return cost;
}

CostModel::LinearSeconds CostModel::SecondsOf(const Movement& movement) const {
  if (movement.fraction <= 0 || movement.group_size <= 1) return {};
  const double bandwidth =
      movement.crosses_nodes ? machine_.bytes_between_nodes : machine_.bytes_within_node;
  return {StartSeconds(movement.group_size), movement.fraction / bandwidth};
}

const Layout& CostModel::From(const Edge& edge, const OperatorLayout& from) {
  const auto index = static_cast<size_t>(edge.output);
  return edge.shared_parameter ? from.inputs[index] : from.outputs[index];
}

const Layout& CostModel::To(const Edge& edge, const OperatorLayout& to) {
  return to.inputs[static_cast<size_t>(edge.input)];
}

std::string CostModel::Signature(OperatorId id) const {
  const Operator& op = graph_.op(id);
  std::string text = op.type;
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    const ValueId input = op.inputs[i];
    const Value& value = graph_.value(input);
    const Graph::Use& first = first_use_[static_cast<size_t>(input)];
    text += Format(" {}{}{}{}{}", ShortName(value.dtype), relayout::ToText(value.shape),
                   static_cast<int>(value.role), value.trained ? "t" : "f",
                   needs_gradient_[static_cast<size_t>(input)] ? "g" : "-");
    if (first.user == id && first.input == static_cast<int32_t>(i)) text += "!";
  }
  text += " ->";
  for (const ValueId output : op.outputs) {
    const Value& value = graph_.value(output);
    text += Format(" {}{}", ShortName(value.dtype), relayout::ToText(value.shape));
  }
  for (const auto& [name, value] : op.attributes.entries()) {
    text += Format(" {}={}", name, ToText(value));
  }
  if (op.cuts) text += relayout::ToText(*op.cuts);
  if (op.mesh_cuts) text += relayout::ToText(*op.mesh_cuts);
  return text;
}

CostTable Price(const CostModel& model, const std::vector<OperatorLayout>& layouts) {
  CostTable table;
  for (size_t id = 0; id < layouts.size(); ++id) {
    table.operators.push_back(model.CostOf(static_cast<OperatorId>(id), layouts[id]));
    const OperatorCost& cost = table.operators.back();
    table.seconds += cost.total();
    table.step_seconds += cost.total() - cost.memory;
    table.bytes_kept += table.operators.back().bytes_kept;
  }
  for (const CostModel::Edge& edge : model.edges()) {
    table.edges.push_back(
        model.CostOf(edge, CostModel::From(edge, layouts[static_cast<size_t>(edge.from)]),
                     CostModel::To(edge, layouts[static_cast<size_t>(edge.to)])));
    const EdgeCost& cost = table.edges.back();
    table.seconds += cost.total();
    table.step_seconds += cost.forward + cost.backward;
  }
  return table;
}

Result<CostTable> Price(const Graph& graph, const Assignment& assignment, int64_t device_count,
                        const MachineModel& machine, const CostOptions& options) {
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<OperatorLayout> layouts,
                            LayOutAll(graph, assignment, device_count));
  return Price(CostModel(graph, machine, options), layouts);
}

}  // namespace relayout
