// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a safetensors file: an error, or an index whose values tile the data and survive
// being written and read again. Raw text is tried too, with the length it needs.
#include <cstddef>
#include <cstdint>
#include <string>

#include "relayout/format/checkpoint_file.h"
#include "relayout/format/safetensors/safetensors.h"
#include "relayout/format/testing.h"

namespace relayout {
namespace {

void Try(std::string bytes) {
  const MemoryFile file("fuzz.safetensors", std::move(bytes));
  const auto index = ReadFileIndex(file);
  if (!index.ok()) {
    RELAYOUT_CHECK(index.status().message().starts_with("fuzz.safetensors: "));
    return;
  }
  testing_support::CheckIndex(*index, file.size_bytes());
  const auto image = LayOutSafetensors(index->values);
  if (!image.ok()) {  // Only for the name that our metadata needs.
    RELAYOUT_CHECK(image.status().code() == StatusCode::kUnsupported);
    return;
  }
  const auto again = ReadFileIndex(MemoryFile("again.safetensors", testing_support::Fill(*image)));
  RELAYOUT_CHECK(again.ok() && again->values.size() == index->values.size());
  for (size_t i = 0; i < image->extents.size(); ++i) {
    RELAYOUT_CHECK(TotalBytes(image->extents[i]) == TotalBytes(index->values[i].extents));
  }
}

}  // namespace
}  // namespace relayout

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  relayout::Try(bytes);
  std::string length;
  for (int i = 0; i < 8; ++i) length += static_cast<char>(size >> (8 * i) & 0xFF);
  relayout::Try(length + bytes);
  return 0;
}
