// SPDX-License-Identifier: Apache-2.0
#include "relayout/format/mindspore/last_save.h"

#include <limits>

#include "relayout/base/text.h"
#include "relayout/format/json_reader.h"

namespace relayout {
namespace {

constexpr int64_t kMaxBytes = int64_t{64} << 10;

Result<LastSave> Parse(const ReadableFile& file) {
  RELAYOUT_ASSIGN_OR_RETURN(const JsonDocument json,
                            JsonDocument::Read(file, 0, file.size_bytes()));
  RELAYOUT_ASSIGN_OR_RETURN(const JsonObject root, JsonObject::Create(json.root(), "the file"));
  const auto integer = [&](std::string_view key) -> Result<int64_t> {
    RELAYOUT_ASSIGN_OR_RETURN(const JsonValue value, root.Require(key));
    return JsonInteger(value, key, 0, std::numeric_limits<int64_t>::max());
  };
  LastSave save;
  RELAYOUT_ASSIGN_OR_RETURN(save.epoch, integer("last_epoch"));
  RELAYOUT_ASSIGN_OR_RETURN(save.step, integer("last_step"));
  RELAYOUT_ASSIGN_OR_RETURN(const JsonValue name, root.Require("last_ckpt_file"));
  RELAYOUT_ASSIGN_OR_RETURN(save.file, JsonString(name, "last_ckpt_file"));
  return save;
}

}  // namespace

Result<LastSave> ReadLastSave(FileSystem& fs, const std::string& path) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto file, fs.OpenForRead(path));
  if (file->size_bytes() > kMaxBytes) {
    return InvalidInput(Format("{}: too large for a record of the last save", path));
  }
  auto save = Parse(*file);
  if (!save.ok()) return save.status().WithContext(path);
  return save;
}

}  // namespace relayout
