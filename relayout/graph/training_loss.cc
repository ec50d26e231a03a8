// SPDX-License-Identifier: Apache-2.0
#include "relayout/graph/training_loss.h"

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "relayout/base/check.h"
#include "relayout/base/text.h"
#include "relayout/graph/operator_shapes.h"

namespace relayout {
namespace {

struct LossFacts {
  Loss loss;
  std::string_view name;
  std::string_view cell;  // MindSpore's class.
  bool wants_classes;     // Rows of scores of classes, against numbers of classes.
};

constexpr std::array<LossFacts, 3> kLosses = {{
    {Loss::kCrossEntropy, "cross_entropy", "CrossEntropyLoss", true},
    {Loss::kSoftmaxCrossEntropy, "softmax_cross_entropy", "SoftmaxCrossEntropyWithLogits", true},
    {Loss::kMeanSquaredError, "mean_squared_error", "MSELoss", false},
}};

const LossFacts& FactsOf(Loss loss) { return kLosses[static_cast<size_t>(loss)]; }

std::string TypeText(const Value& value) {
  return Format("{}{}", ShortName(value.dtype), ToText(value.shape));
}

Status CheckResult(const Graph& graph, const LossFacts& facts) {
  if (graph.results().size() != 1) {
    return InvalidInput(Format("the loss {} is of one tensor; the network returns {}", facts.name,
                               graph.results().size()));
  }
  const ValueId id = graph.results()[0];
  const Value& result = graph.value(id);
  const bool is_real = result.dtype == DType::kFloat32;
  if (!is_real || (facts.wants_classes && result.shape.size() != 2)) {
    return InvalidInput(Format(
        "the loss {} is of {}; the network returns {}, {}. {}", facts.name,
        facts.wants_classes ? "f32[rows,classes]" : "f32 numbers", Describe(graph, id),
        TypeText(result),
        is_real ? "Reshape it so that each row has the scores of all classes" : "Cast it to f32"));
  }
  return OkStatus();
}

Status CheckInputs(const Graph& graph) {
  for (const ValueId id : graph.inputs()) {
    if (graph.value(id).name != kLabelInput) continue;
    return InvalidInput(
        Format("the network has an input '{}' of its own, {}: it seems to have its loss",
               kLabelInput, TypeText(graph.value(id))));
  }
  return OkStatus();
}

TensorType LabelType(const Dims& result, const LossFacts& facts) {
  if (facts.wants_classes) return {DType::kInt32, {result[0]}};
  return {DType::kFloat32, result};
}

// Adds an operator in the loss's cell; its first result.
ValueId Append(Graph& graph, const LossFacts& facts, std::string_view type,
               std::vector<ValueId> inputs, Attributes attributes) {
  Operator op;
  op.type = std::string(type);
  op.name = Format("Default/_loss_fn-{}/{}-op0", facts.cell, type);
  op.inputs = std::move(inputs);
  op.attributes = std::move(attributes);
  std::vector<TensorType> types;
  for (const ValueId input : op.inputs) {
    types.push_back({graph.value(input).dtype, graph.value(input).shape});
  }
  const Result<std::vector<TensorType>> results = ResultTypes(op, types);
  RELAYOUT_CHECK(results.ok());  // The network's result was checked.
  return graph.op(graph.AddOperator(std::move(op), *results)).outputs[0];
}

ValueId AppendLoss(Graph& graph, const LossFacts& facts, ValueId result, ValueId label) {
  switch (facts.loss) {
    case Loss::kCrossEntropy:
      return Append(graph, facts, "CrossEntropyLoss", {result, label},
                    {{"reduction", std::string("mean")}, {"ignore_index", int64_t{-100}}});
    case Loss::kSoftmaxCrossEntropy:
      return Append(graph, facts, "SparseSoftmaxCrossEntropyWithLogits", {result, label},
                    {{"is_grad", false}});
    case Loss::kMeanSquaredError:
      break;
  }
  const ValueId difference = Append(graph, facts, "Sub", {result, label}, {});
  const ValueId square = Append(graph, facts, "Square", {difference}, {});
  return Append(graph, facts, "ReduceMean", {square}, {{"axis", std::vector<int64_t>()}});
}

}  // namespace

std::string_view ToText(Loss loss) { return FactsOf(loss).name; }

Result<Loss> ParseLoss(std::string_view text) {
  std::string names;
  for (const LossFacts& facts : kLosses) {
    if (facts.name == text) return facts.loss;
    names.append(names.empty() ? "" : ", ").append(facts.name);
  }
  return InvalidInput(Format("there is no loss '{}'; there are {}", Printable(text), names));
}

Result<Graph> WithLoss(const Graph& graph, Loss loss) {
  const LossFacts& facts = FactsOf(loss);
  RELAYOUT_RETURN_IF_ERROR(CheckInputs(graph));
  RELAYOUT_RETURN_IF_ERROR(CheckResult(graph, facts));
  Graph trained = graph;
  const ValueId result = graph.results()[0];
  const ValueId label =
      trained.AddInput(std::string(kLabelInput), LabelType(graph.value(result).shape, facts));
  trained.SetResults({AppendLoss(trained, facts, result, label)});
  return trained;
}

}  // namespace relayout
