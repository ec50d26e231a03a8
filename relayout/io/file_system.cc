// SPDX-License-Identifier: Apache-2.0
#include "relayout/io/file_system.h"

#include "relayout/base/text.h"

namespace relayout {

bool Exists(FileSystem& fs, const std::string& path) {
  return fs.Stat(path).status().code() != StatusCode::kNotFound;
}

Result<std::string> ReadWholeFile(FileSystem& fs, const std::string& path, int64_t limit_bytes) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto file, fs.OpenForRead(path));
  if (file->size_bytes() > limit_bytes) {
    return InvalidInput(Format("{}: {} bytes; a file of this kind has at most {}", path,
                               file->size_bytes(), limit_bytes));
  }
  std::string bytes(static_cast<size_t>(file->size_bytes()), '\0');
  RELAYOUT_RETURN_IF_ERROR(file->ReadAt(0, std::as_writable_bytes(std::span(bytes))));
  return bytes;
}

Status WriteWholeFile(FileSystem& fs, const std::string& path, std::string_view bytes, bool sync) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto file,
                            fs.CreateForWrite(path, static_cast<int64_t>(bytes.size())));
  RELAYOUT_RETURN_IF_ERROR(file->WriteAt(0, std::as_bytes(std::span(bytes))));
  if (sync) RELAYOUT_RETURN_IF_ERROR(file->Sync());
  return file->Close();
}

Status PublishFile(FileSystem& fs, const std::string& path, std::string_view bytes,
                   bool overwrite) {
  if (!overwrite && Exists(fs, path)) {
    return AlreadyExists(path + ": exists; use --overwrite to replace it");
  }
  // The folders whose entries must become durable: that of the file, and above every new one.
  std::vector<std::string> folders = {ParentPath(path)};
  while (!Exists(fs, folders.back()) && ParentPath(folders.back()) != folders.back()) {
    folders.push_back(ParentPath(folders.back()));
  }
  RELAYOUT_RETURN_IF_ERROR(MakeDirectories(fs, ParentPath(path)));
  const std::string temporary = path + ".relayout-tmp";
  RELAYOUT_RETURN_IF_ERROR(RemoveTree(fs, temporary));
  Status status = WriteWholeFile(fs, temporary, bytes, /*sync=*/true);
  if (status.ok()) status = fs.Rename(temporary, path);
  if (!status.ok()) {
    static_cast<void>(fs.RemoveFile(temporary));
    return status;
  }
  for (const std::string& folder : folders) RELAYOUT_RETURN_IF_ERROR(fs.SyncDirectory(folder));
  return OkStatus();
}

Status MakeDirectories(FileSystem& fs, const std::string& path) {
  const Result<FileInfo> info = fs.Stat(path);
  if (info.ok()) {
    if (info->kind == FileKind::kDirectory) return OkStatus();
    return InvalidInput(Format("{}: exists and is not a directory", path));
  }
  if (info.status().code() != StatusCode::kNotFound) return info.status();
  if (const std::string parent = ParentPath(path); parent != path) {
    RELAYOUT_RETURN_IF_ERROR(MakeDirectories(fs, parent));
  }
  return fs.MakeDirectory(path);
}

Status RemoveTree(FileSystem& fs, const std::string& path) {
  // First as a file, because that removes a link to a directory and does not follow it.
  Status removed = fs.RemoveFile(path);
  if (removed.ok() || removed.code() == StatusCode::kNotFound) return OkStatus();
  const bool is_directory = removed.code() == StatusCode::kInvalidInput;
  if (!is_directory) return removed;
  RELAYOUT_ASSIGN_OR_RETURN(const auto entries, fs.List(path));
  for (const DirectoryEntry& entry : entries) {
    RELAYOUT_RETURN_IF_ERROR(RemoveTree(fs, JoinPath(path, entry.name)));
  }
  return fs.RemoveDirectory(path);
}

std::string JoinPath(const std::string& directory, const std::string& name) {
  if (directory.empty()) return name;
  return directory.back() == '/' ? directory + name : directory + "/" + name;
}

namespace {

// Without trailing slashes, except for "/" itself.
std::string_view Trimmed(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return path;
}

}  // namespace

std::string BaseName(const std::string& path) {
  const std::string_view trimmed = Trimmed(path);
  const size_t slash = trimmed.rfind('/');
  if (trimmed == "/" || slash == std::string_view::npos) return std::string(trimmed);
  return std::string(trimmed.substr(slash + 1));
}

std::string ParentPath(const std::string& path) {
  const std::string_view trimmed = Trimmed(path);
  const size_t slash = trimmed.rfind('/');
  if (slash == std::string_view::npos) return trimmed == "." ? std::string(trimmed) : ".";
  return std::string(Trimmed(trimmed.substr(0, slash == 0 ? 1 : slash)));
}

}  // namespace relayout
