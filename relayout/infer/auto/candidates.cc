// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/auto/candidates.h"

#include <algorithm>
#include <string>
#include <utility>

#include "relayout/base/text.h"
#include "relayout/infer/operator_rule.h"

namespace relayout {
namespace {

// Descending, so that lists begin with what is cut most.
std::vector<int64_t> Divisors(int64_t number) {
  std::vector<int64_t> divisors;
  for (int64_t d = 1; d * d <= number; ++d) {
    if (number % d != 0) continue;
    divisors.push_back(d);
    if (d * d != number) divisors.push_back(number / d);
  }
  std::sort(divisors.rbegin(), divisors.rend());
  return divisors;
}

int64_t Product(const AxisCuts& cuts) {
  int64_t product = 1;
  for (const int64_t pieces : cuts) product *= pieces;
  return product;
}

int64_t CutAxisCount(const AxisCuts& cuts) {
  return std::count_if(cuts.begin(), cuts.end(), [](int64_t pieces) { return pieces > 1; });
}

// All cuts whose product divides `devices_left`, appended to `all`.
void AddCuts(const std::vector<int64_t>& lengths, int64_t devices_left, AxisCuts& begun,
             std::vector<AxisCuts>& all) {
  if (begun.size() == lengths.size()) {
    all.push_back(begun);
    return;
  }
  for (const int64_t pieces : Divisors(devices_left)) {
    if (lengths[begun.size()] % pieces != 0) continue;
    begun.push_back(pieces);
    AddCuts(lengths, devices_left / pieces, begun, all);
    begun.pop_back();
  }
}

// Returns whether something was left out.
bool Prune(std::vector<AxisCuts>& all, int64_t device_count, size_t most) {
  if (all.size() <= most) return false;
  const auto uses_all = [device_count](const AxisCuts& cuts) {
    return Product(cuts) == device_count;
  };
  if (std::any_of(all.begin(), all.end(), uses_all)) {
    std::erase_if(all, [&uses_all](const AxisCuts& cuts) { return !uses_all(cuts); });
  }
  for (int64_t axes = 4; all.size() > most && axes > 1; --axes) {
    std::erase_if(all, [axes](const AxisCuts& cuts) { return CutAxisCount(cuts) > axes; });
  }
  return true;
}

// What cuts each dim, as runs of the devices' places; equal for layouts with equal pieces.
std::string PiecesKey(const Layout& layout) {
  const std::vector<int64_t>& mesh = layout.spec().mesh;
  std::string key;
  for (const std::vector<int>& axes : layout.spec().dim_axes) {
    int64_t run_stride = 0;
    int64_t run_size = 1;
    for (const int axis : axes) {
      const int64_t size = mesh[static_cast<size_t>(axis)];
      int64_t stride = 1;
      for (size_t i = static_cast<size_t>(axis) + 1; i < mesh.size(); ++i) stride *= mesh[i];
      if (size == 1) continue;
      if (run_size > 1 && run_stride != stride * size) {
        key += Format("{}x{}.", run_stride, run_size);
        run_size = 1;
      }
      run_stride = stride;
      run_size *= size;
    }
    if (run_size > 1) key += Format("{}x{}.", run_stride, run_size);
    key += '|';
  }
  return key;
}

}  // namespace

Candidates::Candidates(const CostModel& model, int64_t device_count)
    : model_(&model), device_count_(device_count) {}

Result<Candidates> Candidates::Create(const CostModel& model, int64_t device_count) {
  Candidates candidates(model, device_count);
  std::unordered_map<std::string, std::shared_ptr<const CandidateList>> of_signature;
  for (size_t id = 0; id < model.graph().operators().size(); ++id) {
    const auto op_id = static_cast<OperatorId>(id);
    std::shared_ptr<const CandidateList>& list = of_signature[model.Signature(op_id)];
    if (list == nullptr) {
      RELAYOUT_ASSIGN_OR_RETURN(CandidateList made, candidates.ListFor(op_id));
      list = std::make_shared<const CandidateList>(std::move(made));
    }
    candidates.lists_.push_back(list);
  }
  return candidates;
}

Result<CandidateList> Candidates::ListFor(OperatorId id) {
  const Graph& graph = model_->graph();
  const Operator& op = graph.op(id);
  RELAYOUT_ASSIGN_OR_RETURN(const OperatorRule* const rule, RuleOf(op));
  RELAYOUT_ASSIGN_OR_RETURN(const OperatorAxes axes, rule->axes(graph, op));
  std::vector<AxisCuts> all;
  CandidateList list;
  const bool is_annotated = (op.cuts || op.mesh_cuts) && !rule->ignores_annotation;
  if (is_annotated) {
    RELAYOUT_ASSIGN_OR_RETURN(AxisCuts annotated,
                              ChosenCuts(graph, op, *rule, axes, device_count_));
    all.push_back(std::move(annotated));
  } else {
    AxisCuts begun;
    AddCuts(axes.lengths, device_count_, begun, all);
    list.is_pruned = Prune(all, device_count_, kMostOfAnOperator);
  }
  Status why_not = OkStatus();
  for (AxisCuts& cuts : all) {
    Result<OperatorLayout> layout =
        is_annotated && op.mesh_cuts ? LayOutOnMesh(graph, op, axes, *op.mesh_cuts, device_count_)
                                     : LayOut(graph, op, *rule, axes, cuts, device_count_);
    if (!layout.ok()) {
      why_not = layout.status();
      continue;
    }
    const OperatorCost cost = model_->CostOf(id, *layout);
    list.cuts.push_back(std::move(cuts));
    list.seconds.push_back(cost.total() - cost.memory);
    list.bytes_kept.push_back(cost.bytes_kept);
    list.inputs.emplace_back();
    for (const Layout& input : layout->inputs) list.inputs.back().push_back(Number(input));
    list.outputs.emplace_back();
    for (const Layout& output : layout->outputs) list.outputs.back().push_back(Number(output));
    list.layouts.push_back(std::move(layout).value());
  }
  if (list.size() == 0) return why_not;
  return list;
}

int Candidates::Number(const Layout& layout) {
  const auto [found, is_new] =
      number_of_.emplace(PiecesKey(layout), static_cast<int>(numbered_.size()));
  if (is_new) numbered_.push_back(layout);
  return found->second;
}

const Candidates::Pair& Candidates::PairOf(int from, int to) {
  const auto a = static_cast<size_t>(from);
  const auto b = static_cast<size_t>(to);
  pair_index_.resize(numbered_.size() * numbered_.size(), -1);
  int32_t& index = pair_index_[a * numbered_.size() + b];
  if (index < 0) {
    const int64_t devices_per_node = model_->machine().devices_per_node;
    const Movement there = MovementBetween(numbered_[a], numbered_[b], devices_per_node);
    const Movement back = MovementBetween(numbered_[b], numbered_[a], devices_per_node);
    index = static_cast<int32_t>(pairs_.size());
    pairs_.push_back({there.fraction > 0 || back.fraction > 0, model_->SecondsOf(there),
                      model_->SecondsOf(back)});
  }
  return pairs_[static_cast<size_t>(index)];
}

double Candidates::EdgeSeconds(const CostModel::Edge& edge, size_t from, size_t to) {
  const CandidateList& maker = Of(edge.from);
  const auto output = static_cast<size_t>(edge.output);
  const int a = edge.shared_parameter ? maker.inputs[from][output] : maker.outputs[from][output];
  const int b = Of(edge.to).inputs[to][static_cast<size_t>(edge.input)];
  if (a == b) return 0;
  const Pair& pair = PairOf(a, b);
  if (edge.shared_parameter) return pair.differs ? kDisagreementSeconds : 0;
  const double forward = pair.there.fixed + edge.bytes * pair.there.per_byte;
  return edge.has_backward ? forward + pair.back.fixed + edge.bytes * pair.back.per_byte : forward;
}

}  // namespace relayout
