// SPDX-License-Identifier: Apache-2.0
#include "relayout/graph/mindir_values.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "relayout/base/text.h"

namespace relayout::mindir {
namespace {

std::string ShapeText(const std::vector<int64_t>& dims) {
  Dims shape;
  for (const int64_t length : dims) shape.push_back(length);
  return ToText(shape);
}

// Every number of a value in order, inner tuples included.
void Flatten(const MindirValue& value, std::vector<int64_t>& integers, std::vector<double>& reals,
             bool& other) {
  integers.insert(integers.end(), value.integers.begin(), value.integers.end());
  reals.insert(reals.end(), value.reals.begin(), value.reals.end());
  if (!value.texts.empty() || !value.tensors.empty()) other = true;
  for (const MindirValue& element : value.elements) Flatten(element, integers, reals, other);
}

// A number or a text as an attribute; nothing for what an attribute cannot hold.
std::optional<AttributeValue> ScalarOf(const MindirValue& value) {
  // In place: a value that is moved in looks uninitialized to g++ 12 under sanitizers.
  std::optional<AttributeValue> scalar;
  if (value.type == MindirType::kBool) {
    scalar.emplace(std::in_place_type<bool>, !value.integers.empty() && value.integers[0] != 0);
  } else if (value.integers.size() == 1) {
    scalar.emplace(std::in_place_type<int64_t>, value.integers[0]);
  } else if (value.reals.size() == 1) {
    scalar.emplace(std::in_place_type<double>, value.reals[0]);
  } else if (value.texts.size() == 1) {
    scalar.emplace(std::in_place_type<std::string>, value.texts[0]);
  }
  return scalar;
}

Status BadAnnotation(const MindirValue& value, std::string_view expected) {
  return InvalidInput(Format("the shard annotation {} is not {}", Printable(value.name), expected));
}

// One tensor's cuts: a tuple of numbers only.
std::optional<std::vector<int64_t>> NumbersOf(const MindirValue& value) {
  if (!IsSequence(value)) return std::nullopt;
  std::vector<int64_t> numbers = value.integers;
  for (const MindirValue& element : value.elements) {
    if (element.integers.size() != 1 || !element.elements.empty()) return std::nullopt;
    numbers.push_back(element.integers[0]);
  }
  return numbers;
}

// A tuple with an element for each tensor; where an argument is a tuple of tensors, its element
// may be a tuple of those.
Status AppendCuts(const MindirValue& value, bool outermost, Cuts& cuts) {
  for (const MindirValue& element : value.elements) {
    if (std::optional<std::vector<int64_t>> numbers = NumbersOf(element)) {
      cuts.push_back(std::move(*numbers));
    } else if (outermost && IsSequence(element)) {
      RELAYOUT_RETURN_IF_ERROR(AppendCuts(element, false, cuts));
    } else {
      return BadAnnotation(value, "a tuple of tuples of numbers");
    }
  }
  return OkStatus();
}

// The value of a key of a dictionary: an element without a type around it.
const MindirValue* Entry(const MindirValue& dict, std::string_view key) {
  const MindirValue* const entry = FindMindirValue(dict.elements, key);
  return entry == nullptr || entry->elements.size() != 1 ? nullptr : &entry->elements[0];
}

// MindSpore counts axes from the right; -1 cuts nothing.
Status AppendAxis(int64_t from_right, const LayoutSpec& spec, std::vector<int>& axes) {
  const int64_t axis_count = std::ssize(spec.mesh);
  if (from_right == -1) return OkStatus();
  if (from_right < 0 || from_right >= axis_count) {
    return InvalidInput(Format("a layout for shard names axis {} of a device matrix of {} axes",
                               from_right, axis_count));
  }
  axes.push_back(static_cast<int>(axis_count - 1 - from_right));
  return OkStatus();
}

Result<LayoutSpec> AxisCutOf(const MindirValue& dict) {
  const MindirValue* const mesh = Entry(dict, "device_matrix");
  const MindirValue* const map = Entry(dict, "tensor_map");
  const MindirValue* const interleaved = Entry(dict, "interleaved_parallel");
  const std::optional<std::vector<int64_t>> sizes =
      mesh == nullptr ? std::nullopt : NumbersOf(*mesh);
  if (!sizes || map == nullptr || !IsSequence(*map)) {
    return InvalidInput("a layout for shard lacks its device_matrix or tensor_map");
  }
  if (interleaved != nullptr && !interleaved->integers.empty() && interleaved->integers[0] != 0) {
    return Unsupported(
        "a layout for shard has the axis interleaved_parallel, which splits within a device; "
        "relayout has no such layouts");
  }
  LayoutSpec spec;
  spec.mesh = *sizes;
  for (const MindirValue& dim : map->elements) {
    std::vector<int64_t> axes;
    std::vector<double> reals;
    bool other = false;
    Flatten(dim, axes, reals, other);
    spec.dim_axes.emplace_back();
    for (const int64_t axis : axes) {
      RELAYOUT_RETURN_IF_ERROR(AppendAxis(axis, spec, spec.dim_axes.back()));
    }
  }
  return spec;
}

Status AppendMeshCuts(const MindirValue& value, bool outermost, MeshCuts& cuts) {
  for (const MindirValue& element : value.elements) {
    if (element.type == MindirType::kDict) {
      RELAYOUT_ASSIGN_OR_RETURN(LayoutSpec spec, AxisCutOf(element));
      cuts.push_back(std::move(spec));
    } else if (outermost && IsSequence(element)) {
      RELAYOUT_RETURN_IF_ERROR(AppendMeshCuts(element, false, cuts));
    } else {
      return BadAnnotation(value, "a tuple of layouts");
    }
  }
  return OkStatus();
}

}  // namespace

std::string_view WithoutGraph(std::string_view name, const MindirGraph& graph) {
  const size_t prefix = graph.name.size();
  const bool has_prefix = prefix > 0 && name.size() > prefix + 1 &&
                          name.substr(0, prefix) == graph.name && name[prefix] == ':';
  return has_prefix ? name.substr(prefix + 1) : name;
}

std::string ParameterName(const MindirTensor& tensor, const MindirGraph& graph) {
  return tensor.key.empty() ? std::string(WithoutGraph(tensor.name, graph)) : tensor.key;
}

Result<TensorType> TypeOf(const MindirTensor& tensor, std::string_view what) {
  const std::optional<DType> dtype = DTypeOfMindir(tensor.type);
  if (!dtype) {
    return Unsupported(Format("{}: element type {} of MindIR is not known", what, tensor.type));
  }
  TensorType type;
  type.dtype = *dtype;
  for (const int64_t length : tensor.dims) {
    if (length < 0) {
      return Unsupported(
          Format("{}: the shape {} is not fixed (a dim of {}); export the network with inputs of "
                 "fixed shape",
                 what, ShapeText(tensor.dims), length));
    }
    type.shape.push_back(length);
  }
  if (!ElementCount(type.shape)) {
    return InvalidInput(Format("{}: the shape {} overflows", what, ShapeText(tensor.dims)));
  }
  return type;
}

bool IsSequence(const MindirValue& value) {
  return value.type == MindirType::kTuple || value.type == MindirType::kList;
}

size_t WorkOf(const MindirValue& value) {
  size_t work = 1 + value.integers.size() + value.reals.size() + value.tensors.size();
  for (const std::string& text : value.texts) work += 1 + text.size() / kTextBytesOfWork;
  for (const MindirValue& element : value.elements) work += WorkOf(element);
  return work;
}

bool IsNoise(std::string_view name) {
  constexpr std::string_view kNoise[] = {"input_names",
                                         "output_names",
                                         "primitive_target",
                                         "cust_aicpu",
                                         "side_effect_mem",
                                         "side_effect_io",
                                         "side_effect_propagate",
                                         "side_effect_backoff",
                                         "side_effect_hidden",
                                         "bprop_return_sparse",
                                         "checkpoint",
                                         "need_cse_after_recompute",
                                         "unique_id",
                                         "forward_node_name",
                                         "forward_unique_id",
                                         "GRAPH_FLAG_SIDE_EFFECT"};
  return std::find(std::begin(kNoise), std::end(kNoise), name) != std::end(kNoise);
}

std::optional<std::vector<int64_t>> IntegersOf(const MindirTensor& tensor) {
  const std::optional<DType> dtype = DTypeOfMindir(tensor.type);
  if (dtype != DType::kInt32 && dtype != DType::kInt64) return std::nullopt;
  const size_t width = dtype == DType::kInt32 ? 4 : 8;
  if (tensor.bytes.empty() || tensor.bytes.size() % width != 0) return std::nullopt;
  std::vector<int64_t> numbers;
  for (size_t at = 0; at < tensor.bytes.size(); at += width) {
    int32_t narrow = 0;
    int64_t wide = 0;
    std::memcpy(width == 4 ? static_cast<void*>(&narrow) : &wide, tensor.bytes.data() + at, width);
    numbers.push_back(width == 4 ? narrow : wide);
  }
  return numbers;
}

std::optional<AttributeValue> AttributeOf(const MindirValue& value) {
  if (value.type == MindirType::kNone || value.type == MindirType::kDict) return std::nullopt;
  if (!IsSequence(value) && value.integers.size() + value.reals.size() + value.texts.size() <= 1) {
    return ScalarOf(value);
  }
  std::vector<int64_t> integers;
  std::vector<double> reals;
  bool other = false;
  Flatten(value, integers, reals, other);
  if (other) return std::nullopt;
  if (reals.empty()) return AttributeValue(std::move(integers));
  if (integers.empty()) return AttributeValue(std::move(reals));
  return std::nullopt;
}

Result<bool> SetAnnotation(const MindirValue& value, Operator& op) {
  std::optional<Cuts>* const cuts = value.name == "in_strategy"    ? &op.cuts
                                    : value.name == "out_strategy" ? &op.output_cuts
                                                                   : nullptr;
  std::optional<MeshCuts>* const mesh_cuts = value.name == "in_layout"    ? &op.mesh_cuts
                                             : value.name == "out_layout" ? &op.output_mesh_cuts
                                                                          : nullptr;
  if (cuts == nullptr && mesh_cuts == nullptr) return false;
  if (value.type == MindirType::kNone) return true;
  if (!IsSequence(value)) return BadAnnotation(value, "a tuple");
  if (cuts != nullptr) {
    RELAYOUT_RETURN_IF_ERROR(AppendCuts(value, true, cuts->emplace()));
  } else {
    RELAYOUT_RETURN_IF_ERROR(AppendMeshCuts(value, true, mesh_cuts->emplace()));
  }
  return true;
}

}  // namespace relayout::mindir
