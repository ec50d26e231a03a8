// SPDX-License-Identifier: Apache-2.0
//
// Graph: a network as operators on values, whole and on one device. What infer/ lays out.
//
//   x        input     f32[32,784]
//   w        parameter f32[784,512]
//   #0 MatMul (x, w) -> f32[32,512]      cuts ((2,1),(1,2)) transpose_a=false transpose_b=false
//   #1 ReLU   (#0)   -> f32[32,512]
//
// * A *value* is a tensor: an input of the network, a parameter, a constant, or what an operator
//   makes. Values are numbered as they are added.
// * An *operator* has a type (MindSpore's name of the primitive), tensors in and out, and
//   attributes for everything that is no tensor (axes, flags, epsilon), by MindSpore's names.
//   Operators are numbered so that each comes after those that make its inputs.
// * *Cuts* are a shard annotation (MindSpore: in_strategy): for each tensor input, into how many
//   pieces each of its dims is cut. An annotation may instead name mesh axes (MindSpore: a Layout
//   given to shard), and may be of the outputs.
//
// Built by NetworkBuilder (builder.h) or read from MindSpore's MindIR (mindir.h). Nothing here
// knows a mesh or a rule; a graph is a value and may be copied.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "relayout/base/dims.h"
#include "relayout/base/dtype.h"
#include "relayout/base/status.h"
#include "relayout/layout/layout.h"

namespace relayout {

// Indices into Graph::values() and Graph::operators().
using ValueId = int32_t;
using OperatorId = int32_t;
inline constexpr int32_t kNoId = -1;

// For each tensor input the pieces of each dim.
using Cuts = std::vector<std::vector<int64_t>>;

// For each tensor input a mesh and the axes that cut each dim; of LayoutSpec nothing else is used.
using MeshCuts = std::vector<LayoutSpec>;

// "((2,1),(1,2))", "((8),)", "()".
std::string ToText(const Cuts& cuts);
// "({2,2,2}(0,-),{2,2,2}(-,0+1))": of each tensor the mesh, and of each dim the axes.
std::string ToText(const MeshCuts& cuts);

using AttributeValue =
    std::variant<bool, int64_t, double, std::string, std::vector<int64_t>, std::vector<double>>;

// A short list of named attributes, in the order in which they were set.
class Attributes {
 public:
  Attributes() = default;
  Attributes(std::initializer_list<std::pair<std::string, AttributeValue>> entries);

  void Set(std::string_view name, AttributeValue value);
  const AttributeValue* Find(std::string_view name) const;
  // The value, or `otherwise` when there is none of that name and kind. An integer reads as a list
  // of one where a list is asked for.
  bool GetBool(std::string_view name, bool otherwise) const;
  int64_t GetInt(std::string_view name, int64_t otherwise) const;
  std::optional<std::vector<int64_t>> GetInts(std::string_view name) const;
  std::string_view GetText(std::string_view name, std::string_view otherwise) const;

  const std::vector<std::pair<std::string, AttributeValue>>& entries() const { return entries_; }

 private:
  std::vector<std::pair<std::string, AttributeValue>> entries_;
};

// What a constant holds: its elements in C order, little-endian. Shared, so that graphs are copied
// cheaply; null where nobody knows.
using ConstantBytes = std::shared_ptr<const std::string>;

enum class ValueRole : uint8_t { kInput, kParameter, kConstant, kResult };

struct Value {
  ValueRole role = ValueRole::kResult;
  // Of inputs and parameters; a parameter's is its name in checkpoints. Empty for others.
  std::string name;
  DType dtype = DType::kFloat32;
  Dims shape;
  // Of results: the operator, and which of its outputs this is.
  OperatorId producer = kNoId;
  int32_t output_index = 0;
  // Of parameters: trained, so that the optimizer keeps state for it (MindSpore: requires_grad).
  bool trained = true;
  // Of parameters: what they are before they are trained ("normal(0.02)"; train/initializer.h).
  // Empty: nobody said.
  std::string initializer = {};
  // Of constants. A network can be laid out without, and not be run.
  ConstantBytes bytes;
};

struct Operator {
  std::string type;  // "MatMul".
  // Where it stands in the network, for messages and files: "Default/layer1-Dense/MatMul-op0".
  std::string name;
  std::vector<ValueId> inputs;  // Tensors only.
  std::vector<ValueId> outputs;
  Attributes attributes;
  // Shard annotations of the inputs and of the outputs, each in one of two ways.
  std::optional<Cuts> cuts;
  std::optional<Cuts> output_cuts;
  std::optional<MeshCuts> mesh_cuts;
  std::optional<MeshCuts> output_mesh_cuts;
};

// The type of a tensor.
struct TensorType {
  DType dtype = DType::kFloat32;
  Dims shape;
  friend bool operator==(const TensorType&, const TensorType&) = default;
};

class Graph {
 public:
  // An input that reads a value: input number `input` of operator `user`.
  struct Use {
    OperatorId user = kNoId;
    int32_t input = 0;
  };

  ValueId AddInput(std::string name, TensorType type);
  // Fails when a parameter of that name is there.
  Result<ValueId> AddParameter(std::string name, TensorType type, bool trained = true,
                               std::string initializer = {});
  // @pre `bytes` is null or of the type's size
  ValueId AddConstant(TensorType type, ConstantBytes bytes = nullptr);
  // Adds an operator with results of `result_types`; `op.outputs` is filled here.
  // @pre the inputs are values of this graph.
  OperatorId AddOperator(Operator op, const std::vector<TensorType>& result_types);
  void SetResults(std::vector<ValueId> results) { results_ = std::move(results); }

  const std::vector<Value>& values() const { return values_; }
  const std::vector<Operator>& operators() const { return operators_; }
  const Value& value(ValueId id) const { return values_[static_cast<size_t>(id)]; }
  const Operator& op(OperatorId id) const { return operators_[static_cast<size_t>(id)]; }
  Operator& mutable_op(OperatorId id) { return operators_[static_cast<size_t>(id)]; }
  void SetTrained(ValueId parameter, bool trained);

  // What the network returns.
  const std::vector<ValueId>& results() const { return results_; }
  // In the order in which they were added.
  const std::vector<ValueId>& inputs() const { return inputs_; }
  const std::vector<ValueId>& parameters() const { return parameters_; }
  // kNoId when there is none.
  ValueId FindParameter(std::string_view name) const;

  // Of each value its uses, in ascending operator. O(operators); a snapshot.
  std::vector<std::vector<Use>> Uses() const;

 private:
  ValueId Add(Value value);

  std::vector<Value> values_;
  std::vector<Operator> operators_;
  std::vector<ValueId> inputs_;
  std::vector<ValueId> parameters_;
  std::vector<ValueId> results_;
  std::unordered_map<std::string, ValueId> parameter_of_name_;
};

// One line an operator, as above: for people and snapshots.
std::string ToText(const Graph& graph);

// How an operator is called in a message: "MatMul 'Default/layer1-Dense/MatMul-op0'".
std::string Describe(const Operator& op);
// How a value is called in a message: "parameter 'layer1.weight'", "input 'x'", "the result of
// MatMul '...'" , "a constant".
std::string Describe(const Graph& graph, ValueId value);

}  // namespace relayout
