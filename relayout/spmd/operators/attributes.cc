// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/operators/attributes.h"

#include <algorithm>

#include "relayout/base/check.h"
#include "relayout/base/text.h"
#include "relayout/graph/shapes/call.h"

namespace relayout {
namespace {

std::string TextOfValue(bool value) { return value ? "true" : "false"; }
std::string TextOfValue(int64_t value) { return Format("{}", value); }
std::string TextOfValue(double value) { return Format("{}", value); }
std::string TextOfValue(const std::string& value) { return Printable(value); }
template <typename T>
std::string TextOfValue(const std::vector<T>& list) {
  std::string text;
  for (const T value : list) text += Format("{}{}", text.empty() ? "" : ",", value);
  return Format("({})", text);
}

Status ExpectType(const Graph& graph, const Operator& op, std::string_view side, size_t index,
                  ValueId id, std::initializer_list<DType> types) {
  const Value& value = graph.value(id);
  if (std::find(types.begin(), types.end(), value.dtype) != types.end()) return OkStatus();
  std::string names;
  for (const DType type : types) {
    names += Format("{}{}", names.empty() ? "" : " and ", ShortName(type));
  }
  return Refuse(op, Format("{} {} is {}{}, but relayout runs it on {} only", side, index,
                           ShortName(value.dtype), ToText(value.shape), names));
}

}  // namespace

std::optional<double> NumberOf(const Operator& op, std::string_view name) {
  const AttributeValue* const value = op.attributes.Find(name);
  if (value == nullptr) return std::nullopt;
  if (const auto* const number = std::get_if<double>(value)) return *number;
  if (const auto* const number = std::get_if<int64_t>(value)) return static_cast<double>(*number);
  if (const auto* const truth = std::get_if<bool>(value)) return *truth ? 1 : 0;
  return std::nullopt;
}

std::string AttributeText(const Operator& op, std::string_view name) {
  const AttributeValue* const value = op.attributes.Find(name);
  if (value == nullptr) return "nothing";
  return std::visit([](const auto& held) { return TextOfValue(held); }, *value);
}

bool Says(const Operator& op, std::string_view name, std::string_view word, int64_t number) {
  const std::vector<TensorType> none;
  return ShapeCall(op, op.attributes, none).Says(name, word, number);
}

size_t DimOf(const Operator& op, std::string_view name, int64_t otherwise, size_t dim_count) {
  const auto count = static_cast<int64_t>(dim_count);
  const std::vector<int64_t> given = op.attributes.GetInts(name).value_or(std::vector{otherwise});
  RELAYOUT_CHECK(given.size() == 1 && given[0] >= -count && given[0] < count);
  return static_cast<size_t>(given[0] < 0 ? given[0] + count : given[0]);
}

Status Refuse(const Operator& op, std::string_view what) {
  return Unsupported(Format("{}: {}", Describe(op), what));
}

Status RefuseAttribute(const Operator& op, std::string_view name, std::string_view supported) {
  return Refuse(op, Format("{} is {}, but relayout runs it with {} only", name,
                           AttributeText(op, name), supported));
}

Status ExpectInputCount(const Operator& op, size_t fewest, size_t most) {
  if (op.inputs.size() >= fewest && op.inputs.size() <= most) return OkStatus();
  const std::string wanted = fewest == most ? Count(static_cast<int64_t>(fewest), "tensor")
                                            : Format("{} to {} tensors", fewest, most);
  return Refuse(op, Format("has {} for inputs, but relayout runs it on {}",
                           Count(std::ssize(op.inputs), "tensor"), wanted));
}

Status ExpectInput(const Graph& graph, const Operator& op, size_t input,
                   std::initializer_list<DType> types) {
  return ExpectType(graph, op, "input", input, op.inputs[input], types);
}

Status ExpectOutput(const Graph& graph, const Operator& op, size_t output,
                    std::initializer_list<DType> types) {
  return ExpectType(graph, op, "output", output, op.outputs[output], types);
}

Status ExpectFloats(const Graph& graph, const Operator& op) {
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    RELAYOUT_RETURN_IF_ERROR(ExpectInput(graph, op, i, {DType::kFloat32}));
  }
  for (size_t i = 0; i < op.outputs.size(); ++i) {
    RELAYOUT_RETURN_IF_ERROR(ExpectOutput(graph, op, i, {DType::kFloat32}));
  }
  return OkStatus();
}

Status ExpectOneType(const Graph& graph, const Operator& op) {
  RELAYOUT_RETURN_IF_ERROR(ExpectInputCount(op, 1, op.inputs.size()));
  RELAYOUT_RETURN_IF_ERROR(ExpectInput(graph, op, 0, {DType::kFloat32, DType::kInt32}));
  const DType type = graph.value(op.inputs[0]).dtype;
  for (size_t i = 1; i < op.inputs.size(); ++i) {
    RELAYOUT_RETURN_IF_ERROR(ExpectInput(graph, op, i, {type}));
  }
  for (size_t i = 0; i < op.outputs.size(); ++i) {
    RELAYOUT_RETURN_IF_ERROR(ExpectOutput(graph, op, i, {type}));
  }
  return OkStatus();
}

}  // namespace relayout
