// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/network_facts.h"

#include <algorithm>

#include "relayout/base/text.h"
#include "relayout/infer/infer_strategy.h"

namespace relayout {

std::vector<int> PreparedOperator::SumAxes(size_t output) const {
  if (kernel->sums_outputs) return {};
  return PartialAxesOfOutput(layout, output);
}

Result<NetworkFacts> NetworkFacts::Of(const InferredStrategy& network, bool training) {
  NetworkFacts facts(network, training);
  for (const Operator& op : network.graph.operators()) RELAYOUT_RETURN_IF_ERROR(facts.Add(op));
  facts.NoteUses();
  return facts;
}

NetworkFacts::NetworkFacts(const InferredStrategy& network, bool training)
    : network_(&network),
      origin_(network.graph.values().size(), kNowhere),
      last_use_(origin_.size(), kNowhere),
      use_count_(origin_.size(), 0),
      has_gradient_(origin_.size(), false) {
  if (!training) return;
  for (const ValueId id : graph().parameters()) {
    const Value& value = graph().value(id);
    has_gradient_[static_cast<size_t>(id)] = value.trained && value.dtype == DType::kFloat32;
  }
  for (const LaidParameter& laid : network.parameters) {
    origin_[static_cast<size_t>(laid.parameter)] = StageOf(laid.user.user);
  }
}

const Graph& NetworkFacts::graph() const { return network_->graph; }

int64_t NetworkFacts::StageOf(OperatorId id) const {
  return network_->stage_of[static_cast<size_t>(id)];
}

const Layout* NetworkFacts::StoredLayoutOf(ValueId parameter, int64_t stage) const {
  for (const LaidParameter& laid : network_->parameters) {
    if (laid.parameter == parameter && StageOf(laid.user.user) == stage) return &laid.layout;
  }
  return nullptr;
}

Status NetworkFacts::Add(const Operator& op) {
  const auto id = static_cast<OperatorId>(prepared_.size());
  PreparedOperator& made = prepared_.emplace_back();
  RELAYOUT_ASSIGN_OR_RETURN(made.kernel, KernelOf(graph(), op));
  made.layout = network_->layouts[static_cast<size_t>(id)];
  if (made.kernel->adapt != nullptr) made.kernel->adapt(graph(), op, made.layout);
  const bool passes = made.kernel->backward != nullptr &&
                      std::ranges::any_of(op.inputs, [&](ValueId v) { return HasGradient(v); });
  for (const ValueId output : op.outputs) {
    RELAYOUT_RETURN_IF_ERROR(CheckType(output));
    origin_[static_cast<size_t>(output)] = StageOf(id);
    has_gradient_[static_cast<size_t>(output)] =
        passes && graph().value(output).dtype == DType::kFloat32;
  }
  return OkStatus();
}

Status NetworkFacts::CheckType(ValueId id) const {
  const DType dtype = graph().value(id).dtype;
  if (dtype == DType::kFloat32 || dtype == DType::kInt32) return OkStatus();
  return Unsupported(Format("{} is {}; networks of float32 and int32 can be run",
                            Describe(graph(), id), ShortName(dtype)));
}

void NetworkFacts::NoteUses() {
  const auto note = [this](ValueId id, int64_t stage) {
    int64_t& last = last_use_[static_cast<size_t>(id)];
    last = std::max(last, stage);
    ++use_count_[static_cast<size_t>(id)];
  };
  for (size_t id = 0; id < prepared_.size(); ++id) {
    const auto op = static_cast<OperatorId>(id);
    for (const ValueId input : graph().op(op).inputs) note(input, StageOf(op));
  }
  for (const ValueId result : graph().results()) note(result, OriginOf(result));
}

}  // namespace relayout
