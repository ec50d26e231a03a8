// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/parameter_layouts.h"

#include <algorithm>
#include <optional>

#include "relayout/base/text.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

class Users {
 public:
  Users(const Graph& graph, const std::vector<OperatorLayout>& layouts,
        const std::vector<int64_t>& group_of)
      : graph_(graph), layouts_(layouts), group_of_(group_of), uses_(graph.Uses()) {}

  const Layout& LayoutOf(const Graph::Use& use) const {
    return layouts_[static_cast<size_t>(use.user)].inputs[static_cast<size_t>(use.input)];
  }

  // Of each group the user whose layout the parameter takes.
  Result<std::vector<Graph::Use>> Deciding(ValueId parameter) const {
    std::vector<Graph::Use> firsts;
    for (const Graph::Use& use : uses_[static_cast<size_t>(parameter)]) {
      if (IsCast(use)) continue;
      const auto first = std::find_if(firsts.begin(), firsts.end(), [&](const Graph::Use& other) {
        return GroupOf(other) == GroupOf(use);
      });
      if (first == firsts.end()) {
        firsts.push_back(use);
      } else if (!HoldSameShards(LayoutOf(*first), LayoutOf(use))) {
        return Disagreement(parameter, *first, use);
      }
    }
    const auto behind_cast = firsts.empty() ? BehindCast(parameter) : std::nullopt;
    if (behind_cast) firsts.push_back(*behind_cast);
    return firsts;
  }

 private:
  bool IsCast(const Graph::Use& use) const { return graph_.op(use.user).type == "Cast"; }
  int64_t GroupOf(const Graph::Use& use) const { return group_of_[static_cast<size_t>(use.user)]; }

  // MindSpore takes the first Cast, and of its users the last.
  std::optional<Graph::Use> BehindCast(ValueId value) const {
    while (true) {
      const std::vector<Graph::Use>& uses = uses_[static_cast<size_t>(value)];
      if (uses.empty()) return std::nullopt;
      if (!IsCast(uses.back())) return uses.back();
      value = graph_.op(uses.front().user).outputs[0];
    }
  }

  Status Disagreement(ValueId parameter, const Graph::Use& a, const Graph::Use& b) const {
    return InvalidInput(Format(
        "{} would lie as {} for {} and as {} for {}; a parameter has one layout, so annotate "
        "both alike",
        Describe(graph_, parameter), ToText(LayoutOf(a)), Describe(graph_.op(a.user)),
        ToText(LayoutOf(b)), Describe(graph_.op(b.user))));
  }

  const Graph& graph_;
  const std::vector<OperatorLayout>& layouts_;
  const std::vector<int64_t>& group_of_;
  std::vector<std::vector<Graph::Use>> uses_;
};

}  // namespace

Result<std::vector<LaidParameter>> LayOutParameters(const Graph& graph,
                                                    const std::vector<OperatorLayout>& layouts,
                                                    const std::vector<int64_t>& group_of) {
  const Users users(graph, layouts, group_of);
  std::vector<LaidParameter> laid;
  for (const ValueId parameter : graph.parameters()) {
    RELAYOUT_ASSIGN_OR_RETURN(const std::vector<Graph::Use> deciding, users.Deciding(parameter));
    for (const Graph::Use& user : deciding) {
      laid.push_back({parameter, user, users.LayoutOf(user)});
    }
  }
  return laid;
}

}  // namespace relayout
