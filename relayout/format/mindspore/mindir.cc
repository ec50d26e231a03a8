// SPDX-License-Identifier: Apache-2.0
#include "relayout/format/mindspore/mindir.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <span>
#include <utility>

#include "relayout/base/dims.h"
#include "relayout/base/text.h"
#include "relayout/format/mindspore/wire.h"
#include "relayout/format/value_name.h"

namespace relayout {
namespace {

constexpr int64_t kWindowBytes = int64_t{64} << 10;
// Real files nest tuples three or four deep.
constexpr int kMaxDepth = 16;
// Of the whole file. The largest networks have some 100,000 nodes, each with a few values.
constexpr size_t kMaxRecords = size_t{1} << 20;  // Of nodes, tensors and the like, each.
constexpr size_t kMaxValues = size_t{1} << 21;
constexpr size_t kMaxRecordNames = size_t{1} << 22;
constexpr size_t kMaxNumbers = size_t{1} << 22;
// Longer texts (the source of a custom operator) are of no use here and left out.
constexpr int64_t kMaxTextBytes = 4096;
// "1.1" and "2.10.0" are; the records of a checkpoint, which begin alike, are longer.
constexpr int64_t kMaxVersionBytes = 64;

// Field numbers, by message.
enum ModelNumber {
  kIrVersion = 1,
  kProducerName = 2,
  kProducerVersion = 3,
  kModelVersion = 5,
  kModelGraph = 7,
  kModelFunction = 8,
  kModelPrimitive = 12
};
enum GraphField {
  kGraphNode = 1,
  kGraphName = 2,
  kGraphParameter = 3,
  kGraphInput = 5,
  kGraphOutput = 6,
  kGraphMapParameter = 10
};
enum NodeField {
  kNodeInput = 1,
  kNodeOutput = 2,
  kNodeType = 4,
  kNodeAttribute = 5,
  kNodeScope = 7,
  kNodeNote = 8,
  kNodePrimalNote = 9
};
enum PrimitiveField { kPrimitiveName = 1, kPrimitiveType = 2, kPrimitiveAttribute = 3 };
enum PortField { kPortName = 1, kPortTensor = 2, kPortValue = 5 };
enum TensorField {
  kTensorDims = 1,
  kTensorType = 2,
  kTensorName = 7,
  kTensorBytes = 9,
  kTensorPlace = 12,
  kTensorKey = 13
};
enum PlaceField { kPlaceFile = 1, kPlaceBegin = 2, kPlaceSize = 3 };
enum AttributeField {
  kAttributeName = 1,
  kAttributeFloat = 2,
  kAttributeInteger = 3,
  kAttributeDouble = 4,
  kAttributeText = 5,
  kAttributeTensor = 6,
  kAttributeFloats = 8,
  kAttributeDoubles = 9,
  kAttributeIntegers = 10,
  kAttributeTexts = 11,
  kAttributeTensors = 12,
  kAttributeType = 16,
  kAttributeElement = 17
};
constexpr int kMapParameterName = 1;

Status NotMindir(std::string_view reason) {
  return InvalidInput(
      Format("not a MindIR file: {}. Export the network with mindspore.export(net, inputs, "
             "file_name=..., file_format='MINDIR')",
             reason));
}

// The number that somebody wrote: the float nearest to 1e-5 reads as 1e-5, not as
// 9.999999747378752e-06.
template <typename T>
double AsWritten(T number) {
  std::array<char, 64> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  double value = 0;
  std::from_chars(text.data(), end, value);
  return value;
}

class ModelReader {
 public:
  ModelReader(const ReadableFile& file, const MindirReadOptions& options)
      : window_(file, kWindowBytes), size_bytes_(file.size_bytes()), options_(options) {}

  Result<MindirModel> Run() {
    MindirModel model;
    const Status status = ForEachField({0, size_bytes_}, "the file", [&](const WireField& field) {
      return ModelField(field, model);
    });
    // Before the graph there is little to go by: the first error shows that the file is another.
    if (!status.ok() && !seen_.Has(kModelGraph) && status.code() == StatusCode::kInvalidInput) {
      return NotMindir(status.message());
    }
    RELAYOUT_RETURN_IF_ERROR(status);
    if (seen_.Has(kModelGraph)) return model;
    return NotMindir("it has no graph; it looks like a checkpoint or another protobuf file");
  }

 private:
  Status ModelField(const WireField& field, MindirModel& model) {
    switch (field.number) {
      case kIrVersion:
        return CheckVersion(field);
      case kProducerName:
        if (field.type == WireType::kLength) return OkStatus();
        return InvalidInput("it looks like an AIR model");
      case kProducerVersion:
      case kModelVersion:
        return Text(field, "version", model.producer_version);
      case kModelGraph:
        RELAYOUT_RETURN_IF_ERROR(seen_.Add(field, "main graph"));
        return Graph(field, model.graph);
      case kModelFunction:
        RELAYOUT_RETURN_IF_ERROR(Count(field, "functions", function_count_));
        return Graph(field, model.functions.emplace_back());
      case kModelPrimitive:
        RELAYOUT_RETURN_IF_ERROR(Count(field, "primitives", primitive_count_));
        return Primitive(field, model.primitives.emplace_back());
      default:
        return OkStatus();
    }
  }

