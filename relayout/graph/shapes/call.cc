// SPDX-License-Identifier: Apache-2.0
#include "relayout/graph/shapes/call.h"

#include <algorithm>
#include <array>

#include "relayout/base/text.h"

namespace relayout {
namespace {

struct NamedType {
  std::string_view name;  // As MindSpore's Python spells it.
  int64_t number;         // As attributes of MindSpore's operators have it.
  DType dtype;
};

constexpr std::array kMindSporeTypes = {
    NamedType{"bool_", 30, DType::kBool},
    NamedType{"int8", 32, DType::kInt8},
    NamedType{"int16", 33, DType::kInt16},
    NamedType{"int32", 34, DType::kInt32},
    NamedType{"int64", 35, DType::kInt64},
    NamedType{"uint8", 37, DType::kUInt8},
    NamedType{"uint16", 38, DType::kUInt16},
    NamedType{"uint32", 39, DType::kUInt32},
    NamedType{"uint64", 40, DType::kUInt64},
    NamedType{"float16", 42, DType::kFloat16},
    NamedType{"float32", 43, DType::kFloat32},
    NamedType{"float64", 44, DType::kFloat64},
    NamedType{"bfloat16", 45, DType::kBFloat16},
    NamedType{"float8_e4m3fn", 46, DType::kFloat8E4M3},
    NamedType{"float8_e5m2", 47, DType::kFloat8E5M2},
    NamedType{"hifloat8", 48, DType::kHiFloat8},
    NamedType{"complex64", 51, DType::kComplex64},
    NamedType{"complex128", 52, DType::kComplex128},
    NamedType{"qint4x2", 53, DType::kInt4},
};

std::optional<DType> TypeOfName(std::string_view name) {
  for (const NamedType& known : kMindSporeTypes) {
    if (known.name == name) return known.dtype;
  }
  return DTypeFromShortName(name);
}

std::optional<DType> TypeOfNumber(int64_t number) {
  for (const NamedType& known : kMindSporeTypes) {
    if (known.number == number) return known.dtype;
  }
  return std::nullopt;
}

// Bool, integer, floating, complex: the later one wins.
int Kind(DType dtype) {
  if (dtype == DType::kBool) return 0;
  if (dtype < DType::kFloat8E4M3) return 1;
  return dtype < DType::kComplex64 ? 2 : 3;
}

bool IsSameWord(std::string_view a, std::string_view b) {
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

Status ShapeCall::Fail(std::string_view message) const {
  return InvalidInput(Format("{}: {}", Describe(op_), message));
}

Status ShapeCall::ExpectInputs(size_t fewest, size_t most) const {
  if (count() >= fewest && count() <= most) return OkStatus();
  const std::string wanted = fewest == most ? Count(static_cast<int64_t>(fewest), "tensor")
                                            : Format("{} to {} tensors", fewest, most);
  return Fail(Format("takes {}, here {}", wanted, count()));
}

Status ShapeCall::ExpectDims(size_t i, size_t fewest) const {
  if (dim_count(i) >= fewest) return OkStatus();
  return Fail(Format("input {} has to have {} at least, its shape is {}", i,
                     Count(static_cast<int64_t>(fewest), "dim"), ToText(shape(i))));
}

Result<size_t> ShapeCall::Axis(int64_t axis, const Dims& shape) const {
  const auto dims = static_cast<int64_t>(shape.size());
  if (axis < -dims || axis >= dims) {
    return Fail(Format("axis {} is none of the {} of {}", axis, Count(dims, "dim"), ToText(shape)));
  }
  return static_cast<size_t>(axis < 0 ? axis + dims : axis);
}

Result<std::vector<size_t>> ShapeCall::Axes(std::string_view name,
                                            const std::vector<int64_t>& otherwise) const {
  std::vector<size_t> axes;
  for (const int64_t given : attributes().GetInts(name).value_or(otherwise)) {
    RELAYOUT_ASSIGN_OR_RETURN(const size_t axis, Axis(given, shape(0)));
    if (std::find(axes.begin(), axes.end(), axis) != axes.end()) {
      return Fail(Format("{} names dim {} of {} twice", name, axis, ToText(shape(0))));
    }
    axes.push_back(axis);
  }
  return axes;
}

Result<std::vector<int64_t>> ShapeCall::Ints(std::string_view name) const {
  if (auto list = attributes().GetInts(name)) return *std::move(list);
  return Fail(Format("the attribute {} is missing, or no list of integers", name));
}

Result<int64_t> ShapeCall::Int(std::string_view name) const {
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<int64_t> list, Ints(name));
  if (list.size() == 1) return list[0];
  return Fail(Format("the attribute {} has to be one integer, it has {}", name, list.size()));
}

Result<DType> ShapeCall::ElementType(std::string_view name, std::optional<DType> otherwise) const {
  const AttributeValue* const given = attributes().Find(name);
  if (given == nullptr) {
    if (otherwise) return *otherwise;
    return Fail(Format("the attribute {} is missing", name));
  }
  if (const auto* const number = std::get_if<int64_t>(given)) {
    if (const std::optional<DType> dtype = TypeOfNumber(*number)) return *dtype;
    return Fail(Format("{} = {} is no element type", name, *number));
  }
  const std::string_view text = attributes().GetText(name, "");
  if (const std::optional<DType> dtype = TypeOfName(text)) return *dtype;
  return Fail(Format("{} = '{}' is no element type", name, Printable(text)));
}

bool ShapeCall::Says(std::string_view name, std::string_view word, int64_t number) const {
  const AttributeValue* const value = attributes().Find(name);
  if (value == nullptr) return false;
  if (const auto* const text = std::get_if<std::string>(value)) return IsSameWord(*text, word);
  const auto* const given = std::get_if<int64_t>(value);
  return given != nullptr && *given == number;
}

Result<Dims> BroadcastShape(const ShapeCall& call, size_t begin, size_t end) {
  size_t dim_count = 0;
  for (size_t i = begin; i < end; ++i) dim_count = std::max(dim_count, call.dim_count(i));
  Dims result = Dims::Filled(dim_count, 1);
  for (size_t i = begin; i < end; ++i) {
    const Dims& shape = call.shape(i);
    for (size_t d = 0; d < shape.size(); ++d) {
      int64_t& length = result[dim_count - shape.size() + d];
      if (shape[d] == 1 || shape[d] == length) continue;
      if (length != 1) {
        return call.Fail(Format("{} and {} do not broadcast: {} against {}",
                                ToText(call.shape(begin)), ToText(shape), length, shape[d]));
      }
      length = shape[d];
    }
  }
  return result;
}

DType CommonType(DType a, DType b) {
  if (a == b) return a;
  if (Kind(a) != Kind(b)) return Kind(a) > Kind(b) ? a : b;
  if (ElementSize(a) != ElementSize(b)) return ElementSize(a) > ElementSize(b) ? a : b;
  // float16 with bfloat16: neither holds the other.
  if (Kind(a) == 2 && ElementSize(a) == 2) return DType::kFloat32;
  return std::max(a, b);
}

std::string TextOf(const std::vector<int64_t>& values) {
  std::string text;
  for (const int64_t value : values) text += Format("{}{}", text.empty() ? "" : ",", value);
  return Format("({})", text);
}

Dims ToDims(const std::vector<int64_t>& values) {
  Dims dims;
  for (const int64_t value : values) dims.push_back(value);
  return dims;
}

}  // namespace relayout
