// SPDX-License-Identifier: Apache-2.0
#include "relayout/io/fault_file_system.h"

#include <utility>

#include "relayout/base/text.h"

namespace relayout {

void FaultFileSystem::Arm(int64_t first_failure, int64_t failure_count) {
  const std::lock_guard guard(mutex_);
  operation_count_ = 0;
  first_failure_ = first_failure;
  failure_count_ = failure_count;
}

int64_t FaultFileSystem::operation_count() const {
  const std::lock_guard guard(mutex_);
  return operation_count_;
}

FaultFileSystem::Verdict FaultFileSystem::Judge(const char* verb, const std::string& path) {
  const std::lock_guard guard(mutex_);
  const int64_t operation = operation_count_++;
  const bool fails = operation >= first_failure_ && operation - first_failure_ < failure_count_;
  if (!fails) return {};
  return {IoError(Format("injected failure of operation {}: {} {}", operation, verb, path)),
          operation == first_failure_};
}

// --- Open files --------------------------------------------------------------------------------

class FaultFileSystem::Readable final : public ReadableFile {
 public:
  Readable(FaultFileSystem& fs, std::unique_ptr<ReadableFile> file)
      : fs_(fs), file_(std::move(file)) {}

  int64_t size_bytes() const override { return file_->size_bytes(); }
  const std::string& path() const override { return file_->path(); }
  Status ReadAt(int64_t offset_bytes, std::span<std::byte> buffer) const override {
    RELAYOUT_RETURN_IF_ERROR(fs_.Admit("read", path()));
    return file_->ReadAt(offset_bytes, buffer);
  }

 private:
  FaultFileSystem& fs_;
  const std::unique_ptr<ReadableFile> file_;
};

class FaultFileSystem::Writable final : public WritableFile {
 public:
  Writable(FaultFileSystem& fs, std::unique_ptr<WritableFile> file)
      : fs_(fs), file_(std::move(file)) {}

  const std::string& path() const override { return file_->path(); }

  Status WriteAt(int64_t offset_bytes, std::span<const std::byte> bytes) override {
    const Verdict verdict = fs_.Judge("write", path());
    if (verdict.status.ok()) return file_->WriteAt(offset_bytes, bytes);
    if (verdict.is_first) (void)file_->WriteAt(offset_bytes, bytes.first(bytes.size() / 2));
    return verdict.status;
  }

  Status Sync() override {
    RELAYOUT_RETURN_IF_ERROR(fs_.Admit("sync", path()));
    return file_->Sync();
  }

  Status Close() override {
    RELAYOUT_RETURN_IF_ERROR(fs_.Admit("close", path()));
    return file_->Close();
  }

 private:
  FaultFileSystem& fs_;
  const std::unique_ptr<WritableFile> file_;
};

// --- The file system ---------------------------------------------------------------------------

Result<std::unique_ptr<ReadableFile>> FaultFileSystem::OpenForRead(const std::string& path) {
  RELAYOUT_RETURN_IF_ERROR(Admit("open", path));
  RELAYOUT_ASSIGN_OR_RETURN(auto file, wrapped_.OpenForRead(path));
  return std::unique_ptr<ReadableFile>(std::make_unique<Readable>(*this, std::move(file)));
}

Result<std::unique_ptr<WritableFile>> FaultFileSystem::CreateForWrite(const std::string& path,
                                                                      int64_t size_bytes) {
  RELAYOUT_RETURN_IF_ERROR(Admit("create", path));
  RELAYOUT_ASSIGN_OR_RETURN(auto file, wrapped_.CreateForWrite(path, size_bytes));
  return std::unique_ptr<WritableFile>(std::make_unique<Writable>(*this, std::move(file)));
}

Result<std::unique_ptr<WritableFile>> FaultFileSystem::OpenForWrite(const std::string& path) {
  RELAYOUT_RETURN_IF_ERROR(Admit("open", path));
  RELAYOUT_ASSIGN_OR_RETURN(auto file, wrapped_.OpenForWrite(path));
  return std::unique_ptr<WritableFile>(std::make_unique<Writable>(*this, std::move(file)));
}

Result<FileInfo> FaultFileSystem::Stat(const std::string& path) {
  RELAYOUT_RETURN_IF_ERROR(Admit("examine", path));
  return wrapped_.Stat(path);
}

Result<std::vector<DirectoryEntry>> FaultFileSystem::List(const std::string& path) {
  RELAYOUT_RETURN_IF_ERROR(Admit("list", path));
  return wrapped_.List(path);
}

Status FaultFileSystem::MakeDirectory(const std::string& path) {
  RELAYOUT_RETURN_IF_ERROR(Admit("create directory", path));
  return wrapped_.MakeDirectory(path);
}

Status FaultFileSystem::Rename(const std::string& from, const std::string& to) {
  RELAYOUT_RETURN_IF_ERROR(Admit("rename", from));
  return wrapped_.Rename(from, to);
}

Status FaultFileSystem::HardLink(const std::string& from, const std::string& to) {
  RELAYOUT_RETURN_IF_ERROR(Admit("link", from));
  return wrapped_.HardLink(from, to);
}

Status FaultFileSystem::CloneFile(const std::string& from, const std::string& to) {
  RELAYOUT_RETURN_IF_ERROR(Admit("clone", from));
  return wrapped_.CloneFile(from, to);
}

Status FaultFileSystem::RemoveFile(const std::string& path) {
  RELAYOUT_RETURN_IF_ERROR(Admit("remove", path));
  return wrapped_.RemoveFile(path);
}

Status FaultFileSystem::RemoveDirectory(const std::string& path) {
  RELAYOUT_RETURN_IF_ERROR(Admit("remove directory", path));
  return wrapped_.RemoveDirectory(path);
}

Status FaultFileSystem::SyncDirectory(const std::string& path) {
  RELAYOUT_RETURN_IF_ERROR(Admit("sync directory", path));
  return wrapped_.SyncDirectory(path);
}

Result<std::unique_ptr<FileLock>> FaultFileSystem::Lock(const std::string& path, bool wait) {
  RELAYOUT_RETURN_IF_ERROR(Admit("lock", path));
  return wrapped_.Lock(path, wait);
}

Result<int64_t> FaultFileSystem::FreeBytes(const std::string& path) {
  RELAYOUT_RETURN_IF_ERROR(Admit("tell the free space at", path));
  return wrapped_.FreeBytes(path);
}

}  // namespace relayout
