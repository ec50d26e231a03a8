// SPDX-License-Identifier: Apache-2.0
#include "relayout/format/safetensors/name_map.h"

#include "relayout/base/text.h"
#include "relayout/format/checkpoint_file.h"
#include "relayout/format/json_reader.h"
#include "relayout/format/value_name.h"

namespace relayout {
namespace {

constexpr int64_t kMaxBytes = int64_t{256} << 20;

Result<std::vector<NameMapEntry>> Parse(const ReadableFile& file) {
  RELAYOUT_ASSIGN_OR_RETURN(const JsonDocument json,
                            JsonDocument::Read(file, 0, file.size_bytes()));
  RELAYOUT_ASSIGN_OR_RETURN(JsonObject map, JsonObject::Create(json.root(), "the file"));
  if (const auto weight_map = map.Find("weight_map")) {
    RELAYOUT_ASSIGN_OR_RETURN(map, JsonObject::Create(*weight_map, "weight_map"));
  }
  if (map.fields().size() > kMaxNames) {
    return InvalidInput(Format("names more than {} tensors", kMaxNames));
  }
  std::vector<NameMapEntry> entries;
  entries.reserve(map.fields().size());
  for (const auto& [name, value] : map.fields()) {
    RELAYOUT_RETURN_IF_ERROR(CheckName(name));
    RELAYOUT_ASSIGN_OR_RETURN(const std::string_view holder, JsonString(value, name));
    const bool is_plain = holder.find('/') == std::string_view::npos &&
                          FormatOfName(holder) == FileFormat::kSafetensors;
    if (!is_plain) {
      return InvalidInput(Format("{}: {} is no .safetensors file beside the map", Printable(name),
                                 Printable(holder)));
    }
    entries.push_back({.name = std::string(name), .file = std::string(holder)});
  }
  return entries;
}

}  // namespace

Result<std::vector<NameMapEntry>> ReadNameMap(FileSystem& fs, const std::string& path) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto file, fs.OpenForRead(path));
  if (file->size_bytes() > kMaxBytes) {
    return InvalidInput(
        Format("{}: has {}, more than any map of names", path, HumanBytes(file->size_bytes())));
  }
  auto entries = Parse(*file);
  if (!entries.ok()) return entries.status().WithContext(path);
  return entries;
}

}  // namespace relayout
