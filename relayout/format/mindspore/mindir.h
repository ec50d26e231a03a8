// SPDX-License-Identifier: Apache-2.0
//
// The records of a MindIR file: a network as mindspore.export writes it.
//
// A MindIR is one protobuf message. In short, and without what is not read:
//
//   Model { producer_version = 3, graph = 7, functions = 8 (graphs that nodes call),
//           primitives = 12 }
//   Graph { node = 1, name = 2, parameter = 3 (tensors, with their bytes), input = 5, output = 6 }
//   Node { input = 1, output = 2 (names), op_type = 4, attribute = 5, domain = 7 }
//   Primitive { name = 1, op_type = 2, attribute = 3 }
//
//   node  x:3 = REF::MatMul:4 (x, CNode_13:1, ValueNode_14, ValueNode_15)
//         attribute shape = tensors f32[8,32], domain "Default/a-Dense/MatMul-op0"
//   node  ValueNode_14 = Constant (), attribute value = false
//   primitive  MatMul:4 is a MatMul, in_strategy ((2,1),(2,1))
//
// Since 2.0 a node names its operator by reference: "REF::" and the name of a primitive, of a
// graph that it calls, or of a value that holds a function. Most arguments of an operator
// (transpose_a, axis) are inputs, made by nodes of type Constant; some are attributes of the
// primitive. Every node has the attribute "shape": types and shapes of its results.
//
// Read as they stand, nothing is resolved; graph/mindir.h makes a network of them. Nothing in the
// file is believed: lengths, depth and counts are bounded, and the tensors' bytes are not read but
// of the smallest (a scalar or a few axes), and where asked for, of constants. Where those of
// parameters lie is noted: in this file, or beside it in NAME_variables/data_0 and so on, into
// which MindSpore puts them when there is more than 1 GB.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/dtype.h"
#include "relayout/base/status.h"
#include "relayout/io/file_system.h"

namespace relayout {

// A tensor of at most this many bytes is always read whole.
inline constexpr int64_t kMindirSmallBytes = 128;

struct MindirReadOptions {
  // Read the bytes of all constants; of what is no parameter, of any size.
  bool constants = false;
};

// Where the bytes of a parameter lie.
struct MindirPlace {
  // Relative to the folder of the MindIR, as the file says it; empty: in the MindIR itself.
  std::string file;
  int64_t begin_bytes = 0;
  int64_t size_bytes = 0;
};

struct MindirTensor {
  std::string name;
  // The parameter's name in checkpoints (ref_key); empty where the file has none.
  std::string key;
  int64_t type = 0;  // MindSpore's number; see DTypeOfMindir.
  std::vector<int64_t> dims;
  std::string bytes;  // Empty where they were not read: see MindirReadOptions.
  // Nothing where the file has no bytes for it.
  std::optional<MindirPlace> place;
};

// The type with MindSpore's number in TensorProto; nothing for text and unknown numbers.
std::optional<DType> DTypeOfMindir(int64_t type);

// What an attribute or constant can be. Numbers as in the file (AttributeProto.AttributeType).
enum class MindirType : int64_t {
  kUndefined = 0,
  kString = 8,
  kBool = 9,
  kTensor = 17,
  kTensors = 19,
  kTuple = 20,
  kList = 21,
  kDict = 22,
  kUMonad = 23,
  kIOMonad = 24,
  kNone = 25,
};

// An attribute, a constant, or the type of a value. Numbers of any width and kind are in
// `integers` or `reals`; a list of them is either several there, or elements with one each.
struct MindirValue {
  std::string name;
  MindirType type = MindirType::kUndefined;  // May be a number that the enumeration does not have.
  std::vector<int64_t> integers;
  std::vector<double> reals;
  std::vector<std::string> texts;
  std::vector<MindirTensor> tensors;
  std::vector<MindirValue> elements;  // Of tuples, lists and dictionaries.
};

struct MindirNode {
  std::string op_type;
  std::string scope;  // "Default/a-Dense/MatMul-op0".
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::vector<MindirValue> attributes;
  // What MindSpore noted about the node and not about its operator: recompute and the like.
  std::vector<MindirValue> notes;
};

// An input or output of a graph.
struct MindirPort {
  std::string name;
  std::vector<MindirTensor> tensors;
  std::optional<MindirValue> value;  // Of what is no tensor.
};

struct MindirGraph {
  std::string name;
  std::vector<MindirNode> nodes;
  std::vector<MindirTensor> parameters;
  std::vector<std::string> map_parameters;  // Hash tables.
  std::vector<MindirPort> inputs;
  std::vector<MindirPort> outputs;
};

struct MindirPrimitive {
  std::string name;  // "MatMul:4".
  std::string type;  // "MatMul".
  std::vector<MindirValue> attributes;
};

struct MindirModel {
  std::string producer_version;
  MindirGraph graph;
  std::vector<MindirGraph> functions;
  std::vector<MindirPrimitive> primitives;
};

// Reads the records of `file`. Errors do not name it; they say what a file that is no MindIR may
// be, and how to make one.
Result<MindirModel> ReadMindirModel(const ReadableFile& file,
                                    const MindirReadOptions& options = {});

// The attribute of that name, or nullptr.
const MindirValue* FindMindirValue(const std::vector<MindirValue>& values, std::string_view name);

}  // namespace relayout
