// SPDX-License-Identifier: Apache-2.0
//
// Shapes are worked out forward, operator by operator. Where one does not fit, some tensor that has
// nothing to do with the inputs was as long as the batch: it is traced back to the constant or the
// attribute that its length comes from, that grows, and the walk starts again.
#include "relayout/graph/global_batch.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "relayout/base/checked_math.h"
#include "relayout/base/text.h"
#include "relayout/graph/batch_attributes.h"
#include "relayout/graph/constant.h"
#include "relayout/graph/operator_shapes.h"

namespace relayout {
namespace {

// Dim `dim` of input number `input`.
struct InputDim {
  size_t input = 0;
  size_t dim = 0;
};

// Each dim is as it was, or `factor` times as long, once or more often.
bool IsMultiple(const Dims& now, const Dims& before, int64_t factor) {
  if (now.size() != before.size()) return false;
  for (size_t d = 0; d < before.size(); ++d) {
    int64_t length = now[d];
    while (length > before[d] && length % factor == 0) length /= factor;
    if (length != before[d]) return false;
  }
  return true;
}

// Attributes that can hold a batch. Others that are numbers (an axis) are never taken for one.
bool HoldsLengths(std::string_view attribute) {
  static constexpr std::array<std::string_view, 7> kNames = {"shape", "size",    "dims", "end",
                                                             "n",     "repeats", "m"};
  return std::find(kNames.begin(), kNames.end(), attribute) != kNames.end();
}

// `graph` with other shapes (by value) and attributes (by operator); values in their order, so that
// they keep their ids.
Result<Graph> Remade(const Graph& graph, const std::vector<Dims>& shapes,
                     const std::vector<Attributes>& attributes) {
  Graph made;
  for (size_t id = 0; id < graph.values().size(); ++id) {
    const Value& value = graph.values()[id];
    const TensorType type = {value.dtype, shapes[id]};
    if (value.role == ValueRole::kInput) made.AddInput(value.name, type);
    if (value.role == ValueRole::kConstant) {
      made.AddConstant(type, WithShape(value.bytes, value.dtype, value.shape, type.shape));
    }
    if (value.role == ValueRole::kParameter) {
      RELAYOUT_RETURN_IF_ERROR(
          made.AddParameter(value.name, type, value.trained, value.initializer).status());
    }
    if (value.role != ValueRole::kResult || value.output_index != 0) continue;
    Operator op = graph.op(value.producer);
    op.attributes = attributes[static_cast<size_t>(value.producer)];
    std::vector<TensorType> results;
    for (const ValueId output : op.outputs) {
      results.push_back({graph.value(output).dtype, shapes[static_cast<size_t>(output)]});
    }
    made.AddOperator(std::move(op), results);
  }
  made.SetResults(graph.results());
  return made;
}

class Growing {
 public:
  Growing(const Graph& graph, int64_t factor)
      : graph_(graph), factor_(factor), uses_(graph.Uses()) {
    for (const Value& value : graph.values()) shapes_.push_back(value.shape);
    for (const Operator& op : graph.operators()) attributes_.push_back(op.attributes);
    sources_ = shapes_;
    source_attributes_ = attributes_;
  }

  Status Run();
  // @pre Run() succeeded
  Result<Graph> Made() const;

 private:
  Status GrowInputs();
  bool IsBatchOfOne() const;
  // With an exported batch of 1, what broadcast something to it did nothing.
  void GrowIdleBroadcasts();
  // Walks on from operator `next_`; false when something that it met earlier has to grow, and it
  // must go on from there.
  Result<bool> Walk();
  // As if operators from `next_` on had not been met.
  void Forget();
  // Where inputs and constants hold the batch.
  void PlaceSource(ValueId id);
  Result<bool> Follow(OperatorId id);
  std::vector<TensorType> TypesNow(const Operator& op) const;
  bool IsGrown(ValueId id) const { return shapes_[Index(id)] != graph_.value(id).shape; }
  // A parameter is as long as it is.
  bool CanGrow(ValueId id) const { return graph_.value(id).role != ValueRole::kParameter; }
  bool HasGrownInput(const Operator& op) const;
  Attributes AttributesFor(OperatorId id, const std::vector<TensorType>& types) const;
  // The results of an operator whose inputs are `types`, if they are what they were before with
  // some dims `factor` times as long.
  Result<std::vector<TensorType>> ResultsFor(OperatorId id, const Attributes& attributes,
                                             const std::vector<TensorType>& types) const;
  void Place(OperatorId id);

