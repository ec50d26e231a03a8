// SPDX-License-Identifier: Apache-2.0
#include "relayout/graph/graph.h"

#include <algorithm>

#include "relayout/base/check.h"
#include "relayout/base/text.h"

namespace relayout {
namespace {

template <typename T>
std::string ListText(const std::vector<T>& values) {
  std::string text;
  for (size_t i = 0; i < values.size(); ++i) {
    text += Format("{}{}", i == 0 ? "" : ",", values[i]);
  }
  return Format("({})", text);
}

// "{2,2,2}(0,-,1+2)".
std::string AxisCutText(const LayoutSpec& spec) {
  std::string mesh;
  for (const int64_t size : spec.mesh) mesh += Format("{}{}", mesh.empty() ? "" : ",", size);
  std::string dims;
  for (const std::vector<int>& axes : spec.dim_axes) {
    std::string dim;
    for (const int axis : axes) dim += Format("{}{}", dim.empty() ? "" : "+", axis);
    dims.append(dims.empty() ? "" : ",").append(dim.empty() ? "-" : dim);
  }
  return Format("{{{}}}({})", mesh, dims);
}

std::string AttributeText(const AttributeValue& value) {
  struct Writer {
    std::string operator()(bool b) const { return b ? "true" : "false"; }
    std::string operator()(int64_t i) const { return std::to_string(i); }
    std::string operator()(double d) const { return Format("{}", d); }
    std::string operator()(const std::string& s) const { return Format("'{}'", Printable(s)); }
    std::string operator()(const std::vector<int64_t>& v) const { return ListText(v); }
    std::string operator()(const std::vector<double>& v) const { return ListText(v); }
  };
  return std::visit(Writer(), value);
}

std::string TypeText(const Value& value) {
  return Format("{}{}", ShortName(value.dtype), relayout::ToText(value.shape));
}

std::string ReferenceText(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  switch (value.role) {
    case ValueRole::kConstant:
      return Format("const {}", TypeText(value));
    case ValueRole::kResult:
      if (graph.op(value.producer).outputs.size() == 1) return Format("#{}", value.producer);
      return Format("#{}.{}", value.producer, value.output_index);
    default:
      return Printable(value.name);
  }
}

std::string OperatorText(const Graph& graph, OperatorId id) {
  const Operator& op = graph.op(id);
  std::string text = Format("#{} {} (", id, Printable(op.type));
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    text.append(i == 0 ? "" : ", ").append(ReferenceText(graph, op.inputs[i]));
  }
  text += ") ->";
  for (const ValueId output : op.outputs) text.append(" ").append(TypeText(graph.value(output)));
  if (op.cuts) text.append(" cuts ").append(ToText(*op.cuts));
  if (op.mesh_cuts) text.append(" cuts ").append(ToText(*op.mesh_cuts));
  if (op.output_cuts) text.append(" output cuts ").append(ToText(*op.output_cuts));
  if (op.output_mesh_cuts) text.append(" output cuts ").append(ToText(*op.output_mesh_cuts));
  for (const auto& [name, value] : op.attributes.entries()) {
    text += Format(" {}={}", Printable(name), AttributeText(value));
  }
  return text.append("\n");
}

}  // namespace

std::string ToText(const Cuts& cuts) {
  std::string text;
  for (size_t i = 0; i < cuts.size(); ++i) text.append(i == 0 ? "" : ",").append(ListText(cuts[i]));
  return Format("({}{})", text, cuts.size() == 1 ? "," : "");
}

std::string ToText(const MeshCuts& cuts) {
  std::string text;
  for (const LayoutSpec& spec : cuts) {
    text.append(text.empty() ? "" : ",").append(AxisCutText(spec));
  }
  return Format("({})", text);
}

Attributes::Attributes(std::initializer_list<std::pair<std::string, AttributeValue>> entries) {
  for (const auto& [name, value] : entries) Set(name, value);
}

void Attributes::Set(std::string_view name, AttributeValue value) {
  for (auto& entry : entries_) {
    if (entry.first == name) {
      entry.second = std::move(value);
      return;
    }
  }
  entries_.emplace_back(name, std::move(value));
}

const AttributeValue* Attributes::Find(std::string_view name) const {
  for (const auto& entry : entries_) {
    if (entry.first == name) return &entry.second;
  }
  return nullptr;
}

bool Attributes::GetBool(std::string_view name, bool otherwise) const {
  const AttributeValue* const value = Find(name);
  const bool* const held = value == nullptr ? nullptr : std::get_if<bool>(value);
  return held == nullptr ? otherwise : *held;
}

int64_t Attributes::GetInt(std::string_view name, int64_t otherwise) const {
  const AttributeValue* const value = Find(name);
  const int64_t* const held = value == nullptr ? nullptr : std::get_if<int64_t>(value);
  return held == nullptr ? otherwise : *held;
}