  template <typename Handle>
  Status ForEachField(WireRange range, std::string_view what, const Handle& handle) {
    WireCursor cursor(window_, range, what);
    for (WireField field;;) {
      RELAYOUT_ASSIGN_OR_RETURN(const bool more, cursor.Next(field));
      if (!more) return OkStatus();
      RELAYOUT_RETURN_IF_ERROR(handle(field));
    }
  }

  // The fields of a nested message.
  template <typename Handle>
  Status ForEachFieldOf(const WireField& message, std::string_view what, const Handle& handle) {
    RELAYOUT_RETURN_IF_ERROR(ExpectType(message, WireType::kLength, what));
    return ForEachField(message.payload, what, handle);
  }

  static Status Count(const WireField& field, std::string_view what, size_t& count,
                      size_t limit = kMaxRecords) {
    if (count >= limit) {
      return InvalidInput(Format("more than {} {} at byte {}; such a network is not accepted",
                                 limit, what, field.offset_bytes));
    }
    ++count;
    return OkStatus();
  }

  Status CheckVersion(const WireField& field) {
    if (field.type != WireType::kLength) {
      return InvalidInput("it looks like an ONNX model or a strategy file");
    }
    if (seen_.Has(kIrVersion) || field.payload.size_bytes() > kMaxVersionBytes) {
      return InvalidInput("it looks like a checkpoint");
    }
    seen_.Note(field);
    return OkStatus();
  }

  Status Text(const WireField& field, std::string_view what, std::string& text) {
    RELAYOUT_ASSIGN_OR_RETURN(text, ReadText(window_, field, what, kMaxNameBytes));
    return OkStatus();
  }

  // Texts of attributes may be long; those are left empty.
  Status LooseText(const WireField& field, std::string& text) {
    RELAYOUT_RETURN_IF_ERROR(ExpectType(field, WireType::kLength, "text"));
    if (field.payload.size_bytes() > kMaxTextBytes) return OkStatus();
    return Text(field, "text", text);
  }

  Status AddName(const WireField& field, std::string_view what, std::vector<std::string>& names) {
    RELAYOUT_RETURN_IF_ERROR(Count(field, what, name_count_, kMaxRecordNames));
    return Text(field, what, names.emplace_back());
  }

  Status Graph(const WireField& message, MindirGraph& graph) {
    const auto handle = [&](const WireField& field) -> Status {
      switch (field.number) {
        case kGraphNode:
          RELAYOUT_RETURN_IF_ERROR(Count(field, "nodes", node_count_));
          return Node(field, graph.nodes.emplace_back());
        case kGraphName:
          return Text(field, "name of a graph", graph.name);
        case kGraphParameter:
          return Tensor(field, kMindirSmallBytes, graph.parameters.emplace_back());
        case kGraphInput:
          return Port(field, graph.inputs.emplace_back());
        case kGraphOutput:
          return Port(field, graph.outputs.emplace_back());
        case kGraphMapParameter:
          return MapParameter(field, graph);
        default:
          return OkStatus();
      }
    };
    return ForEachFieldOf(message, "graph", handle);
  }

  Status MapParameter(const WireField& message, MindirGraph& graph) {
    return ForEachFieldOf(message, "map parameter", [&](const WireField& field) -> Status {
      if (field.number != kMapParameterName) return OkStatus();
      return AddName(field, "map parameters", graph.map_parameters);
    });
  }

  Status Node(const WireField& message, MindirNode& node) {
    const auto handle = [&](const WireField& field) -> Status {
      switch (field.number) {
        case kNodeInput:
          return AddName(field, "inputs of nodes", node.inputs);
        case kNodeOutput:
          return AddName(field, "outputs of nodes", node.outputs);
        case kNodeType:
          return Text(field, "type of a node", node.op_type);
        case kNodeAttribute:
          return AddValue(field, node.attributes, 0);
        case kNodeScope:
          return Text(field, "scope of a node", node.scope);
        case kNodeNote:
        case kNodePrimalNote:
          return AddValue(field, node.notes, 0);
        default:
          return OkStatus();
      }
    };
    return ForEachFieldOf(message, "node", handle);
  }

