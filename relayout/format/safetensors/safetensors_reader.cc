// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "relayout/base/checked_math.h"
#include "relayout/base/text.h"
#include "relayout/format/json_reader.h"
#include "relayout/format/safetensors/safetensors.h"
#include "relayout/format/safetensors/safetensors_types.h"
#include "relayout/format/value_name.h"

namespace relayout {
namespace {

constexpr int64_t kLengthBytes = 8;
constexpr int64_t kMaxHeaderBytes = 100'000'000;
constexpr int64_t kMaxInt64 = std::numeric_limits<int64_t>::max();

// The length that the first eight bytes claim, if the file can hold it.
Result<int64_t> ReadHeaderSize(const ReadableFile& file) {
  const int64_t size = file.size_bytes();
  if (size == 0) return InvalidInput("the file is empty");
  if (size < kLengthBytes) {
    return InvalidInput(
        Format("truncated: expected the 8-byte length of a safetensors header at byte 0, the file "
               "ends at {}",
               size));
  }
  std::array<std::byte, kLengthBytes + 1> start{};
  const auto start_bytes = static_cast<size_t>(std::min(size, kLengthBytes + 1));
  RELAYOUT_RETURN_IF_ERROR(file.ReadAt(0, std::span(start).first(start_bytes)));
  uint64_t claimed = 0;
  for (size_t i = kLengthBytes; i-- > 0;) claimed = claimed << 8 | static_cast<uint8_t>(start[i]);
  if (claimed > kMaxHeaderBytes) {
    return InvalidInput(
        Format("expected the length of a safetensors header at byte 0, found {}; at most {} are "
               "accepted{}",
               claimed, kMaxHeaderBytes,
               start[0] == std::byte{0x0A}
                   ? "; this may be a MindSpore checkpoint: rename it to end in .ckpt"
                   : ""));
  }
  const auto header_bytes = static_cast<int64_t>(claimed);
  if (header_bytes > size - kLengthBytes) {
    return InvalidInput(Format(
        "truncated: the header at byte 8 needs {} bytes, the file ends at {}", header_bytes, size));
  }
  if (header_bytes == 0 || start[kLengthBytes] != std::byte{'{'}) {
    return InvalidInput("expected a safetensors header, which begins with {, at byte 8");
  }
  return header_bytes;
}

Status ParseMetadata(JsonValue value, FileIndex& index) {
  RELAYOUT_ASSIGN_OR_RETURN(const JsonObject object,
                            JsonObject::Create(value, safetensors::kMetadataKey));
  for (const auto& [key, entry] : object.fields()) {
    RELAYOUT_ASSIGN_OR_RETURN(const std::string_view text,
                              JsonString(entry, Format("__metadata__ {}", key)));
    index.metadata.emplace(key, text);
  }
  return OkStatus();
}

// One tensor; its extent counts from the start of the data.
Result<StoredValue> ParseTensor(JsonValue value, bool is_int4) {
  RELAYOUT_ASSIGN_OR_RETURN(const JsonObject object, JsonObject::Create(value, "the tensor"));
  StoredValue tensor;
  RELAYOUT_ASSIGN_OR_RETURN(const JsonValue dtype_value, object.Require("dtype"));
  RELAYOUT_ASSIGN_OR_RETURN(const std::string_view type_name, JsonString(dtype_value, "dtype"));
  const auto dtype = safetensors::DTypeOfTypeName(type_name);
  if (!dtype) return Unsupported(Format("its dtype {} is not known", Printable(type_name)));
  tensor.dtype = is_int4 && *dtype == DType::kInt8 ? DType::kInt4 : *dtype;

  RELAYOUT_ASSIGN_OR_RETURN(const JsonValue shape, object.Require("shape"));
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<int64_t> dims,
                            JsonIntegers(shape, "shape", 0, kMaxInt64, kMaxDims));
  for (const int64_t dim : dims) tensor.shape.push_back(dim);