  // Lets inputs that did not grow grow so that the operator fits; false when none would do.
  Result<bool> GrowOthers(OperatorId id);
  // Sets of dims that may have to grow together, of inputs that are as they were.
  std::vector<std::vector<InputDim>> Candidates(const Operator& op) const;
  std::vector<TensorType> Lengthened(std::vector<TensorType> types,
                                     const std::vector<InputDim>& dims) const;
  void GoOnFrom(OperatorId id) { next_ = std::min(next_, Index(id)); }
  // Makes dim `dim` of a value grow at its source.
  Status GrowSource(ValueId id, size_t dim);
  bool GrowAttribute(OperatorId id, size_t output, const Dims& wanted);
  Status GrowSourcesOfInputs(OperatorId id, size_t output, const Dims& wanted);

  static size_t Index(int32_t id) { return static_cast<size_t>(id); }

  const Graph& graph_;
  const int64_t factor_;
  // By value: the shape now, and where it holds the batch when it grew.
  std::vector<Dims> shapes_;
  std::vector<std::optional<BatchPlace>> places_;
  std::vector<Attributes> attributes_;  // By operator.
  // The same without what a walk adds: the sources that have grown.
  std::vector<Dims> sources_;
  std::vector<Attributes> source_attributes_;
  size_t next_ = 0;
  const std::vector<std::vector<Graph::Use>> uses_;
};

Status Growing::GrowInputs() {
  for (const ValueId id : graph_.inputs()) {
    Dims& shape = sources_[Index(id)];
    if (shape.empty()) continue;
    const std::optional<int64_t> length = CheckedMul(shape[0], factor_);
    if (!length) {
      return InvalidInput(
          Format("{} {} cannot be {} times as long", Describe(graph_, id), ToText(shape), factor_));
    }
    shape[0] = *length;
  }
  return OkStatus();
}

bool Growing::IsBatchOfOne() const {
  for (const ValueId id : graph_.inputs()) {
    const Dims& shape = graph_.value(id).shape;
    if (!shape.empty() && shape[0] != 1) return false;
  }
  return true;
}

void Growing::GrowIdleBroadcasts() {
  for (size_t id = 0; id < graph_.operators().size(); ++id) {
    const Operator& op = graph_.operators()[id];
    std::vector<int64_t> target = op.attributes.GetInts("shape").value_or(std::vector<int64_t>());
    if (op.type != "BroadcastTo" || target.empty() || target[0] != 1 || op.inputs.empty() ||
        graph_.value(op.inputs[0]).shape != graph_.value(op.outputs[0]).shape) {
      continue;
    }
    target[0] = factor_;
    source_attributes_[id].Set("shape", std::move(target));
  }
}

Status Growing::Run() {
  if (factor_ == 1) return OkStatus();
  RELAYOUT_RETURN_IF_ERROR(GrowInputs());
  if (IsBatchOfOne()) GrowIdleBroadcasts();
  places_.resize(shapes_.size());
  for (const ValueId id : graph_.inputs()) PlaceSource(id);
  // Each further walk begins with one more source grown; values bound them.
  for (size_t walk = 0; walk <= graph_.values().size(); ++walk) {
    const Result<bool> done = Walk();
    if (!done.ok() && IsBatchOfOne()) {
      return Unsupported(
          Format("{}; a batch of 1 does not tell where it is in the tensors: export "
                 "the network for a batch of 2 or more",
                 done.status().message()));
    }
    RELAYOUT_RETURN_IF_ERROR(done.status());
    if (*done) return OkStatus();
  }
  return Unsupported(Format("no shapes fit together for {} times the batch", factor_));
}

void Growing::PlaceSource(ValueId id) {
  const Dims& before = graph_.value(id).shape;
  shapes_[Index(id)] = sources_[Index(id)];
  for (size_t d = before.size(); d-- > 0;) {
    if (sources_[Index(id)][d] != before[d]) places_[Index(id)] = BatchPlace{before[d], d, 1};
  }
}

void Growing::Forget() {
  for (size_t id = next_; id < graph_.operators().size(); ++id) {
    attributes_[id] = source_attributes_[id];
    for (const ValueId output : graph_.operators()[id].outputs) {
      shapes_[Index(output)] = graph_.value(output).shape;
      places_[Index(output)].reset();
    }
  }
}

Result<bool> Growing::Walk() {
  Forget();
  for (; next_ < graph_.operators().size(); ++next_) {
    RELAYOUT_ASSIGN_OR_RETURN(const bool fits, Follow(static_cast<OperatorId>(next_)));
    if (!fits) return false;
  }
  return true;
}

std::vector<TensorType> Growing::TypesNow(const Operator& op) const {
  std::vector<TensorType> types;
  for (const ValueId id : op.inputs) types.push_back({graph_.value(id).dtype, shapes_[Index(id)]});
  return types;
}

bool Growing::HasGrownInput(const Operator& op) const {
  for (const ValueId id : op.inputs) {
    if (IsGrown(id)) return true;
  }
  return false;
}

Attributes Growing::AttributesFor(OperatorId id, const std::vector<TensorType>& types) const {
  const Operator& op = graph_.op(id);
  const Attributes& source = source_attributes_[Index(id)];
  if (op.inputs.empty() || op.outputs.empty()) return source;
  const Dims& before = graph_.value(op.inputs[0]).shape;
  std::optional<BatchPlace> place = places_[Index(op.inputs[0])];
  for (size_t d = before.size(); !place && d-- > 0;) {
    if (types[0].shape[d] != before[d]) place = BatchPlace{before[d], d, 1};
  }
  if (!place) return source;
  return FollowBatch({.type = op.type,
                      .attributes = source,
                      .before = before,
                      .after = types[0].shape,
                      .result = graph_.value(op.outputs[0]).shape,
                      .place = *place,
                      .factor = factor_});
}

Result<std::vector<TensorType>> Growing::ResultsFor(OperatorId id, const Attributes& attributes,
                                                    const std::vector<TensorType>& types) const {
  const Operator& op = graph_.op(id);
  RELAYOUT_ASSIGN_OR_RETURN(std::vector<TensorType> results, ResultTypes(op, attributes, types));
  if (results.size() != op.outputs.size()) {
    return Unsupported(Format("{}: makes {} now, and {} as it was exported", Describe(op),
                              Count(static_cast<int64_t>(results.size()), "tensor"),
                              op.outputs.size()));
  }
  for (size_t i = 0; i < results.size(); ++i) {
    const Dims& before = graph_.value(op.outputs[i]).shape;
    if (IsMultiple(results[i].shape, before, factor_)) continue;
    return Unsupported(Format("{}: makes {} now, and {} as it was exported", Describe(op),
                              ToText(results[i].shape), ToText(before)));
  }
  return results;
}

// Where the results hold the batch: as the first input that holds it, moved along.
void Growing::Place(OperatorId id) {
  const Operator& op = graph_.op(id);
  std::optional<BatchPlace> from;
  const Dims* before = nullptr;
  for (const ValueId input : op.inputs) {
    if (from || !places_[Index(input)]) continue;
    from = places_[Index(input)];
    before = &graph_.value(input).shape;
  }
  for (const ValueId output : op.outputs) {
    const Dims& shape = graph_.value(output).shape;
    for (size_t d = shape.size(); d-- > 0;) {
      if (shapes_[Index(output)][d] == shape[d]) continue;
      BatchPlace place = {from ? from->length : shape[d], d, 1};
      if (from && KeepsOrder(op.type)) {
        const int64_t outer = ElementsOutside(*before, *from);
        place.outside = outer / std::max<int64_t>(ElementsOutside(shape, place), 1);
      } else if (from && (*before)[from->dim] == shape[d]) {
        place.outside = from->outside;
      }
      places_[Index(output)] = place;
    }
  }
}

Result<bool> Growing::Follow(OperatorId id) {
  const Operator& op = graph_.op(id);
  const bool is_source = source_attributes_[Index(id)].entries() != op.attributes.entries();
  if (!HasGrownInput(op) && !is_source) return true;
  const std::vector<TensorType> types = TypesNow(op);
  attributes_[Index(id)] = AttributesFor(id, types);
  const Result<std::vector<TensorType>> results = ResultsFor(id, attributes_[Index(id)], types);
  if (!results.ok()) {
    RELAYOUT_ASSIGN_OR_RETURN(const bool grown, GrowOthers(id));
    if (grown) return false;
    return results.status().WithContext(Format("for {} times the batch", factor_));
  }
  for (size_t i = 0; i < op.outputs.size(); ++i) {
    shapes_[Index(op.outputs[i])] = (*results)[i].shape;
  }
  Place(id);
  return true;
}

// One dim, or one of several inputs: aligned at the right, as where dims broadcast, or at the left.
// Dims of 1 would rather broadcast than grow, so these come last.
std::vector<std::vector<InputDim>> Growing::Candidates(const Operator& op) const {
  std::vector<std::vector<InputDim>> candidates;
  for (const int64_t shortest : {2, 1}) {
    std::vector<std::vector<InputDim>> from_right(kMaxDims);
    std::vector<std::vector<InputDim>> from_left(kMaxDims);
    for (size_t i = 0; i < op.inputs.size(); ++i) {
      const Dims& shape = shapes_[Index(op.inputs[i])];
      if (IsGrown(op.inputs[i]) || !CanGrow(op.inputs[i])) continue;
      for (size_t d = 0; d < shape.size(); ++d) {
        if (shape[d] < shortest) continue;
        candidates.push_back({{i, d}});
        from_right[shape.size() - 1 - d].push_back({i, d});
        from_left[d].push_back({i, d});
      }
    }
    for (auto* const sets : {&from_right, &from_left}) {
      for (std::vector<InputDim>& set : *sets) {
        if (set.size() > 1) candidates.push_back(std::move(set));
      }
    }
  }
  return candidates;
}

std::vector<TensorType> Growing::Lengthened(std::vector<TensorType> types,
                                            const std::vector<InputDim>& dims) const {
  for (const InputDim& at : dims) {
    int64_t& length = types[at.input].shape[at.dim];
    length = CheckedMul(length, factor_).value_or(length);
  }
  return types;
}

Result<bool> Growing::GrowOthers(OperatorId id) {
  const Operator& op = graph_.op(id);
  for (const std::vector<InputDim>& dims : Candidates(op)) {
    const std::vector<TensorType> types = Lengthened(TypesNow(op), dims);
    if (!ResultsFor(id, AttributesFor(id, types), types).ok()) continue;
    for (const InputDim& at : dims) {
      RELAYOUT_RETURN_IF_ERROR(
          GrowSource(op.inputs[at.input], at.dim)
              .WithContext(Format("for {} times the batch: {}", factor_, Describe(op))));
    }
    return true;
  }
  return false;
}

Status Growing::GrowSource(ValueId id, size_t dim) {
  const Value& value = graph_.value(id);
  Dims wanted = value.shape;
  wanted[dim] = CheckedMul(wanted[dim], factor_).value_or(wanted[dim]);
  if (value.role == ValueRole::kConstant) {
    sources_[Index(id)] = wanted;
    PlaceSource(id);
    GoOnFrom(uses_[Index(id)].front().user);
    return OkStatus();
  }
  if (value.role == ValueRole::kResult && !HasGrownInput(graph_.op(value.producer))) {
    const auto output = static_cast<size_t>(value.output_index);
    if (GrowAttribute(value.producer, output, wanted)) return OkStatus();
    return GrowSourcesOfInputs(value.producer, output, wanted);
  }
  return Unsupported(Format("{} would have to be {} instead of {}", Describe(graph_, id),
                            ToText(wanted), ToText(value.shape)));
}

bool Growing::GrowAttribute(OperatorId id, size_t output, const Dims& wanted) {
  const std::vector<TensorType> types = TypesNow(graph_.op(id));
  for (const auto& [name, value] : graph_.op(id).attributes.entries()) {
    if (!HoldsLengths(name)) continue;
    const std::vector<int64_t> given =
        graph_.op(id).attributes.GetInts(name).value_or(std::vector<int64_t>());
    for (size_t i = 0; i < given.size(); ++i) {
      std::vector<int64_t> longer = given;
      longer[i] = CheckedMul(longer[i], factor_).value_or(longer[i]);
      Attributes attributes = source_attributes_[Index(id)];
      attributes.Set(name, std::move(longer));
      const Result<std::vector<TensorType>> results = ResultsFor(id, attributes, types);
      if (!results.ok() || (*results)[output].shape != wanted) continue;
      source_attributes_[Index(id)] = std::move(attributes);
      GoOnFrom(id);
      return true;
    }
  }
  return false;
}

Status Growing::GrowSourcesOfInputs(OperatorId id, size_t output, const Dims& wanted) {
  const Operator& op = graph_.op(id);
  for (const std::vector<InputDim>& dims : Candidates(op)) {
    const std::vector<TensorType> types = Lengthened(TypesNow(op), dims);
    const Result<std::vector<TensorType>> results = ResultsFor(id, AttributesFor(id, types), types);
    if (!results.ok() || (*results)[output].shape != wanted) continue;
    for (const InputDim& at : dims) {
      RELAYOUT_RETURN_IF_ERROR(GrowSource(op.inputs[at.input], at.dim));
    }
    return OkStatus();
  }
  return Unsupported(
      Format("{} would have to make {} instead of {}; nothing that it is made of tells "
             "how",
             Describe(op), ToText(wanted), ToText(graph_.value(op.outputs[output]).shape)));
}

Result<Graph> Growing::Made() const { return Remade(graph_, shapes_, attributes_); }

// How often `now` is `before` doubled; nothing when it is not.
std::optional<int> Doublings(int64_t now, int64_t before) {
  int count = 0;
  while (before > 0 && now > before) {
    if (now % 2 != 0) return std::nullopt;
    now /= 2;
    ++count;
  }
  if (now != before) return std::nullopt;
  return count;
}

// Divides by `count` once for each doubling; false when that leaves a rest.
bool Divide(int64_t& length, int doublings, int64_t count) {
  for (int i = 0; i < doublings; ++i) {
    if (length % count != 0) return false;
    length /= count;
  }
  return true;
}

// The numbers of an operator that hold the batch, which are those that double with it.
void DivideAttributes(const Attributes& doubled, int64_t count, Attributes& attributes) {
  const Attributes before = attributes;
  for (const auto& [name, value] : before.entries()) {
    auto lengths = before.GetInts(name);
    const auto now = doubled.GetInts(name);
    if (!HoldsLengths(name) || !lengths || !now || now->size() != lengths->size()) continue;
    for (size_t i = 0; i < lengths->size(); ++i) {
      Divide((*lengths)[i], Doublings((*now)[i], (*lengths)[i]).value_or(0), count);
    }
    if (*lengths != before.GetInts(name)) attributes.Set(name, *std::move(lengths));
  }
}

}  // namespace

Result<Graph> WithGlobalBatch(const Graph& graph, int64_t factor) {
  RELAYOUT_CHECK(factor >= 1);
  Growing growing(graph, factor);
  RELAYOUT_RETURN_IF_ERROR(growing.Run());
  return growing.Made();
}

Result<Graph> WithMicroBatches(const Graph& graph, int64_t count) {
  RELAYOUT_CHECK(count >= 1);
  if (count == 1) return graph;
  RELAYOUT_ASSIGN_OR_RETURN(const Graph doubled, WithGlobalBatch(graph, 2));
  std::vector<Dims> shapes;
  for (size_t id = 0; id < graph.values().size(); ++id) {
    const Dims& before = graph.values()[id].shape;
    Dims shape = before;
    for (size_t d = 0; d < shape.size(); ++d) {
      const int doublings = Doublings(doubled.values()[id].shape[d], before[d]).value_or(0);
      if (Divide(shape[d], doublings, count)) continue;
      return InvalidInput(Format("{}: dim {} = {} cannot be dealt evenly to {} micro batches",
                                 Describe(graph, static_cast<ValueId>(id)), d, before[d], count));
    }
    shapes.push_back(shape);
  }
  std::vector<Attributes> attributes;
  for (size_t id = 0; id < graph.operators().size(); ++id) {
    attributes.push_back(graph.operators()[id].attributes);
    DivideAttributes(doubled.operators()[id].attributes, count, attributes.back());
  }
  return Remade(graph, shapes, attributes);
}

}  // namespace relayout
