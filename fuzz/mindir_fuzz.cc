// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a MindIR: an error that names the file, or a graph that is whole: each operator
// comes after those that make its inputs, each parameter is found by its name, and only constants
// hold values. Values of parameters are read, or refused.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/check.h"
#include "relayout/graph/mindir.h"
#include "relayout/graph/mindir_parameters.h"
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

void TryParameters(FileSystem& fs, int64_t file_bytes) {
  const Result<MindirParameters> weights = MindirParameters::Open(fs, "net.mindir");
  if (!weights.ok()) return;
  for (const MindirParameter& parameter : weights->parameters()) {
    if (parameter.size_bytes() > file_bytes) continue;  // Refused, or elsewhere.
    std::vector<std::byte> bytes(static_cast<size_t>(parameter.size_bytes()));
    const Status status = weights->Read(parameter, bytes);
    RELAYOUT_CHECK(status.ok() || !parameter.place.file.empty());
  }
}

void TryMindir(std::string_view bytes) {
  MemoryFileSystem fs;
  RELAYOUT_CHECK(WriteWholeFile(fs, "net.mindir", bytes, false).ok());
  TryParameters(fs, std::ssize(bytes));
  const Result<Graph> graph = ReadMindir(fs, "net.mindir", {.constants = true});
  if (!graph.ok()) {
    RELAYOUT_CHECK(graph.status().message().starts_with("net.mindir: "));
    return;
  }
  for (size_t id = 0; id < graph->operators().size(); ++id) {
    CheckOperator(*graph, static_cast<OperatorId>(id));
  }
  for (const Value& value : graph->values()) {
    RELAYOUT_CHECK(value.bytes == nullptr || value.role == ValueRole::kConstant);
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
