// SPDX-License-Identifier: Apache-2.0
//
// Writes small MindIR files for tests; not part of the library.
//
//   MindirGraphWriter graph("net");
//   graph.Input("net:x", {8, 16}).Parameter("net:w", {16, 4});
//   graph.Node("net:y", "REF::MatMul:1", {"net:x", "net:w"}, {8, 4}).Output("net:y");
//   MindirFileWriter file(graph);
//   file.Primitive("MatMul:1", "MatMul");
//   file.bytes()
//
// A value is the bytes of an AttributeProto; Named gives it a name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "relayout/format/mindspore/mindir.h"
#include "relayout/format/mindspore/wire.h"

namespace relayout::testing_support {

using MindirBytes = std::string;

inline MindirBytes MindirTensorBytes(const std::vector<int64_t>& dims, int64_t type = 1,
                                     std::string_view name = "", std::string_view content = "") {
  MindirBytes bytes;
  for (const int64_t length : dims) AppendNumber(bytes, 1, length);
  AppendNumber(bytes, 2, type);
  if (!name.empty()) AppendBytes(bytes, 7, name);
  if (!content.empty()) AppendBytes(bytes, 9, content);
  return bytes;
}

inline MindirBytes OfType(MindirType type, MindirBytes bytes = "") {
  AppendNumber(bytes, 16, static_cast<int64_t>(type));
  return bytes;
}

inline MindirBytes Integer(int64_t value, MindirType type = static_cast<MindirType>(7)) {
  MindirBytes bytes;
  AppendNumber(bytes, 3, value);
  return OfType(type, bytes);
}

inline MindirBytes Boolean(bool value) { return Integer(value ? 1 : 0, MindirType::kBool); }

inline MindirBytes Words(std::string_view text) {
  MindirBytes bytes;
  AppendBytes(bytes, 5, text);
  return OfType(MindirType::kString, bytes);
}

inline MindirBytes None() { return OfType(MindirType::kNone); }

inline MindirBytes TensorOf(const MindirBytes& tensor) {
  MindirBytes bytes;
  AppendBytes(bytes, 12, tensor);
  return OfType(MindirType::kTensors, bytes);
}

inline MindirBytes Sequence(const std::vector<MindirBytes>& elements,
                            MindirType type = MindirType::kTuple) {
  MindirBytes bytes;
  for (const MindirBytes& element : elements) AppendBytes(bytes, 17, element);
  return OfType(type, bytes);
}

inline MindirBytes Integers(const std::vector<int64_t>& values) {
  std::vector<MindirBytes> elements;
  for (const int64_t value : values) elements.push_back(Integer(value));
  return Sequence(elements);
}

inline MindirBytes Named(std::string_view name, const MindirBytes& value) {
  MindirBytes bytes;
  AppendBytes(bytes, 1, name);
  return bytes + value;
}

class MindirGraphWriter {
 public:
  explicit MindirGraphWriter(std::string_view name) { AppendBytes(bytes_, 2, name); }

  MindirGraphWriter& Input(std::string_view name, const std::vector<int64_t>& dims) {
    return Port(5, name, dims);
  }
  // An input that orders side effects.
  MindirGraphWriter& Monad(std::string_view name) {
    MindirBytes port;
    AppendBytes(port, 1, name);
    AppendBytes(port, 5, OfType(MindirType::kUMonad));
    AppendBytes(bytes_, 5, port);
    return *this;
  }
  MindirGraphWriter& Output(std::string_view name) { return Port(6, name, {}); }
  MindirGraphWriter& Parameter(std::string_view name, const std::vector<int64_t>& dims,
                               std::string_view content = "", std::string_view key = "") {
    MindirBytes tensor = MindirTensorBytes(dims, 1, name, content);
    if (!key.empty()) AppendBytes(tensor, 13, key);
    AppendBytes(bytes_, 3, tensor);
    return *this;
  }
  MindirGraphWriter& Constant(std::string_view name, const MindirBytes& value) {
    MindirBytes node;
    AppendBytes(node, 2, name);
    AppendBytes(node, 4, "Constant");
    AppendBytes(node, 5, Named("value", value));
    AppendBytes(bytes_, 1, node);
    return *this;
  }
  // A node whose result is a tensor of f32[dims]; its scope is "Default/" and its name.
  MindirGraphWriter& Node(std::string_view name, std::string_view type,
                          const std::vector<std::string>& inputs,
                          const std::vector<int64_t>& dims) {
    return NodeOf(name, type, inputs, TensorOf(MindirTensorBytes(dims)));
  }
  // A node with the given value as the type of its result, and more attributes.
  MindirGraphWriter& NodeOf(std::string_view name, std::string_view type,
                            const std::vector<std::string>& inputs, const MindirBytes& result,
                            const std::vector<MindirBytes>& attributes = {}) {
    MindirBytes node;
    for (const std::string& input : inputs) AppendBytes(node, 1, input);
    AppendBytes(node, 2, name);
    AppendBytes(node, 4, type);
    AppendBytes(node, 5, Named("shape", result));
    for (const MindirBytes& attribute : attributes) AppendBytes(node, 5, attribute);
    AppendBytes(node, 7, std::string("Default/").append(name));
    AppendBytes(bytes_, 1, node);
    return *this;
  }
  // Any other field.
  MindirGraphWriter& Field(int number, const MindirBytes& payload) {
    AppendBytes(bytes_, number, payload);
    return *this;
  }

  const MindirBytes& bytes() const { return bytes_; }

 private:
  MindirGraphWriter& Port(int number, std::string_view name, const std::vector<int64_t>& dims) {
    MindirBytes port;
    AppendBytes(port, 1, name);
    AppendBytes(port, 2, MindirTensorBytes(dims));
    AppendBytes(bytes_, number, port);
    return *this;
  }

  MindirBytes bytes_;
};

class MindirFileWriter {
 public:
  explicit MindirFileWriter(const MindirGraphWriter& graph) {
    AppendBytes(bytes_, 1, "1.1");
    AppendBytes(bytes_, 2, "MindSpore");
    AppendBytes(bytes_, 5, "2.10.0");
    AppendBytes(bytes_, 7, graph.bytes());
  }

  MindirFileWriter& Function(const MindirGraphWriter& graph) {
    AppendBytes(bytes_, 8, graph.bytes());
    return *this;
  }
  MindirFileWriter& Primitive(std::string_view name, std::string_view type,
                              const std::vector<MindirBytes>& attributes = {}) {
    MindirBytes primitive;
    AppendBytes(primitive, 1, name);
    AppendBytes(primitive, 2, type);
    for (const MindirBytes& attribute : attributes) AppendBytes(primitive, 3, attribute);
    AppendBytes(bytes_, 12, primitive);
    return *this;
  }

  const MindirBytes& bytes() const { return bytes_; }

 private:
  MindirBytes bytes_;
};

}  // namespace relayout::testing_support
