// SPDX-License-Identifier: Apache-2.0
#include "relayout/format/checkpoint_file.h"

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

Result<FileIndex> ReadFileIndex(const ReadableFile& file) {
  const auto format = FormatOfName(file.path());
  if (!format) {
    return InvalidInput(
        Format("{}: a checkpoint's name ends in .ckpt or .safetensors", file.path()));
  }
  return *format == FileFormat::kMindSporeCheckpoint ? ReadMindSporeCheckpointIndex(file)
                                                     : ReadSafetensorsIndex(file);
}

Result<FileImage> LayOutFile(FileFormat format, std::span<const StoredValue> values) {
  return format == FileFormat::kMindSporeCheckpoint ? LayOutMindSporeCheckpoint(values)
                                                    : LayOutSafetensors(values);
}

}  // namespace relayout
