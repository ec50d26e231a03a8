// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a MindIR: an error that names the file, or a graph that is whole: each operator
// comes after those that make its inputs, and each parameter is found by its name.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "relayout/base/check.h"
#include "relayout/graph/mindir.h"
#include "relayout/io/memory_file_system.h"

namespace relayout {
namespace {

void CheckOperator(const Graph& graph, OperatorId id) {
  for (const ValueId input : graph.op(id).inputs) {
    const Value& value = graph.value(input);
    RELAYOUT_CHECK(value.role != ValueRole::kResult || value.producer < id);
  }
  for (const ValueId output : graph.op(id).outputs) {
    RELAYOUT_CHECK(graph.value(output).producer == id);
  }
}

void TryMindir(std::string_view bytes) {
  MemoryFileSystem fs;
  RELAYOUT_CHECK(WriteWholeFile(fs, "net.mindir", bytes, false).ok());
  const Result<Graph> graph = ReadMindir(fs, "net.mindir");
  if (!graph.ok()) {
    RELAYOUT_CHECK(graph.status().message().starts_with("net.mindir: "));
    return;
  }
  for (size_t id = 0; id < graph->operators().size(); ++id) {
    CheckOperator(*graph, static_cast<OperatorId>(id));
  }
  for (const ValueId parameter : graph->parameters()) {
    RELAYOUT_CHECK(graph->FindParameter(graph->value(parameter).name) == parameter);
  }
  RELAYOUT_CHECK(!ToText(*graph).empty());
}

}  // namespace
}  // namespace relayout

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  relayout::TryMindir(std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
