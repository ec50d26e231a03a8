// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/save_checkpoint.h"

#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "relayout/base/check.h"
#include "relayout/base/text.h"
#include "relayout/format/checkpoint_file.h"
#include "relayout/format/value_name.h"

namespace relayout {
namespace {

Status CheckNames(std::span<const SavedValue> values) {
  std::unordered_set<std::string_view> names;
  for (const SavedValue& value : values) {
    RELAYOUT_RETURN_IF_ERROR(CheckName(value.name));
    if (names.insert(value.name).second) continue;
    return InvalidInput(
        Format("{}: is to be saved twice in one file; give one of the two another "
               "name",
               Printable(value.name)));
  }
  return OkStatus();
}

}  // namespace

Status MakeDurableDirectories(FileSystem& fs, const std::string& path) {
  // Those whose entries change: each that is new, and the first above them that is not.
  std::vector<std::string> folders = {path};
  while (!Exists(fs, folders.back()) && ParentPath(folders.back()) != folders.back()) {
    folders.push_back(ParentPath(folders.back()));
  }
  if (folders.size() == 1) return OkStatus();
  RELAYOUT_RETURN_IF_ERROR(MakeDirectories(fs, path));
  for (const std::string& folder : folders) RELAYOUT_RETURN_IF_ERROR(fs.SyncDirectory(folder));
  return OkStatus();
}

NewCheckpoint::NewCheckpoint(FileSystem& fs, std::string path)
    : fs_(fs), path_(std::move(path)), temporary_path_(Format("{}.relayout-tmp", path_)) {}

Result<std::unique_ptr<NewCheckpoint>> NewCheckpoint::Create(FileSystem& fs,
                                                             const std::string& path,
                                                             std::span<const SavedValue> values,
                                                             const FileMetadata& metadata) {
  const auto format = FormatOfName(path);
  if (!format) {
    return InvalidInput(Format("{}: a checkpoint's name ends in .ckpt or .safetensors", path));
  }
  std::unique_ptr<NewCheckpoint> made(new NewCheckpoint(fs, path));
  Status status = CheckNames(values);
  if (status.ok()) status = made->CreateFile(*format, values, metadata);
  if (!status.ok()) return status.WithContext(path);
  return made;
}

Status NewCheckpoint::CreateFile(FileFormat format, std::span<const SavedValue> values,
                                 const FileMetadata& metadata) {
  const auto value_at = [&](size_t i) {
    const SavedValue& value = values[i];
    return ValueView(value.name, value.kind, value.dtype, value.shape, {});
  };
  RELAYOUT_ASSIGN_OR_RETURN(image_.size_bytes,
                            LayOutFile(format, values.size(), value_at, image_, metadata));
  RELAYOUT_RETURN_IF_ERROR(MakeDurableDirectories(fs_, ParentPath(path_)));
  RELAYOUT_RETURN_IF_ERROR(RemoveTree(fs_, temporary_path_));
  RELAYOUT_ASSIGN_OR_RETURN(file_, fs_.CreateForWrite(temporary_path_, image_.size_bytes));
  is_temporary_ = true;
  return WriteHeaders();
}

Status NewCheckpoint::WriteHeaders() {
  for (const FileImage::Segment& header : image_.headers) {
    RELAYOUT_RETURN_IF_ERROR(
        file_->WriteAt(header.offset_bytes, std::as_bytes(std::span(header.bytes))));
  }
  return OkStatus();
}

NewCheckpoint::~NewCheckpoint() {
  file_.reset();
  if (is_temporary_) static_cast<void>(fs_.RemoveFile(temporary_path_));
}

Status NewCheckpoint::Write(size_t i, std::span<const std::byte> bytes) {
  const auto extents = image_.extents[i];
  RELAYOUT_CHECK(TotalBytes(extents) == std::ssize(bytes));
  for (const Extent& extent : extents) {
    const auto size = static_cast<size_t>(extent.size_bytes);
    RELAYOUT_RETURN_IF_ERROR(
        file_->WriteAt(extent.offset_bytes, bytes.first(size)).WithContext(path_));
    bytes = bytes.subspan(size);
  }
  return OkStatus();
}

Status NewCheckpoint::Finish() {
  RELAYOUT_RETURN_IF_ERROR(file_->Sync().WithContext(path_));
  RELAYOUT_RETURN_IF_ERROR(file_->Close().WithContext(path_));
  file_.reset();
  return OkStatus();
}

Status NewCheckpoint::Publish() {
  RELAYOUT_CHECK(is_temporary_ && file_ == nullptr);
  RELAYOUT_RETURN_IF_ERROR(fs_.Rename(temporary_path_, path_).WithContext(path_));
  is_temporary_ = false;
  return fs_.SyncDirectory(ParentPath(path_));
}

Status SaveCheckpoint(FileSystem& fs, const std::string& path, std::span<const SavedValue> values,
                      const FileMetadata& metadata) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto file, NewCheckpoint::Create(fs, path, values, metadata));
  for (size_t i = 0; i < values.size(); ++i) {
    RELAYOUT_RETURN_IF_ERROR(file->Write(i, values[i].bytes));
  }
  RELAYOUT_RETURN_IF_ERROR(file->Finish());
  return file->Publish();
}

Status SaveCheckpoint(FileSystem& fs, const std::string& path,
                      std::span<const CheckpointValue> values, const FileMetadata& metadata) {
  std::vector<SavedValue> views;
  views.reserve(values.size());
  for (const CheckpointValue& value : values) views.push_back(ViewOf(value));
  return SaveCheckpoint(fs, path, views, metadata);
}

}  // namespace relayout
