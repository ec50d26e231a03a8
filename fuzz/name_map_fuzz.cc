// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the JSON texts beside checkpoints: a map of names (param_name_map.json) or the
// record of the last save (meta.json). An error that names the file, or entries that keep what
// their readers promise.
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "relayout/base/check.h"
#include "relayout/format/mindspore/last_save.h"
#include "relayout/format/safetensors/name_map.h"
#include "relayout/format/value_name.h"
#include "relayout/io/memory_file_system.h"

namespace relayout {
namespace {

void TryNameMap(MemoryFileSystem& fs) {
  const auto map = ReadNameMap(fs, "beside.json");
  if (!map.ok()) {
    RELAYOUT_CHECK(map.status().message().starts_with("beside.json"));
    return;
  }
  std::set<std::string> names;
  for (const NameMapEntry& entry : *map) {
    RELAYOUT_CHECK(CheckName(entry.name).ok() && names.insert(entry.name).second);
    RELAYOUT_CHECK(entry.file.find('/') == std::string::npos);
    RELAYOUT_CHECK(entry.file.ends_with(".safetensors"));
  }
}

void TryLastSave(MemoryFileSystem& fs) {
  const auto save = ReadLastSave(fs, "beside.json");
  if (!save.ok()) {
    RELAYOUT_CHECK(save.status().message().starts_with("beside.json"));
    return;
  }
  RELAYOUT_CHECK(save->epoch >= 0 && save->step >= 0);
}

}  // namespace
}  // namespace relayout

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  relayout::MemoryFileSystem fs;
  fs.SetFile("beside.json", std::string_view(reinterpret_cast<const char*>(data), size));
  relayout::TryNameMap(fs);
  relayout::TryLastSave(fs);
  return 0;
}