  RELAYOUT_ASSIGN_OR_RETURN(const JsonValue offsets_value, object.Require("data_offsets"));
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<int64_t> offsets,
                            JsonIntegers(offsets_value, "data_offsets", 0, kMaxInt64, 2));
  if (offsets.size() != 2 || offsets[0] > offsets[1]) {
    return InvalidInput("data_offsets: expected a begin and an end not before it");
  }
  for (const auto& [key, entry] : object.fields()) {
    if (key != "dtype" && key != "shape" && key != "data_offsets") {
      return InvalidInput(Format("the key {} is not known", Printable(key)));
    }
  }
  const auto count = ElementCount(tensor.shape);
  const auto want = count ? CheckedMul(*count, ElementSize(tensor.dtype)) : std::nullopt;
  if (!want) {
    return InvalidInput(Format("{}{} has more than 2^63 bytes", type_name, ToText(tensor.shape)));
  }
  const int64_t has = offsets[1] - offsets[0];
  if (*want != has) {
    return InvalidInput(Format("{}{} needs {} bytes, its data_offsets hold {}", type_name,
                               ToText(tensor.shape), *want, has));
  }
  tensor.extents = {{offsets[0], has}};
  return tensor;
}

Status ParseTensors(const JsonObject& root, FileIndex& index) {
  for (const auto& [key, entry] : root.fields()) {
    if (key == safetensors::kMetadataKey) continue;
    RELAYOUT_RETURN_IF_ERROR(CheckName(key));
    const auto note = index.metadata.find(std::string(key));
    const bool is_int4 = note != index.metadata.end() && note->second == safetensors::kInt4;
    auto tensor = ParseTensor(entry, is_int4);
    if (!tensor.ok()) return tensor.status().WithContext(Printable(key));
    tensor->name = std::string(key);
    index.values.push_back(*std::move(tensor));
  }
  return OkStatus();
}

// Sorts the values by their data, holds that they tile it, and turns their extents into places in
// the file.
Status PlaceInFile(int64_t data_begin, int64_t file_bytes, FileIndex& index) {
  const auto begin_end = [](const StoredValue& value) {
    const Extent& extent = value.extents[0];
    return std::pair(extent.offset_bytes, extent.offset_bytes + extent.size_bytes);
  };
  std::stable_sort(
      index.values.begin(), index.values.end(),
      [&](const StoredValue& a, const StoredValue& b) { return begin_end(a) < begin_end(b); });
  const int64_t data_bytes = file_bytes - data_begin;
  int64_t position = 0;
  for (StoredValue& value : index.values) {
    const auto [begin, end] = begin_end(value);
    if (begin != position) {
      return InvalidInput(
          Format("{}: its data begins at {}, {} the data before it, which ends at {}",
                 Printable(value.name), begin, begin < position ? "inside" : "with a gap after",
                 position));
    }
    if (end > data_bytes) {
      return InvalidInput(
          Format("{}: truncated: its data at byte {} needs {} bytes, the file ends at {}",
                 Printable(value.name), data_begin + begin, end - begin, file_bytes));
    }
    position = end;
    value.extents[0].offset_bytes += data_begin;
    if (begin == end) value.extents.clear();
  }
  if (position == data_bytes) return OkStatus();
  return InvalidInput(
      Format("the tensors end at byte {}, the file at {}", data_begin + position, file_bytes));
}

Result<FileIndex> ReadIndex(const ReadableFile& file) {
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t header_bytes, ReadHeaderSize(file));
  RELAYOUT_ASSIGN_OR_RETURN(const JsonDocument json,
                            JsonDocument::Read(file, kLengthBytes, header_bytes));
  RELAYOUT_ASSIGN_OR_RETURN(const JsonObject root, JsonObject::Create(json.root(), "the header"));
  if (root.fields().size() > kMaxNames) {
    return InvalidInput(Format("more than {} tensors", kMaxNames));
  }
  FileIndex index;
  index.format = FileFormat::kSafetensors;
  if (const auto metadata = root.Find(safetensors::kMetadataKey)) {
    RELAYOUT_RETURN_IF_ERROR(ParseMetadata(*metadata, index));
  }
  RELAYOUT_RETURN_IF_ERROR(ParseTensors(root, index));
  RELAYOUT_RETURN_IF_ERROR(PlaceInFile(kLengthBytes + header_bytes, file.size_bytes(), index));
  return index;
}

}  // namespace

Result<FileIndex> ReadSafetensorsIndex(const ReadableFile& file, ValueSink& sink) {
  Result<FileIndex> index = ReadIndex(file);
  if (!index.ok()) return index.status().WithContext(file.path());
  for (const StoredValue& value : index->values) {
    RELAYOUT_CHECK(sink.Add(value));  // Keys of a JSON object are distinct.
  }
  index->values = {};
  return index;
}

}  // namespace relayout
