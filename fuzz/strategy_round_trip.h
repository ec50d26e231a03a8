// SPDX-License-Identifier: Apache-2.0
//
// What holds for every strategy file that is read without error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "relayout/base/check.h"
#include "relayout/format/strategy_file.h"
#include "relayout/io/memory_file_system.h"

namespace relayout {

inline Result<StrategyFile> ReadStrategyBytes(const std::string& name, std::string_view bytes) {
  MemoryFileSystem fs;
  RELAYOUT_CHECK(WriteWholeFile(fs, name, bytes, false).ok());
  return ReadStrategyFile(fs, name);
}

inline void CheckSame(const StrategyFile& a, const StrategyFile& b, bool with_shapes) {
  RELAYOUT_CHECK(a.merged == b.merged && a.current_stage == b.current_stage);
  RELAYOUT_CHECK(a.operators.size() == b.operators.size());
  for (size_t i = 0; i < a.operators.size(); ++i) {
    RELAYOUT_CHECK(a.operators[i].stage == b.operators[i].stage);
    RELAYOUT_CHECK(a.operators[i].strategy == b.operators[i].strategy);
  }
  RELAYOUT_CHECK(a.stages.size() == b.stages.size());
  for (size_t s = 0; s < a.stages.size(); ++s) {
    RELAYOUT_CHECK(a.stages[s].stage == b.stages[s].stage);
    const auto& left = a.stages[s].layouts.parameters;
    const auto& right = b.stages[s].layouts.parameters;
    RELAYOUT_CHECK(left.size() == right.size());
    for (size_t i = 0; i < left.size(); ++i) {
      RELAYOUT_CHECK(left[i].name == right[i].name && left[i].layout == right[i].layout);
      RELAYOUT_CHECK(!with_shapes || left[i].whole_shape == right[i].whole_shape);
    }
  }
}

inline void TryStrategy(const std::string& name, std::string_view bytes) {
  const auto file = ReadStrategyBytes(name, bytes);
  if (!file.ok()) {
    RELAYOUT_CHECK(file.status().message().starts_with(name));
    return;
  }
  RELAYOUT_CHECK(!file->stages.empty());
  const std::string protobuf = SerializeStrategyProtobuf(*file);
  const auto from_protobuf = ReadStrategyBytes("again.ckpt", protobuf);
  RELAYOUT_CHECK(from_protobuf.ok());
  CheckSame(*file, *from_protobuf, false);
  RELAYOUT_CHECK(SerializeStrategyProtobuf(*from_protobuf) == protobuf);
  const auto from_json = ReadStrategyBytes("again.json", SerializeStrategyJson(*file));
  RELAYOUT_CHECK(from_json.ok());
  CheckSame(*file, *from_json, true);
}

}  // namespace relayout
