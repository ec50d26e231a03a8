// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a group file: an error that names the file, or groups that survive being written and
// read again.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "relayout/base/check.h"
#include "relayout/format/mindspore/group_file.h"
#include "relayout/io/memory_file_system.h"

namespace relayout {
namespace {

Result<GroupFile> ReadBytes(std::string_view bytes) {
  MemoryFileSystem fs;
  RELAYOUT_CHECK(WriteWholeFile(fs, "group.pb", bytes, false).ok());
  return ReadGroupFile(fs, "group.pb");
}

void TryGroupFile(std::string_view bytes) {
  const auto file = ReadBytes(bytes);
  if (!file.ok()) {
    RELAYOUT_CHECK(file.status().message().starts_with("group.pb"));
    return;
  }
  const auto again = ReadBytes(SerializeGroupFile(*file));
  RELAYOUT_CHECK(again.ok() && *again == *file);
}

}  // namespace
}  // namespace relayout

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  relayout::TryGroupFile(std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