  Status Primitive(const WireField& message, MindirPrimitive& primitive) {
    return ForEachFieldOf(message, "primitive", [&](const WireField& field) -> Status {
      switch (field.number) {
        case kPrimitiveName:
          return Text(field, "name of a primitive", primitive.name);
        case kPrimitiveType:
          return Text(field, "type of a primitive", primitive.type);
        case kPrimitiveAttribute:
          return AddValue(field, primitive.attributes, 0);
        default:
          return OkStatus();
      }
    });
  }

  Status Port(const WireField& message, MindirPort& port) {
    RELAYOUT_RETURN_IF_ERROR(Count(message, "inputs and outputs", port_count_));
    return ForEachFieldOf(message, "input or output", [&](const WireField& field) -> Status {
      switch (field.number) {
        case kPortName:
          return Text(field, "name of an input or output", port.name);
        case kPortTensor:
          return Tensor(field, kMindirSmallBytes, port.tensors.emplace_back());
        case kPortValue: {
          std::vector<MindirValue> values;
          RELAYOUT_RETURN_IF_ERROR(AddValue(field, values, 0));
          port.value = std::move(values[0]);
          return OkStatus();
        }
        default:
          return OkStatus();
      }
    });
  }

  // Reads its bytes if there are at most `limit_bytes`.
  Status Tensor(const WireField& message, int64_t limit_bytes, MindirTensor& tensor) {
    RELAYOUT_RETURN_IF_ERROR(Count(message, "tensors", tensor_count_));
    return ForEachFieldOf(message, "tensor", [&](const WireField& field) -> Status {
      switch (field.number) {
        case kTensorDims:
          return AppendIntegers(window_, field, "shape of a tensor", kMaxDims, tensor.dims);
        case kTensorType:
          RELAYOUT_RETURN_IF_ERROR(ExpectType(field, WireType::kVarint, "type of a tensor"));
          tensor.type = static_cast<int64_t>(field.varint);
          return OkStatus();
        case kTensorName:
          return Text(field, "name of a tensor", tensor.name);
        case kTensorBytes:
          return TensorBytes(field, limit_bytes, tensor);
        case kTensorPlace:
          return Place(field, tensor.place.emplace());
        case kTensorKey:
          return Text(field, "name of a parameter", tensor.key);
        default:
          return OkStatus();
      }
    });
  }

  // What is read is no more than the file is long: no byte of it belongs to two tensors.
  Status TensorBytes(const WireField& field, int64_t limit_bytes, MindirTensor& tensor) {
    RELAYOUT_RETURN_IF_ERROR(ExpectType(field, WireType::kLength, "content of a tensor"));
    tensor.place = MindirPlace{"", field.payload.begin_bytes, field.payload.size_bytes()};
    if (field.payload.size_bytes() > limit_bytes) return OkStatus();
    RELAYOUT_ASSIGN_OR_RETURN(tensor.bytes, window_.Read(field.payload));
    return OkStatus();
  }

  Status Place(const WireField& message, MindirPlace& place) {
    return ForEachFieldOf(message, "place of a tensor", [&](const WireField& field) -> Status {
      if (field.number == kPlaceFile) return Text(field, "file of a tensor", place.file);
      if (field.number != kPlaceBegin && field.number != kPlaceSize) return OkStatus();
      RELAYOUT_RETURN_IF_ERROR(ExpectType(field, WireType::kVarint, "place of a tensor"));
      (field.number == kPlaceBegin ? place.begin_bytes : place.size_bytes) =
          static_cast<int64_t>(field.varint);
      return OkStatus();
    });
  }

  // Of a constant.
  Status AddTensor(const WireField& message, std::vector<MindirTensor>& tensors) {
    const int64_t limit_bytes = options_.constants ? size_bytes_ : kMindirSmallBytes;
    return Tensor(message, limit_bytes, tensors.emplace_back());
  }

  // Bounded over the whole file: what it can make us allocate.
  Status AddIntegers(const WireField& field, std::vector<int64_t>& integers) {
    const size_t before = integers.size();
    RELAYOUT_RETURN_IF_ERROR(
        AppendIntegers(window_, field, "number", before + kMaxNumbers - number_count_, integers));
    number_count_ += integers.size() - before;
    return OkStatus();
  }

  // One number, or numbers without tags between them.
  template <typename T>
  Status AddReals(const WireField& field, std::vector<double>& reals) {
    if (field.type == WireType::kVarint || field.payload.size_bytes() % sizeof(T) != 0) {
      return InvalidInput(
          Format("expected numbers of {} bytes at byte {}", sizeof(T), field.offset_bytes));
    }
    if (field.payload.size_bytes() > kMaxTextBytes) return OkStatus();
    RELAYOUT_ASSIGN_OR_RETURN(const std::string bytes, window_.Read(field.payload));
    for (size_t at = 0; at < bytes.size(); at += sizeof(T)) {
      RELAYOUT_RETURN_IF_ERROR(Count(field, "numbers", number_count_, kMaxNumbers));
      T number = 0;
      std::memcpy(&number, bytes.data() + at, sizeof(T));
      reals.push_back(AsWritten(number));
    }
    return OkStatus();
  }

