// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/load_checkpoint.h"

#include <algorithm>
#include <memory>
#include <span>
#include <utility>

#include "relayout/base/text.h"
#include "relayout/format/checkpoint_file.h"
#include "relayout/format/mindspore/crc_trailer.h"

namespace relayout {
namespace {

bool BeginsWithOneOf(std::string_view name, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& prefix) { return name.starts_with(prefix); });
}

bool IsChosen(std::string_view name, const LoadCheckpointOptions& options) {
  if (options.specify_prefix.empty() && options.filter_prefix.empty()) {
    return !options.choice_func || options.choice_func(name);
  }
  if (BeginsWithOneOf(name, options.filter_prefix)) return false;
  return options.specify_prefix.empty() || BeginsWithOneOf(name, options.specify_prefix);
}

Status CheckPrefixes(const LoadCheckpointOptions& options) {
  for (const auto* prefixes : {&options.specify_prefix, &options.filter_prefix}) {
    if (std::find(prefixes->begin(), prefixes->end(), "") != prefixes->end()) {
      return InvalidInput(
          "an empty prefix, with which every name begins; leave specify_prefix or filter_prefix "
          "out");
    }
  }
  return OkStatus();
}

Status CheckTrailer(const ReadableFile& file, const FileIndex& index) {
  if (!index.crc32) return OkStatus();
  RELAYOUT_ASSIGN_OR_RETURN(const uint32_t crc, CrcOfFile(file, index.crc_covers_bytes));
  if (crc == *index.crc32) return OkStatus();
  return InvalidInput(
      Format("the file is damaged: its bytes have the CRC-32 {:08x}, and it was saved with {:08x}",
             crc, *index.crc32));
}

Result<CheckpointValue> ReadValue(const ReadableFile& file, const StoredValue& stored) {
  if (stored.kind == ValueKind::kMapTensor) {
    return Unsupported(
        Format("{}: a hash table (MapTensor) cannot be loaded; leave it out with "
               "choice_func or filter_prefix",
               Printable(stored.name)));
  }
  CheckpointValue value{stored.name, stored.kind, stored.dtype, stored.shape, {}};
  value.bytes.resize(static_cast<size_t>(SizeBytes(stored)));
  std::span<std::byte> rest = value.bytes;
  for (const Extent& extent : stored.extents) {
    const auto size = static_cast<size_t>(extent.size_bytes);
    RELAYOUT_RETURN_IF_ERROR(file.ReadAt(extent.offset_bytes, rest.first(size)));
    rest = rest.subspan(size);
  }
  return value;
}

// @pre there are values, or options choose none of them
Status NothingChosen(const FileIndex& index) {
  if (index.values.empty()) return InvalidInput("the file holds no values");
  return InvalidInput(
      Format("none of its {} is chosen by specify_prefix, filter_prefix or "
             "choice_func; it holds {} and others",
             Count(std::ssize(index.values), "value"), Printable(index.values.front().name)));
}

Result<std::vector<CheckpointValue>> ReadChosen(const ReadableFile& file,
                                                const LoadCheckpointOptions& options) {
  RELAYOUT_ASSIGN_OR_RETURN(const FileIndex index, ReadFileIndex(file));
  RELAYOUT_RETURN_IF_ERROR(CheckTrailer(file, index).WithContext(file.path()));
  std::vector<CheckpointValue> values;
  for (const StoredValue& stored : index.values) {
    if (!IsChosen(stored.name, options)) continue;
    auto value = ReadValue(file, stored);
    if (!value.ok()) return value.status().WithContext(file.path());
    values.push_back(std::move(value).value());
  }
  if (values.empty()) return NothingChosen(index).WithContext(file.path());
  return values;
}

}  // namespace

const CheckpointValue* LoadedCheckpoint::Find(std::string_view name) const {
  const auto found = std::find_if(values.begin(), values.end(),
                                  [&](const CheckpointValue& value) { return value.name == name; });
  return found == values.end() ? nullptr : &*found;
}

Result<LoadedCheckpoint> LoadCheckpoint(FileSystem& fs, const std::string& path,
                                        const LoadCheckpointOptions& options) {
  RELAYOUT_RETURN_IF_ERROR(CheckPrefixes(options).WithContext(path));
  RELAYOUT_ASSIGN_OR_RETURN(const auto file, fs.OpenForRead(path));
  LoadedCheckpoint loaded;
  loaded.path = path;
  RELAYOUT_ASSIGN_OR_RETURN(loaded.values, ReadChosen(*file, options));
  return loaded;
}

}  // namespace relayout
