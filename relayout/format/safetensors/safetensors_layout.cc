// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <numeric>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "relayout/base/checked_math.h"
#include "relayout/base/json_writer.h"
#include "relayout/base/text.h"
#include "relayout/format/safetensors/safetensors.h"
#include "relayout/format/safetensors/safetensors_types.h"
#include "relayout/format/value_name.h"

namespace relayout {
namespace {

Status CheckHolds(const ValueView& value) {
  RELAYOUT_RETURN_IF_ERROR(CheckName(value.name));
  if (value.name == safetensors::kMetadataKey) {
    return Unsupported("the name is reserved in safetensors files");
  }
  if (value.kind == ValueKind::kString) {
    return Unsupported("safetensors files cannot hold text; write .ckpt instead");
  }
  if (value.kind == ValueKind::kMapTensor) {
    return Unsupported("a map tensor (hash table) cannot be written");
  }
  if (!safetensors::TypeNameOf(value.dtype)) {
    return Unsupported(Format("safetensors files cannot hold the type {}; write .ckpt instead",
                              ShortName(value.dtype)));
  }
  const auto count = ElementCount(value.shape);
  if (count && CheckedMul(*count, ElementSize(value.dtype))) return OkStatus();
  return InvalidInput(Format("{} is not a possible shape", ToText(value.shape)));
}

Status CheckAllHold(std::span<const ValueView> values) {
  std::unordered_set<std::string_view> names;
  for (const ValueView& value : values) {
    RELAYOUT_RETURN_IF_ERROR(CheckHolds(value).WithContext(Printable(value.name)));
    if (!names.insert(value.name).second) {
      return InvalidInput(Format("{}: a second value of this name", Printable(value.name)));
    }
  }
  return OkStatus();
}

// The order of the library: large types first, so that all data is aligned, then by name.
std::vector<size_t> FileOrder(std::span<const ValueView> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const int rank_a = safetensors::SortRank(values[a].dtype);
    const int rank_b = safetensors::SortRank(values[b].dtype);
    return rank_a != rank_b ? rank_a > rank_b : values[a].name < values[b].name;
  });
  return order;
}

// The library's own metadata order is random when there is Int4; ours is sorted.
Status WriteMetadata(JsonWriter& json, std::span<const ValueView> values,
                     const FileMetadata& given) {
  std::map<std::string_view, std::string_view> metadata = {
      {safetensors::kFormatKey, safetensors::kFormatValue}};
  metadata.insert(given.begin(), given.end());
  for (const ValueView& value : values) {
    if (value.dtype != DType::kInt4) continue;
    if (!metadata.emplace(value.name, safetensors::kInt4).second) {
      return Unsupported(Format("{}: an Int4 tensor of this name collides with the metadata",
                                Printable(value.name)));
    }
  }
  json.Key(safetensors::kMetadataKey).BeginObject();
  for (const auto& [key, text] : metadata) json.Key(key).String(text);
  json.EndObject();
  return OkStatus();
}

std::string LengthAndHeader(std::string json) {
  json.resize((json.size() + 7) / 8 * 8, ' ');
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(json.size() >> (8 * i) & 0xFF);
  return bytes + json;
}

}  // namespace

Result<FileImage> LayOutSafetensors(std::span<const StoredValue> values) {
  FileImage image;
  RELAYOUT_ASSIGN_OR_RETURN(
      image.size_bytes,
      LayOutSafetensors(
          values.size(), [values](size_t i) { return ValueView(values[i]); }, image));
  return image;
}

Result<int64_t> LayOutSafetensors(size_t count, const std::function<ValueView(size_t)>& value_at,
                                  LayoutSink& sink, const FileMetadata& metadata) {
  std::vector<ValueView> values;
  values.reserve(count);
  for (size_t i = 0; i < count; ++i) values.push_back(value_at(i));
  RELAYOUT_RETURN_IF_ERROR(CheckAllHold(values));
  std::vector<Extent> places(values.size());  // In the data.
  JsonWriter json;
  json.BeginObject();
  RELAYOUT_RETURN_IF_ERROR(WriteMetadata(json, values, metadata));
  int64_t position = 0;
  for (const size_t i : FileOrder(values)) {
    const ValueView& value = values[i];
    const auto end = CheckedAdd(position, SizeBytes(value));
    if (!end) return InvalidInput("the file would have more than 2^63 bytes");
    json.Key(value.name).BeginObject().Key("dtype").String(*safetensors::TypeNameOf(value.dtype));
    json.Key("shape").Array(value.shape);
    json.Key("data_offsets").Array({position, *end}).EndObject();
    places[i] = {position, *end - position};
    position = *end;
  }
  json.EndObject();

  const std::string header = LengthAndHeader(json.text());
  const int64_t data_begin = std::ssize(header);
  const auto size = CheckedAdd(data_begin, position);
  if (!size) return InvalidInput("the file would have more than 2^63 bytes");
  RELAYOUT_RETURN_IF_ERROR(sink.AddHeader(0, header));
  for (Extent& place : places) {
    place.offset_bytes += data_begin;
    sink.AddExtents(std::span(&place, place.size_bytes > 0 ? 1 : 0));
  }
  return *size;
}

}  // namespace relayout
