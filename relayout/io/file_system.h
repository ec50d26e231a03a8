// SPDX-License-Identifier: Apache-2.0
//
// The one seam between relayout and the operating system.
//
// Three implementations: posix_file_system.h (the real one), memory_file_system.h (for tests;
// records every access) and fault_file_system.h (wraps another one and makes chosen calls fail).
//
//   RELAYOUT_ASSIGN_OR_RETURN(const auto file, fs.CreateForWrite("out/x.tmp", 1 << 20));
//   RELAYOUT_RETURN_IF_ERROR(file->WriteAt(512, bytes));       // Some of the file, in
//   RELAYOUT_RETURN_IF_ERROR(file->WriteAt(0, more_bytes));    // any order.
//   RELAYOUT_RETURN_IF_ERROR(file->Sync());
//   RELAYOUT_RETURN_IF_ERROR(file->Close());
//   RELAYOUT_RETURN_IF_ERROR(fs.Rename("out/x.tmp", "out/x"));
//   RELAYOUT_RETURN_IF_ERROR(fs.SyncDirectory("out"));         // Now it survives a power cut.
//
// Contracts, for all implementations:
// * Reads are positional and exact: they deliver every byte asked for or fail; there are no short
//   reads for a caller to handle.
// * Open files may be used by several threads at once; writers must not overlap.
// * Failures of the system are kIoError, things that do not exist kNotFound, things that do exist
//   and should not kAlreadyExists, a directory where a file belongs kInvalidInput; the message
//   names the path and the system's reason (io_errors.h).
// * Links and clones are what a caller can do without, by copying; where the file system does not
//   have them, they are kUnsupported and leave nothing behind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "relayout/base/status.h"

namespace relayout {

class ReadableFile {
 public:
  virtual ~ReadableFile() = default;

  // As it was when the file was opened.
  virtual int64_t size_bytes() const = 0;
  virtual const std::string& path() const = 0;
  // Fills `buffer` with the bytes from `offset_bytes` on. A file that ends before that is kIoError
  // ("... ends at byte N"). An empty buffer is full at any offset.
  virtual Status ReadAt(int64_t offset_bytes, std::span<std::byte> buffer) const = 0;
};

class WritableFile {
 public:
  virtual ~WritableFile() = default;  // Closes without Sync; errors are lost: call Close.

  virtual const std::string& path() const = 0;
  // Writes all of `bytes`; a range beyond the end makes the file longer.
  virtual Status WriteAt(int64_t offset_bytes, std::span<const std::byte> bytes) = 0;
  // Makes what was written durable.
  virtual Status Sync() = 0;
  // Every call after this one fails, except for Close itself.
  virtual Status Close() = 0;
};

enum class FileKind { kFile, kDirectory, kOther };

struct DirectoryEntry {
  std::string name;
  FileKind kind = FileKind::kOther;  // Of what a symbolic link points at.
};

struct FileInfo {
  FileKind kind = FileKind::kOther;
  int64_t size_bytes = 0;
  int64_t modified_ns = 0;  // Since 1970.
  // The same pair means the same file, however it is spelled.
  uint64_t device = 0;
  uint64_t inode = 0;
};

// Held until destroyed.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual Result<std::unique_ptr<ReadableFile>> OpenForRead(const std::string& path) = 0;
  // Creates a file of exactly `size_bytes` bytes, with its disk space reserved where the system can
  // (so that a full disk shows before any work is done); what is not written reads as zeros. On
  // failure nothing is left behind. kAlreadyExists when the path exists.
  virtual Result<std::unique_ptr<WritableFile>> CreateForWrite(const std::string& path,
                                                               int64_t size_bytes) = 0;
  // Opens an existing file for more WriteAt and Sync calls; keeps its content.
  virtual Result<std::unique_ptr<WritableFile>> OpenForWrite(const std::string& path) = 0;

  // Follows symbolic links. kNotFound when there is nothing.
  virtual Result<FileInfo> Stat(const std::string& path) = 0;
  // Entries without "." and "..", sorted by name.
  virtual Result<std::vector<DirectoryEntry>> List(const std::string& path) = 0;
  // Creates one directory; OK when it exists already, kAlreadyExists when a file has its name.
  virtual Status MakeDirectory(const std::string& path) = 0;
  // Within one file system; replaces an existing file, or an empty directory by a directory,
  // atomically. Where both are names of one file, nothing happens and both remain.
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  // Gives the file `from` (of a symbolic link, what it points at) the second name `to`. Both names
  // are equal from then on: what is written through one is read through the other, and the file
  // lives until the last is removed. The new name is durable when its directory is synced, the
  // content when the file is. kAlreadyExists when `to` exists. kUnsupported where the file system
  // has no such names or not for this file, and between two file systems.
  virtual Status HardLink(const std::string& from, const std::string& to) = 0;
  // Creates the file `to` with the content of `from` by sharing its blocks, so that neither time
  // nor space grows with the size; what is written to one later does not show in the other. Like
  // any new file it is durable when it (see OpenForWrite) and its directory are synced. On failure
  // nothing is left behind; a process that dies inside may leave `to` empty. kAlreadyExists when
  // `to` exists. kUnsupported where the file system cannot share blocks, and between two.
  virtual Status CloneFile(const std::string& from, const std::string& to) = 0;
  // Of a symbolic link, the link.
  virtual Status RemoveFile(const std::string& path) = 0;
  // Fails when the directory is not empty.
  virtual Status RemoveDirectory(const std::string& path) = 0;
  // Makes creations, renames and removals inside a directory durable.
  virtual Status SyncDirectory(const std::string& path) = 0;
  // An exclusive lock on a file, created if missing; released also when the process dies. With
  // `wait` false, kAlreadyExists when another process or thread holds it.
  virtual Result<std::unique_ptr<FileLock>> Lock(const std::string& path, bool wait) = 0;
  // Bytes a user may still write in the file system that holds `path`, which must exist.
  virtual Result<int64_t> FreeBytes(const std::string& path) = 0;
  // A text that changes whenever bytes that were written and not synced may have been lost (the
  // power failed, the kernel was started anew). While it stays the same, from one process to the
  // next, what was written can be read back, synced or not. Empty when it is unknown: then it
  // equals no other, empty ones included. Never fails, and takes no time after the first call.
  virtual std::string Incarnation() = 0;
};

// --- Built on the above ------------------------------------------------------------------------

// False only when there is certainly nothing: what cannot be looked at counts as there.
bool Exists(FileSystem& fs, const std::string& path);
// The whole of a small file; fails when it is larger than `limit_bytes`.
Result<std::string> ReadWholeFile(FileSystem& fs, const std::string& path, int64_t limit_bytes);
// Creates `path` (which must not exist) with `bytes`.
Status WriteWholeFile(FileSystem& fs, const std::string& path, std::string_view bytes, bool sync);
// Makes `bytes` the content of the file `path`, whole or not at all, and durable; its folder is
// created. An existing file is replaced only with `overwrite`: kAlreadyExists names the option.
Status PublishFile(FileSystem& fs, const std::string& path, std::string_view bytes, bool overwrite);
// Creates a directory and those above it.
Status MakeDirectories(FileSystem& fs, const std::string& path);
// Removes a file or a directory with all it holds; OK when there is nothing. Symbolic links are
// removed and never followed, `path` itself included.
Status RemoveTree(FileSystem& fs, const std::string& path);

// "dir" + "name" -> "dir/name".
std::string JoinPath(const std::string& directory, const std::string& name);
// The last part of a path; the part before it ("." when there is none).
std::string BaseName(const std::string& path);
std::string ParentPath(const std::string& path);

}  // namespace relayout