std::optional<std::vector<int64_t>> Attributes::GetInts(std::string_view name) const {
  const AttributeValue* const value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (const auto* const list = std::get_if<std::vector<int64_t>>(value)) return *list;
  if (const auto* const one = std::get_if<int64_t>(value)) return std::vector<int64_t>{*one};
  return std::nullopt;
}

std::string_view Attributes::GetText(std::string_view name, std::string_view otherwise) const {
  const AttributeValue* const value = Find(name);
  const std::string* const held = value == nullptr ? nullptr : std::get_if<std::string>(value);
  return held == nullptr ? otherwise : std::string_view(*held);
}

ValueId Graph::Add(Value value) {
  values_.push_back(std::move(value));
  return static_cast<ValueId>(values_.size() - 1);
}

ValueId Graph::AddInput(std::string name, TensorType type) {
  Value value;
  value.role = ValueRole::kInput;
  value.name = std::move(name);
  value.dtype = type.dtype;
  value.shape = type.shape;
  inputs_.push_back(Add(std::move(value)));
  return inputs_.back();
}

Result<ValueId> Graph::AddParameter(std::string name, TensorType type, bool trained,
                                    std::string initializer) {
  const auto [position, is_new] = parameter_of_name_.emplace(name, kNoId);
  if (!is_new) {
    return InvalidInput(Format("two parameters are called '{}'", Printable(name)));
  }
  Value value;
  value.role = ValueRole::kParameter;
  value.name = std::move(name);
  value.dtype = type.dtype;
  value.shape = type.shape;
  value.trained = trained;
  value.initializer = std::move(initializer);
  position->second = Add(std::move(value));
  parameters_.push_back(position->second);
  return position->second;
}

ValueId Graph::AddConstant(TensorType type, ConstantBytes bytes) {
  RELAYOUT_CHECK(bytes == nullptr || std::ssize(*bytes) == ElementCount(type.shape).value_or(-1) *
                                                               ElementSize(type.dtype));
  Value value;
  value.role = ValueRole::kConstant;
  value.dtype = type.dtype;
  value.shape = type.shape;
  value.bytes = std::move(bytes);
  return Add(std::move(value));
}

OperatorId Graph::AddOperator(Operator op, const std::vector<TensorType>& result_types) {
  const auto id = static_cast<OperatorId>(operators_.size());
  for (const ValueId input : op.inputs) {
    RELAYOUT_CHECK(input >= 0 && static_cast<size_t>(input) < values_.size());
  }
  op.outputs.clear();
  for (const TensorType& type : result_types) {
    Value value;
    value.dtype = type.dtype;
    value.shape = type.shape;
    value.producer = id;
    value.output_index = static_cast<int32_t>(op.outputs.size());
    op.outputs.push_back(Add(std::move(value)));
  }
  operators_.push_back(std::move(op));
  return id;
}

void Graph::SetTrained(ValueId parameter, bool trained) {
  RELAYOUT_CHECK(value(parameter).role == ValueRole::kParameter);
  values_[static_cast<size_t>(parameter)].trained = trained;
}

ValueId Graph::FindParameter(std::string_view name) const {
  const auto found = parameter_of_name_.find(std::string(name));
  return found == parameter_of_name_.end() ? kNoId : found->second;
}

std::vector<std::vector<Graph::Use>> Graph::Uses() const {
  std::vector<std::vector<Use>> uses(values_.size());
  for (size_t id = 0; id < operators_.size(); ++id) {
    const std::vector<ValueId>& inputs = operators_[id].inputs;
    for (size_t i = 0; i < inputs.size(); ++i) {
      uses[static_cast<size_t>(inputs[i])].push_back(
          {static_cast<OperatorId>(id), static_cast<int32_t>(i)});
    }
  }
  return uses;
}

std::string ToText(const Graph& graph) {
  std::string text;
  for (const ValueId id : graph.inputs()) {
    text += Format("{} input {}\n", ReferenceText(graph, id), TypeText(graph.value(id)));
  }
  for (const ValueId id : graph.parameters()) {
    const Value& value = graph.value(id);
    text += Format("{} parameter {}{}\n", ReferenceText(graph, id), TypeText(value),
                   value.trained ? "" : " not trained");
  }
  for (size_t id = 0; id < graph.operators().size(); ++id) {
    text += OperatorText(graph, static_cast<OperatorId>(id));
  }
  text += "return";
  for (const ValueId id : graph.results()) text.append(" ").append(ReferenceText(graph, id));
  return text.append("\n");
}

std::string Describe(const Operator& op) {
  return Format("{} '{}'", Printable(op.type), Printable(op.name));
}

std::string Describe(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  switch (value.role) {
    case ValueRole::kInput:
      return Format("input '{}'", Printable(value.name));
    case ValueRole::kParameter:
      return Format("parameter '{}'", Printable(value.name));
    case ValueRole::kConstant:
      return "a constant";
    case ValueRole::kResult:
      return Format("the result of {}", Describe(graph.op(value.producer)));
  }
  return "a value";
}

}  // namespace relayout
