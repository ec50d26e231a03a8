// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a MindSpore checkpoint: an error, or an index whose values lie in the file and
// survive being written and read again.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "relayout/format/checkpoint_file.h"
#include "relayout/format/mindspore/checkpoint.h"
#include "relayout/format/testing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace relayout;
  const MemoryFile file("fuzz.ckpt", std::string(reinterpret_cast<const char*>(data), size));
  const auto index = ReadFileIndex(file);
  if (!index.ok()) {
    RELAYOUT_CHECK(index.status().message().starts_with("fuzz.ckpt: "));
    return 0;
  }
  RELAYOUT_CHECK(!index->values.empty());
  testing_support::CheckIndex(*index, file.size_bytes());

  std::vector<StoredValue> values;
  for (const StoredValue& value : index->values) {
    if (value.kind != ValueKind::kMapTensor) values.push_back(value);
  }
  const auto image = LayOutMindSporeCheckpoint(values, 5);
  RELAYOUT_CHECK(image.ok());
  if (values.empty()) return 0;
  const auto again = ReadFileIndex(MemoryFile("again.ckpt", testing_support::Fill(*image)));
  RELAYOUT_CHECK(again.ok() && again->values.size() == values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    RELAYOUT_CHECK(testing_support::TypeText(again->values[i]) ==
                   testing_support::TypeText(values[i]));
    RELAYOUT_CHECK(Equal(again->values[i].extents, image->extents[i]));
  }
  return 0;
}
