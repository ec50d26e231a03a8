// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/explain.h"

#include "relayout/base/text.h"

namespace relayout {

std::string ExplainStrategy(const InferredStrategy& inferred) {
  std::string text;
  const Graph& graph = inferred.graph;
  for (size_t id = 0; id < graph.operators().size(); ++id) {
    const Operator& op = graph.operators()[id];
    text += Format("stage {}  {:<40} {}  {}\n", inferred.stage_of[id], ToText(inferred.cuts[id]),
                   op.cuts ? "annotated" : "default", Describe(op));
  }
  return text;
}

}  // namespace relayout
