// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/stages.h"

#include <algorithm>
#include <optional>

#include "relayout/base/near_names.h"
#include "relayout/base/text.h"

namespace relayout {
namespace {

class Assigner {
 public:
  Assigner(const Graph& graph, const std::vector<StageRule>& rules, int64_t stage_count)
      : graph_(graph), rules_(rules), stage_count_(stage_count), is_used_(rules.size(), false) {}

  Result<std::vector<int64_t>> Run() {
    RELAYOUT_RETURN_IF_ERROR(CheckRules());
    for (const Operator& op : graph_.operators()) {
      RELAYOUT_ASSIGN_OR_RETURN(const int64_t stage, StageOf(op));
      stages_.push_back(stage);
    }
    RELAYOUT_RETURN_IF_ERROR(CheckUse());
    return std::move(stages_);
  }

 private:
  Status CheckRules() const {
    for (const StageRule& rule : rules_) {
      if (rule.stage < 0 || rule.stage >= stage_count_) {
        return InvalidInput(Format("stage {} of '{}' does not exist: there {} {}, 0 to {}",
                                   rule.stage, Printable(rule.prefix),
                                   stage_count_ == 1 ? "is" : "are", Count(stage_count_, "stage"),
                                   stage_count_ - 1));
      }
    }
    return OkStatus();
  }

  // The stage that the longest prefix of `name` says.
  std::optional<int64_t> ByPrefix(std::string_view name) {
    std::optional<size_t> best;
    for (size_t i = 0; i < rules_.size(); ++i) {
      if (!IsUnder(name, rules_[i].prefix)) continue;
      is_used_[i] = true;
      if (!best || rules_[i].prefix.size() > rules_[*best].prefix.size()) best = i;
    }
    if (!best) return std::nullopt;
    return rules_[*best].stage;
  }

  Result<int64_t> StageOf(const Operator& op) {
    std::optional<int64_t> by_parameter;
    int64_t latest = 0;
    const Operator* latest_producer = nullptr;
    for (const ValueId input : op.inputs) {
      const Value& value = graph_.value(input);
      if (value.role == ValueRole::kParameter) {
        const auto stage = ByPrefix(value.name);
        if (!by_parameter) by_parameter = stage;
      }
      if (value.role != ValueRole::kResult) continue;
      const int64_t stage = stages_[static_cast<size_t>(value.producer)];
      if (latest_producer == nullptr || stage > latest) {
        latest = stage;
        latest_producer = &graph_.op(value.producer);
      }
    }
    const auto by_cell = ByPrefix(CellOf(op));
    const int64_t stage = by_cell ? *by_cell : by_parameter.value_or(latest);
    if (stage < latest && MayBeSharedCode(op)) return latest;
    if (stage < latest) {
      return InvalidInput(
          Format("{} is in stage {}, but reads the result of {} in the later stage "
                 "{}",
                 Describe(op), stage, Describe(*latest_producer), latest));
    }
    return stage;
  }

  // Whether the cell of `op` may be another's. MindSpore compiles equal cells without parameters
  // once, and calls the operators of all of them after the first: layers.0.act in every layer.
  // Such an operator runs where what it reads is made, unless a rule names that very cell.
  bool MayBeSharedCode(const Operator& op) const {
    const bool has_parameter = std::any_of(op.inputs.begin(), op.inputs.end(), [&](ValueId input) {
      return graph_.value(input).role == ValueRole::kParameter;
    });
    const std::string cell = CellOf(op);
    return !has_parameter && std::none_of(rules_.begin(), rules_.end(), [&](const StageRule& rule) {
      return IsUnder(rule.prefix, cell);
    });
  }

  Status CheckUse() const {
    for (size_t i = 0; i < rules_.size(); ++i) {
      if (!is_used_[i]) return UnknownPrefix(rules_[i].prefix);
    }
    for (int64_t stage = 0; stage < stage_count_ && stage_count_ > 1; ++stage) {
      if (std::find(stages_.begin(), stages_.end(), stage) == stages_.end()) {
        return InvalidInput(Format("stage {} of {} has no operator; say which cells are in it",
                                   stage, stage_count_));
      }
    }
    return OkStatus();
  }

  Status UnknownPrefix(const std::string& prefix) const {
    NearNames near(prefix);
    std::string last;
    for (const Operator& op : graph_.operators()) {
      std::string cell = CellOf(op);
      if (cell != last) near.Consider(cell);
      last = std::move(cell);
    }
    return InvalidInput(Format("no cell and no parameter of the network begins with '{}'{}",
                               Printable(prefix), near.Hint("")));
  }

  const Graph& graph_;
  const std::vector<StageRule>& rules_;
  const int64_t stage_count_;
  std::vector<bool> is_used_;
  std::vector<int64_t> stages_;
};

}  // namespace

bool IsUnder(std::string_view name, std::string_view prefix) {
  if (prefix.ends_with('.')) prefix.remove_suffix(1);
  return name.starts_with(prefix) &&
         (name.size() == prefix.size() || prefix.empty() || name[prefix.size()] == '.');
}

Result<StageRule> ParseStageRule(std::string_view text) {
  const size_t equals = text.rfind('=');
  const auto stage =
      equals == std::string_view::npos ? std::nullopt : ParseDecimal(text.substr(equals + 1));
  if (!stage || equals == 0) {
    return InvalidInput(Format("'{}' is no PREFIX=STAGE, such as layer1=0", Printable(text)));
  }
  return StageRule{std::string(text.substr(0, equals)), *stage};
}

std::string CellOf(const Operator& op) {
  std::string cell;
  std::string_view rest = op.name;
  bool is_first = true;
  for (size_t slash = rest.find('/'); slash != std::string_view::npos; slash = rest.find('/')) {
    const std::string_view part = rest.substr(0, slash);
    rest.remove_prefix(slash + 1);
    // The first is the graph's kind ("Default"); a cell is NAME-Class.
    if (!is_first) {
      cell.append(cell.empty() ? "" : ".").append(part.substr(0, part.rfind('-')));
    }
    is_first = false;
  }
  return cell;
}

Result<std::vector<int64_t>> AssignStages(const Graph& graph, const std::vector<StageRule>& rules,
                                          int64_t stage_count) {
  return Assigner(graph, rules, stage_count).Run();
}

}  // namespace relayout
