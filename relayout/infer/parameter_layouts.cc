// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/parameter_layouts.h"

#include <optional>

#include "relayout/base/text.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

class Users {
 public:
  Users(const Graph& graph, const std::vector<OperatorLayout>& layouts)
      : graph_(graph), layouts_(layouts), uses_(graph.Uses()) {}

  const Layout& LayoutOf(const Graph::Use& use) const {
    return layouts_[static_cast<size_t>(use.user)].inputs[static_cast<size_t>(use.input)];
  }

  // The user whose layout the parameter takes; nothing when there is none.
  Result<std::optional<Graph::Use>> Deciding(ValueId parameter) const {
    std::optional<Graph::Use> first;
    for (const Graph::Use& use : uses_[static_cast<size_t>(parameter)]) {
      if (IsCast(use)) continue;
      if (!first) first = use;
      if (!HoldSameShards(LayoutOf(*first), LayoutOf(use))) {
        return Disagreement(parameter, *first, use);
      }
    }
    return first ? first : BehindCast(parameter);
  }

 private:
  bool IsCast(const Graph::Use& use) const { return graph_.op(use.user).type == "Cast"; }

  // MindSpore takes the first Cast, and of its users the last.
  std::optional<Graph::Use> BehindCast(ValueId value) const {
    while (true) {
      const std::vector<Graph::Use>& uses = uses_[static_cast<size_t>(value)];
      if (uses.empty()) return std::nullopt;
      const bool all_cast = IsCast(uses.back());
      if (!all_cast) return uses.back();
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
  std::vector<std::vector<Graph::Use>> uses_;
};

}  // namespace

Result<std::vector<LaidParameter>> LayOutParameters(const Graph& graph,
                                                    const std::vector<OperatorLayout>& layouts) {
  const Users users(graph, layouts);
  std::vector<LaidParameter> laid;
  for (const ValueId parameter : graph.parameters()) {
    RELAYOUT_ASSIGN_OR_RETURN(const std::optional<Graph::Use> user, users.Deciding(parameter));
    if (user) laid.push_back({parameter, *user, users.LayoutOf(*user)});
  }
  return laid;
}

}  // namespace relayout