  Status AddValue(const WireField& message, std::vector<MindirValue>& values, int depth) {
    if (depth == kMaxDepth) {
      return InvalidInput(Format("the value at byte {} is nested more than {} deep",
                                 message.offset_bytes, kMaxDepth));
    }
    RELAYOUT_RETURN_IF_ERROR(Count(message, "values", value_count_, kMaxValues));
    MindirValue& value = values.emplace_back();
    return ForEachFieldOf(message, "attribute",
                          [&](const WireField& field) { return ValueField(field, value, depth); });
  }

  Status ValueField(const WireField& field, MindirValue& value, int depth) {
    switch (field.number) {
      case kAttributeName:
        return Text(field, "name of an attribute", value.name);
      case kAttributeFloat:
      case kAttributeFloats:
        return AddReals<float>(field, value.reals);
      case kAttributeDouble:
      case kAttributeDoubles:
        return AddReals<double>(field, value.reals);
      case kAttributeInteger:
      case kAttributeIntegers:
        return AddIntegers(field, value.integers);
      case kAttributeText:
      case kAttributeTexts:
        RELAYOUT_RETURN_IF_ERROR(Count(field, "texts", name_count_, kMaxRecordNames));
        return LooseText(field, value.texts.emplace_back());
      case kAttributeTensor:
      case kAttributeTensors:
        return AddTensor(field, value.tensors);
      case kAttributeType:
        RELAYOUT_RETURN_IF_ERROR(ExpectType(field, WireType::kVarint, "type of an attribute"));
        value.type = static_cast<MindirType>(field.varint);
        return OkStatus();
      case kAttributeElement:
        return AddValue(field, value.elements, depth + 1);
      default:
        return OkStatus();
    }
  }

  WireWindow window_;
  int64_t size_bytes_;
  MindirReadOptions options_;
  FieldsSeen seen_;
  size_t function_count_ = 0;
  size_t primitive_count_ = 0;
  size_t node_count_ = 0;
  size_t name_count_ = 0;
  size_t port_count_ = 0;
  size_t tensor_count_ = 0;
  size_t value_count_ = 0;
  size_t number_count_ = 0;
};

// Files of other kinds by their first bytes, for an error that helps.
Status CheckStart(std::string_view start) {
  if (start.empty()) return NotMindir("it is empty");
  // 0x7F3A5ED8 to DA, little endian.
  if (start.size() >= 4 && start.substr(1, 3) == "\x5E\x3A\x7F" && start[0] >= '\xD8' &&
      start[0] <= '\xDA') {
    return Unsupported("an encrypted MindIR; export the network again without enc_key");
  }
  if (start.substr(0, 4) == "PK\x03\x04") return NotMindir("it looks like a zip archive");
  if (start.size() > 8 && start[8] == '{') return NotMindir("it looks like a safetensors file");
  if (start[0] == '{') return NotMindir("it looks like JSON text");
  if (start.size() >= 8 && start.substr(4, 3) == "MSL") {
    return NotMindir("it looks like a MindSpore Lite model (.ms)");
  }
  return OkStatus();
}

}  // namespace

std::optional<DType> DTypeOfMindir(int64_t type) {
  switch (type) {
    case 1:
      return DType::kFloat32;
    case 2:
      return DType::kUInt8;
    case 3:
      return DType::kInt8;
    case 4:
      return DType::kUInt16;
    case 5:
      return DType::kInt16;
    case 6:
      return DType::kInt32;
    case 7:
      return DType::kInt64;
    case 9:
      return DType::kBool;
    case 10:
      return DType::kFloat16;
    case 11:  // DOUBLE, and FLOAT64 below: both are written.
    case 17:
      return DType::kFloat64;
    case 12:
      return DType::kUInt32;
    case 13:
      return DType::kUInt64;
    case 14:
      return DType::kComplex64;
    case 15:
      return DType::kComplex128;
    case 16:
      return DType::kBFloat16;
    case 18:
      return DType::kInt4;
    default:
      return std::nullopt;
  }
}

Result<MindirModel> ReadMindirModel(const ReadableFile& file, const MindirReadOptions& options) {
  std::string start(static_cast<size_t>(std::min<int64_t>(16, file.size_bytes())), '\0');
  RELAYOUT_RETURN_IF_ERROR(file.ReadAt(0, std::as_writable_bytes(std::span(start))));
  RELAYOUT_RETURN_IF_ERROR(CheckStart(start));
  return ModelReader(file, options).Run();
}

const MindirValue* FindMindirValue(const std::vector<MindirValue>& values, std::string_view name) {
  for (const MindirValue& value : values) {
    if (value.name == name) return &value;
  }
  return nullptr;
}

}  // namespace relayout
