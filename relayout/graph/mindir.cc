// SPDX-License-Identifier: Apache-2.0
#include "relayout/graph/mindir.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "relayout/base/check.h"
#include "relayout/base/text.h"
#include "relayout/format/value_name.h"
#include "relayout/graph/mindir_values.h"
#include "relayout/graph/operator_types.h"

namespace relayout {
namespace {

using mindir::AttributeOf;
using mindir::IntegersOf;
using mindir::IsNoise;
using mindir::IsSequence;
using mindir::kTextBytesOfWork;
using mindir::ParameterName;
using mindir::SetAnnotation;
using mindir::TypeOf;
using mindir::WithoutGraph;
using mindir::WorkOf;

// Calls within calls. Real networks have a few.
constexpr int kMaxCallDepth = 64;
// Tuples within tuples. Real networks have three or four.
constexpr int kMaxTupleDepth = 32;
// Attributes of one operator.
constexpr size_t kMaxAttributes = 256;
// What inlining may cost, in nodes, arguments and WorkOf: calls and tuples can double a small file
// at each level. A network of 100,000 operators costs some 2 million.
constexpr size_t kMaxWork = size_t{1} << 22;
constexpr std::string_view kReference = "REF::";

struct Tuple;

// What a name in the file stands for.
struct Binding {
  enum Kind {
    kTensor,
    kTuple,
    kConstant,  // A number, text, or a tuple of them.
    kNone,
    kMonad,     // Orders side effects; no argument at all.
    kComputed,  // No tensor, and known only when the network runs.
    kFunction,  // A graph, with its first arguments when it is a partial call.
  };
  Kind kind = kNone;
  ValueId tensor = kNoId;
  const MindirValue* constant = nullptr;
  const MindirGraph* function = nullptr;
  // Elements of a tuple, or arguments of a partial call. Shared, since tuples are passed around.
  std::shared_ptr<const Tuple> tuple;
};

struct Tuple {
  std::vector<Binding> elements;
  int depth = 1;            // 1 without tuples inside.
  size_t tensor_count = 0;  // Those of inner tuples included; stops at kMaxWork.
  bool only_tensors = true;
};

Tuple TupleOf(std::vector<Binding> elements) {
  Tuple tuple;
  for (const Binding& element : elements) {
    if (element.tuple != nullptr) tuple.depth = std::max(tuple.depth, element.tuple->depth + 1);
    if (element.kind == Binding::kTensor) {
      ++tuple.tensor_count;
    } else if (element.kind == Binding::kTuple) {
      tuple.tensor_count += element.tuple->tensor_count;
      tuple.only_tensors = tuple.only_tensors && element.tuple->only_tensors;
    } else {
      tuple.only_tensors = false;
    }
    tuple.tensor_count = std::min(tuple.tensor_count, kMaxWork);
  }
  tuple.elements = std::move(elements);
  return tuple;
}

Binding OfKind(Binding::Kind kind) {
  Binding binding;
  binding.kind = kind;
  return binding;
}

Binding OfTensor(ValueId id) {
  Binding binding = OfKind(Binding::kTensor);
  binding.tensor = id;
  return binding;
}

Binding OfTuple(std::vector<Binding> elements) {
  Binding binding = OfKind(Binding::kTuple);
  binding.tuple = std::make_shared<const Tuple>(TupleOf(std::move(elements)));
  return binding;
}

bool IsOneOf(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// --- The graph ---------------------------------------------------------------------------------

using Scope = std::unordered_map<std::string_view, Binding>;

class Importer {
 public:
  explicit Importer(const MindirModel& model) : model_(model) {}

  Result<Graph> Run() {
    RELAYOUT_RETURN_IF_ERROR(Index());
    RELAYOUT_RETURN_IF_ERROR(AddParameters(model_.graph));
    Scope scope;
    for (const MindirPort& input : model_.graph.inputs) {
      RELAYOUT_RETURN_IF_ERROR(AddInput(input, scope));
    }
    RELAYOUT_ASSIGN_OR_RETURN(const Binding result, Evaluate(model_.graph, scope));
    RELAYOUT_RETURN_IF_ERROR(SpendOn(result));
    std::vector<ValueId> results;
    AppendTensors(result, results);
    graph_.SetResults(std::move(results));
    for (const ValueId id : untrained_) graph_.SetTrained(id, false);
    return std::move(graph_);
  }

 private:
  // Names that the whole file knows: constants, functions, primitives.
  Status Index() {
    for (const MindirPrimitive& primitive : model_.primitives) {
      primitives_.emplace(primitive.name, &primitive);
    }
    for (const MindirGraph& function : model_.functions) {
      if (!functions_.emplace(function.name, &function).second) {
        return InvalidInput(Format("two functions are called '{}'", Printable(function.name)));
      }
      IndexConstants(function);
    }
    IndexConstants(model_.graph);
    return OkStatus();
  }

  void IndexConstants(const MindirGraph& graph) {
    for (const MindirNode& node : graph.nodes) {
      if (node.op_type == "Constant" && !node.outputs.empty()) {
        constants_.emplace(node.outputs[0], &node);
      }
    }
  }

  Status AddParameters(const MindirGraph& graph) {
    if (!graph.map_parameters.empty()) {
      return Unsupported(
          Format("the parameter '{}' is a hash table; relayout lays out tensors only",
                 Printable(graph.map_parameters[0])));
    }
    for (const MindirTensor& tensor : graph.parameters) {
      const std::string name = ParameterName(tensor, graph);
      RELAYOUT_RETURN_IF_ERROR(CheckName(name));
      RELAYOUT_ASSIGN_OR_RETURN(TensorType type,
                                TypeOf(tensor, Format("parameter '{}'", Printable(name))));
      const bool trained = IsTrainable(type.dtype);
      RELAYOUT_ASSIGN_OR_RETURN(const ValueId id, graph_.AddParameter(name, type, trained));
      parameters_.emplace(tensor.name, OfTensor(id));
    }
    return OkStatus();
  }

  static bool IsTrainable(DType dtype) { return dtype >= DType::kFloat8E4M3; }

  Status AddInput(const MindirPort& input, Scope& scope) {
    const std::string name(WithoutGraph(input.name, model_.graph));
    if (parameters_.count(input.name) != 0) return OkStatus();  // As old versions list them.
    if (IsMonad(input)) {
      scope.emplace(input.name, OfKind(Binding::kMonad));
      return OkStatus();
    }
    MindirValue type = input.value.value_or(MindirValue());
    if (!input.tensors.empty()) type.tensors = input.tensors;
    std::vector<TensorType> types;
    RELAYOUT_ASSIGN_OR_RETURN(const Binding shape,
                              ShapeOf(Format("input '{}'", Printable(name)), type, types));
    std::vector<ValueId> ids;
    for (size_t i = 0; i < types.size(); ++i) {
      // A tuple of tensors: x.0, x.1 and so on.
      std::string tensor_name = types.size() == 1 ? name : Format("{}.{}", name, i);
      ids.push_back(graph_.AddInput(std::move(tensor_name), types[i]));
    }
    scope.emplace(input.name, WithTensors(shape, ids));
    return OkStatus();
  }

  static bool IsMonad(const MindirPort& port) {
    return port.value &&
           (port.value->type == MindirType::kUMonad || port.value->type == MindirType::kIOMonad);
  }

  // --- Bounds ----------------------------------------------------------------------------------

  Status Spend(size_t work) {
    work_ += work;
    if (work_ <= kMaxWork) return OkStatus();
    return Unsupported("the network is too large when the calls in it are inlined");
  }

  Status SpendOn(const Binding& binding) {
    return Spend(binding.kind == Binding::kTuple ? binding.tuple->tensor_count : 1);
  }

  // --- Names -----------------------------------------------------------------------------------

  Result<Binding> Find(const std::string& name, const Scope& scope) {
    if (const auto found = scope.find(name); found != scope.end()) return found->second;
    if (const auto found = parameters_.find(name); found != parameters_.end()) {
      return found->second;
    }
    if (const auto found = constants_.find(name); found != constants_.end()) {
      return ConstantOf(*found->second);
    }
    if (const auto found = functions_.find(name); found != functions_.end()) {
      Binding binding = OfKind(Binding::kFunction);
      binding.function = found->second;
      return binding;
    }
    return InvalidInput(Format("'{}' is used and nothing before it makes it", Printable(name)));
  }

  Result<Binding> ConstantOf(const MindirNode& node) {
    const MindirValue* const value = FindMindirValue(node.attributes, "value");
    if (value == nullptr) {
      return InvalidInput(Format("the constant '{}' has no value", Printable(node.outputs[0])));
    }
    const auto [position, is_new] = constant_bindings_.emplace(&node, Binding());
    if (is_new) {
      RELAYOUT_ASSIGN_OR_RETURN(position->second, BindConstant(*value));
    }
    return position->second;
  }

  Result<Binding> BindConstant(const MindirValue& value) {
    switch (value.type) {
      case MindirType::kUMonad:
      case MindirType::kIOMonad:
        return OfKind(Binding::kMonad);
      case MindirType::kNone:
        return OfKind(Binding::kNone);
      default:
        break;
    }
    if (value.tensors.size() == 1) return BindTensorConstant(value);
    if (IsSequence(value) && HoldsTensors(value)) {
      std::vector<Binding> elements;
      for (const MindirValue& element : value.elements) {
        RELAYOUT_ASSIGN_OR_RETURN(Binding bound, BindConstant(element));
        elements.push_back(std::move(bound));
      }
      return OfTuple(std::move(elements));
    }
    Binding binding = OfKind(Binding::kConstant);
    binding.constant = &value;
    return binding;
  }

  Result<Binding> BindTensorConstant(const MindirValue& value) {
    const MindirTensor& tensor = value.tensors[0];
    RELAYOUT_ASSIGN_OR_RETURN(TensorType type, TypeOf(tensor, "a constant"));
    RELAYOUT_ASSIGN_OR_RETURN(ConstantBytes bytes, BytesOf(tensor, type));
    Binding binding = OfTensor(graph_.AddConstant(std::move(type), std::move(bytes)));
    binding.constant = &value;
    return binding;
  }

  // Null where the bytes were not read.
  static Result<ConstantBytes> BytesOf(const MindirTensor& tensor, const TensorType& type) {
    const int64_t element_bytes = ElementSize(type.dtype);
    const int64_t size_bytes = std::ssize(tensor.bytes);
    if (size_bytes == 0) return ConstantBytes();
    if (size_bytes % element_bytes != 0 || size_bytes / element_bytes != ElementCount(type.shape)) {
      return InvalidInput(Format("a constant {}{} has {} bytes", ShortName(type.dtype),
                                 ToText(type.shape), size_bytes));
    }
    return std::make_shared<const std::string>(tensor.bytes);
  }

  static bool HoldsTensors(const MindirValue& value) {
    return !value.tensors.empty() ||
           std::any_of(value.elements.begin(), value.elements.end(), HoldsTensors);
  }

  // --- Nodes -----------------------------------------------------------------------------------

  // What the graph returns when it is called with `scope` as its inputs.
  Result<Binding> Evaluate(const MindirGraph& graph, Scope& scope) {
    for (const MindirNode& node : graph.nodes) {
      RELAYOUT_RETURN_IF_ERROR(Spend(1 + node.inputs.size() + node.attributes.size()));
      if (node.op_type == "Constant") continue;
      Result<Binding> bound = EvaluateNode(node, scope);
      if (!bound.ok()) return bound.status();
      if (node.outputs.size() != 1) {
        return InvalidInput(Format("'{}' has {} outputs; a node of a MindIR has one",
                                   Printable(node.scope), node.outputs.size()));
      }
      scope.insert_or_assign(node.outputs[0], *std::move(bound));
    }
    std::vector<Binding> results;
    for (const MindirPort& output : graph.outputs) {
      RELAYOUT_ASSIGN_OR_RETURN(Binding result, Find(output.name, scope));
      results.push_back(std::move(result));
    }
    if (results.empty()) {
      return InvalidInput(Format("the graph '{}' returns nothing", Printable(graph.name)));
    }
    return results.size() == 1 ? results[0] : OfTuple(std::move(results));
  }

  Result<Binding> EvaluateNode(const MindirNode& node, Scope& scope) {
    std::vector<Binding> arguments;
    for (const std::string& input : node.inputs) {
      RELAYOUT_ASSIGN_OR_RETURN(Binding argument, Find(input, scope));
      arguments.push_back(std::move(argument));
    }
    std::string_view type = node.op_type;
    if (type.substr(0, kReference.size()) != kReference) {
      return Apply({type, node, node.attributes}, arguments);
    }
    type.remove_prefix(kReference.size());
    if (const auto found = primitives_.find(type); found != primitives_.end()) {
      return Apply({found->second->type, node, found->second->attributes}, arguments);
    }
    RELAYOUT_ASSIGN_OR_RETURN(const Binding callee, Find(std::string(type), scope));
    return Call(callee, node, std::move(arguments));
  }

  Result<Binding> Call(const Binding& callee, const MindirNode& node,
                       std::vector<Binding> arguments) {
    if (callee.kind != Binding::kFunction) {
      return InvalidInput(Format("'{}' calls what is no function", Printable(node.scope)));
    }
    const MindirGraph& function = *callee.function;
    if (callee.tuple != nullptr) {
      const std::vector<Binding>& first = callee.tuple->elements;
      arguments.insert(arguments.begin(), first.begin(), first.end());
    }
    RELAYOUT_RETURN_IF_ERROR(Spend(arguments.size()));
    if (arguments.size() != function.inputs.size()) {
      return InvalidInput(Format("'{}' calls '{}' with {} arguments; it takes {}",
                                 Printable(node.scope), Printable(function.name), arguments.size(),
                                 function.inputs.size()));
    }
    if (std::find(calls_.begin(), calls_.end(), &function) != calls_.end()) {
      return ControlFlow(node);
    }
    if (std::ssize(calls_) == kMaxCallDepth) {
      return Unsupported(Format("'{}': calls within calls, more than {} deep",
                                Printable(node.scope), kMaxCallDepth));
    }
    Scope scope;
    for (size_t i = 0; i < arguments.size(); ++i) {
      scope.emplace(function.inputs[i].name, std::move(arguments[i]));
    }
    calls_.push_back(&function);
    Result<Binding> result = Evaluate(function, scope);
    calls_.pop_back();
    return result;
  }

  static Status ControlFlow(const MindirNode& node) {
    return Unsupported(
        Format("'{}' is control flow: an if, a while or a recursion that depends on values of the "
               "network. Only a network without them has one layout; export it with the branch "
               "that is meant",
               Printable(node.scope)));
  }

  // An operator about to be applied.
  struct Application {
    std::string_view type;
    const MindirNode& node;
    const std::vector<MindirValue>& attributes;  // Of the primitive.
  };

  static Status Fail(const Application& applied, std::string_view problem) {
    return InvalidInput(
        Format("{} '{}': {}", Printable(applied.type), Printable(applied.node.scope), problem));
  }

  Result<Binding> Apply(const Application& applied, const std::vector<Binding>& arguments) {
    const std::string_view type = applied.type;
    if (IsOneOf(type, {"Load", "Depend", "Return", "return"})) {
      if (arguments.empty()) return Fail(applied, "no arguments");
      return arguments[0];
    }
    if (type == "UpdateState") return OfKind(Binding::kMonad);
    if (IsOneOf(type, {"MakeTuple", "make_tuple", "MakeList", "make_list"})) {
      return MakeTuple(applied, arguments);
    }
    if (IsOneOf(type, {"TupleGetItem", "tuple_getitem", "ListGetItem", "list_getitem",
                       "RealTupleGetItem"})) {
      return GetItem(applied, arguments);
    }
    if (IsOneOf(type, {"Partial", "partial"})) return Partial(applied, arguments);
    if (IsOneOf(type, {"Switch", "switch", "SwitchLayer", "switch_layer"})) {
      return ControlFlow(applied.node);
    }
    return AddOperator(applied, arguments);
  }

  static Result<Binding> MakeTuple(const Application& applied,
                                   const std::vector<Binding>& arguments) {
    return WithinDepth(applied, OfTuple(arguments));
  }

  static Result<Binding> WithinDepth(const Application& applied, Binding binding) {
    if (binding.tuple->depth <= kMaxTupleDepth) return binding;
    return Fail(applied, Format("tuples within tuples, more than {} deep", kMaxTupleDepth));
  }

  static Result<Binding> GetItem(const Application& applied,
                                 const std::vector<Binding>& arguments) {
    if (arguments.size() != 2) return Fail(applied, "expected a tuple and an index");
    const Binding& tuple = arguments[0];
    if (tuple.kind == Binding::kComputed) return OfKind(Binding::kComputed);
    const MindirValue* const constant = arguments[1].constant;
    if (constant == nullptr || constant->integers.size() != 1) {
      return Fail(applied, "the index is not a constant number");
    }
    const bool is_tuple = tuple.kind == Binding::kTuple;
    const int64_t count =
        is_tuple ? std::ssize(tuple.tuple->elements)
                 : (tuple.kind == Binding::kConstant ? std::ssize(tuple.constant->elements) : 0);
    int64_t index = constant->integers[0];
    if (index < 0) index += count;
    if (index < 0 || index >= count) {
      return Fail(applied, Format("element {} of a tuple of {}", constant->integers[0], count));
    }
    if (is_tuple) return tuple.tuple->elements[static_cast<size_t>(index)];
    Binding element = OfKind(Binding::kConstant);
    element.constant = &tuple.constant->elements[static_cast<size_t>(index)];
    return element;
  }

  Result<Binding> Partial(const Application& applied, const std::vector<Binding>& arguments) {
    if (arguments.empty() || arguments[0].kind != Binding::kFunction) {
      return Fail(applied, "expected a function and arguments");
    }
    Binding partial = arguments[0];
    std::vector<Binding> bound;
    if (partial.tuple != nullptr) bound = partial.tuple->elements;
    bound.insert(bound.end(), arguments.begin() + 1, arguments.end());
    RELAYOUT_RETURN_IF_ERROR(Spend(bound.size()));
    partial.tuple = std::make_shared<const Tuple>(TupleOf(std::move(bound)));
    return WithinDepth(applied, std::move(partial));
  }

  // --- Operators -------------------------------------------------------------------------------

  Result<Binding> AddOperator(const Application& applied, const std::vector<Binding>& arguments) {
    Operator op;
    op.type = std::string(applied.type);
    op.name =
        applied.node.scope.empty() ? std::string(WithoutIndex(applied.node)) : applied.node.scope;
    RELAYOUT_RETURN_IF_ERROR(AddArguments(applied, arguments, op));
    RELAYOUT_RETURN_IF_ERROR(AddAttributes(applied, op));
    const MindirValue* const type = FindMindirValue(applied.node.attributes, "shape");
    if (type == nullptr) return Fail(applied, "the file has no shape of its result");
    RELAYOUT_RETURN_IF_ERROR(Spend(WorkOf(*type) + op.name.size() / kTextBytesOfWork));
    std::vector<TensorType> types;
    RELAYOUT_ASSIGN_OR_RETURN(const Binding shape,
                              ShapeOf("the result of " + Describe(op), *type, types));
    if (types.empty()) return OfKind(Binding::kComputed);
    NoteUntrained(op);
    const std::vector<ValueId> outputs =
        graph_.op(graph_.AddOperator(std::move(op), types)).outputs;
    return WithTensors(shape, outputs);
  }

  static std::string_view WithoutIndex(const MindirNode& node) {
    return node.outputs.empty() ? std::string_view() : std::string_view(node.outputs[0]);
  }

  // The types of the tensors of a value, and how they lie in tuples: as bindings to tensors that
  // are numbered from 0. `what` names the value.
  static Result<Binding> ShapeOf(const std::string& what, const MindirValue& value,
                                 std::vector<TensorType>& types) {
    if (!value.tensors.empty()) {
      std::vector<Binding> tensors;
      for (const MindirTensor& tensor : value.tensors) {
        RELAYOUT_ASSIGN_OR_RETURN(TensorType type, TypeOf(tensor, what));
        tensors.push_back(OfTensor(static_cast<ValueId>(types.size())));
        types.push_back(std::move(type));
      }
      return tensors.size() == 1 ? tensors[0] : OfTuple(std::move(tensors));
    }
    if (!IsSequence(value)) return OfKind(Binding::kComputed);
    std::vector<Binding> elements;
    for (const MindirValue& element : value.elements) {
      RELAYOUT_ASSIGN_OR_RETURN(Binding bound, ShapeOf(what, element, types));
      elements.push_back(std::move(bound));
    }
    return OfTuple(std::move(elements));
  }

  // The shape with the tensors `ids` for its numbers.
  static Binding WithTensors(const Binding& shape, const std::vector<ValueId>& ids) {
    if (shape.kind == Binding::kTensor) {
      return OfTensor(ids[static_cast<size_t>(shape.tensor)]);
    }
    if (shape.kind != Binding::kTuple) return shape;
    std::vector<Binding> elements;
    for (const Binding& element : shape.tuple->elements) {
      elements.push_back(WithTensors(element, ids));
    }
    return OfTuple(std::move(elements));
  }

  static void AppendTensors(const Binding& binding, std::vector<ValueId>& tensors) {
    if (binding.kind == Binding::kTensor) tensors.push_back(binding.tensor);
    if (binding.kind != Binding::kTuple) return;
    for (const Binding& element : binding.tuple->elements) AppendTensors(element, tensors);
  }

  // The names of the arguments: from our table, else from the file; empty when neither has them.
  static std::vector<Operand> OperandsOf(const Application& applied) {
    if (std::optional<std::vector<Operand>> known = FindOperands(applied.type)) return *known;
    std::vector<Operand> operands;
    const MindirValue* const names = FindMindirValue(applied.attributes, "input_names");
    if (names == nullptr) return operands;
    for (const std::string& name : names->texts) operands.push_back({name});
    for (const MindirValue& element : names->elements) {
      if (element.texts.size() == 1) operands.push_back({element.texts[0]});
    }
    return operands;
  }

  Status AddArguments(const Application& applied, const std::vector<Binding>& arguments,
                      Operator& op) {
    const std::vector<Operand> operands = OperandsOf(applied);
    std::vector<std::string_view> absent;  // Since the last tensor.
    std::string absent_text;
    size_t position = 0;
    for (const Binding& argument : arguments) {
      if (argument.kind == Binding::kMonad) continue;
      const Operand* const operand = position < operands.size() ? &operands[position] : nullptr;
      ++position;
      if (argument.kind == Binding::kNone) {
        if (operand != nullptr && operand->is_tensor) absent.push_back(operand->name);
        continue;
      }
      const size_t inputs_before = op.inputs.size();
      RELAYOUT_RETURN_IF_ERROR(AddArgument(applied, argument, operand, position, op));
      if (op.inputs.size() == inputs_before) continue;
      for (const std::string_view name : absent) {
        absent_text.append(absent_text.empty() ? "" : " ").append(name);
      }
      absent.clear();
    }
    if (!absent_text.empty()) op.attributes.Set(kAbsentOperands, std::move(absent_text));
    return OkStatus();
  }

  static bool IsTensorOrTensors(const Binding& binding) {
    if (binding.kind == Binding::kTensor) return true;
    return binding.kind == Binding::kTuple && binding.tuple->only_tensors;
  }

  Status AddArgument(const Application& applied, const Binding& argument, const Operand* operand,
                     size_t position, Operator& op) {
    const bool wants_tensor = operand == nullptr || operand->is_tensor;
    RELAYOUT_RETURN_IF_ERROR(SpendOn(argument));
    if (wants_tensor && IsTensorOrTensors(argument)) {
      AppendTensors(argument, op.inputs);
      return OkStatus();
    }
    const std::string which = operand == nullptr ? Format("argument {}", position)
                                                 : Format("'{}'", Printable(operand->name));
    std::optional<AttributeValue> value;
    if (argument.constant != nullptr) {
      RELAYOUT_RETURN_IF_ERROR(Spend(WorkOf(*argument.constant)));
      value = argument.kind == Binding::kTensor ? TensorAttribute(argument)
                                                : AttributeOf(*argument.constant);
    }
    if (!value) {
      return Unsupported(Format(
          "{} '{}': {} is known only when the network runs, or is of a kind that relayout does not "
          "know; export the network so that it is a constant",
          Printable(applied.type), Printable(applied.node.scope), which));
    }
    if (operand == nullptr) {
      return Unsupported(Format(
          "{} '{}': relayout does not know this operator, and {} is no tensor; replace it in the "
          "network by operators that relayout knows, or describe the network with NetworkBuilder",
          Printable(applied.type), Printable(applied.node.scope), which));
    }
    op.attributes.Set(operand->name, *std::move(value));
    return OkStatus();
  }

  // A small tensor where a number or a list of them belongs.
  static std::optional<AttributeValue> TensorAttribute(const Binding& argument) {
    const MindirTensor& tensor = argument.constant->tensors[0];
    std::optional<std::vector<int64_t>> numbers = IntegersOf(tensor);
    if (!numbers) return std::nullopt;
    if (tensor.dims.empty()) return AttributeValue((*numbers)[0]);
    return AttributeValue(*std::move(numbers));
  }

  Status AddAttributes(const Application& applied, Operator& op) {
    if (applied.attributes.size() + applied.node.notes.size() > kMaxAttributes) {
      return Fail(applied, Format("more than {} attributes", kMaxAttributes));
    }
    for (const auto* const values : {&applied.attributes, &applied.node.notes}) {
      for (const MindirValue& value : *values) {
        RELAYOUT_RETURN_IF_ERROR(Spend(WorkOf(value)));
        Result<bool> annotation = SetAnnotation(value, op);
        if (!annotation.ok()) return annotation.status().WithContext(Describe(op));
        if (*annotation || IsNoise(value.name)) continue;
        if (values == &applied.node.attributes && value.name == "shape") continue;
        if (std::optional<AttributeValue> attribute = AttributeOf(value)) {
          op.attributes.Set(value.name, *std::move(attribute));
        }
      }
    }
    return OkStatus();
  }

  // What the network itself writes, no optimizer trains.
  void NoteUntrained(const Operator& op) {
    for (const std::string_view operand : {"mean", "variance", "running_mean", "running_var"}) {
      if (op.type.substr(0, 9) == "BatchNorm") NoteUntrained(InputOf(op, operand), op);
    }
    if (IsOneOf(op.type, {"Assign", "AssignAdd", "AssignSub", "InplaceCopy"})) {
      NoteUntrained(size_t{0}, op);
    }
  }

  void NoteUntrained(std::optional<size_t> input, const Operator& op) {
    if (!input || *input >= op.inputs.size()) return;
    const ValueId id = op.inputs[*input];
    if (graph_.value(id).role == ValueRole::kParameter) untrained_.push_back(id);
  }

  const MindirModel& model_;
  Graph graph_;
  std::unordered_map<std::string_view, const MindirPrimitive*> primitives_;
  std::unordered_map<std::string_view, const MindirGraph*> functions_;
  std::unordered_map<std::string_view, const MindirNode*> constants_;
  std::unordered_map<const MindirNode*, Binding> constant_bindings_;
  std::unordered_map<std::string_view, Binding> parameters_;
  std::vector<ValueId> untrained_;
  std::vector<const MindirGraph*> calls_;  // Those being evaluated.
  size_t work_ = 0;                        // Spent of kMaxWork.
};

// The only *.mindir of a directory.
Result<std::string> FindIn(FileSystem& fs, const std::string& directory) {
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, fs.List(directory));
  std::vector<std::string> found;
  for (const DirectoryEntry& entry : entries) {
    if (entry.kind == FileKind::kFile && EndsWith(entry.name, ".mindir")) {
      found.push_back(entry.name);
    }
  }
  if (found.size() == 1) return JoinPath(directory, found[0]);
  if (found.empty()) return NotFound(Format("{}: no *.mindir in this directory", directory));
  return InvalidInput(
      Format("{}: which of {}? Give the path of the file", directory, JoinLimited(found)));
}

// Large networks are exported as NAME_graph.mindir beside their weights.
std::string MissingHint(FileSystem& fs, const std::string& path) {
  constexpr std::string_view kEnd = ".mindir";
  std::string other(path);
  if (EndsWith(other, kEnd)) other.resize(other.size() - kEnd.size());
  for (const std::string_view end : {"_graph.mindir", ".mindir"}) {
    const std::string candidate = other + std::string(end);
    if (candidate != path && Exists(fs, candidate)) return Format("; there is {}", candidate);
  }
  return "";
}

}  // namespace

Result<Graph> GraphOfMindir(const MindirModel& model) { return Importer(model).Run(); }

Result<std::string> FindMindir(FileSystem& fs, const std::string& path) {
  const Result<FileInfo> info = fs.Stat(path);
  if (info.status().code() == StatusCode::kNotFound) {
    return NotFound(info.status().message() + MissingHint(fs, path));
  }
  if (info.ok() && info->kind == FileKind::kDirectory) return FindIn(fs, path);
  return path;
}

Result<Graph> ReadMindir(FileSystem& fs, const std::string& path,
                         const MindirReadOptions& options) {
  RELAYOUT_ASSIGN_OR_RETURN(const std::string file_path, FindMindir(fs, path));
  RELAYOUT_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file, fs.OpenForRead(file_path));
  Result<MindirModel> model = ReadMindirModel(*file, options);
  if (!model.ok()) return model.status().WithContext(file_path);
  Result<Graph> graph = GraphOfMindir(*model);
  if (!graph.ok()) return graph.status().WithContext(file_path);
  return graph;
}

}  // namespace relayout
