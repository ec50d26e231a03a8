// SPDX-License-Identifier: Apache-2.0
#include "relayout/format/checkpoint_file.h"

#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/format/mindspore/checkpoint.h"
#include "relayout/format/safetensors/safetensors.h"

namespace relayout {

std::optional<FileFormat> FormatOfName(std::string_view file_name) {
  for (const FileFormat format : {FileFormat::kMindSporeCheckpoint, FileFormat::kSafetensors}) {
    if (file_name.ends_with(Extension(format))) return format;
  }
  return std::nullopt;
}

namespace {

class ValueCollector : public ValueSink {
 public:
  bool Add(const StoredValue& value) override {
    if (!names_.insert(value.name).second) return false;
    values_.push_back(value);
    return true;
  }
  std::vector<StoredValue> Take() { return std::move(values_); }

 private:
  std::vector<StoredValue> values_;
  std::unordered_set<std::string> names_;
};

}  // namespace

Result<FileIndex> ReadFileIndex(const ReadableFile& file) {
  ValueCollector values;
  RELAYOUT_ASSIGN_OR_RETURN(FileIndex index, ReadFileIndex(file, values));
  index.values = values.Take();
  return index;
}

Result<FileIndex> ReadFileIndex(const ReadableFile& file, ValueSink& sink) {
  const auto format = FormatOfName(file.path());
  if (!format) {
    return InvalidInput(
        Format("{}: a checkpoint's name ends in .ckpt or .safetensors", file.path()));
  }
  return *format == FileFormat::kMindSporeCheckpoint ? ReadMindSporeCheckpointIndex(file, sink)
                                                     : ReadSafetensorsIndex(file, sink);
}

Result<FileImage> LayOutFile(FileFormat format, std::span<const StoredValue> values) {
  return format == FileFormat::kMindSporeCheckpoint ? LayOutMindSporeCheckpoint(values)
                                                    : LayOutSafetensors(values);
}

Result<int64_t> LayOutFile(FileFormat format, size_t count,
                           const std::function<ValueView(size_t)>& value_at, LayoutSink& sink,
                           const FileMetadata& metadata) {
  return format == FileFormat::kMindSporeCheckpoint
             ? LayOutMindSporeCheckpoint(count, value_at, sink)
             : LayOutSafetensors(count, value_at, sink, metadata);
}

}  // namespace relayout
