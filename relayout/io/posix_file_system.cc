// SPDX-License-Identifier: Apache-2.0
#include "relayout/io/posix_file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <limits>
#include <utility>

#include "relayout/base/checked_math.h"
#include "relayout/base/text.h"
#include "relayout/io/io_errors.h"

namespace relayout {
namespace {

static_assert(sizeof(off_t) == 8, "files beyond 2 GiB need a 64-bit off_t");

// Linux moves at most 2 GiB - 4 KiB in one call; a round number below that keeps pages aligned.
constexpr int64_t kMaxTransferBytes = int64_t{1} << 30;
constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

// "cannot VERB PATH: ...". The errno comes as a number because making a text could change errno; so
// call this with ready strings only.
Status SystemError(int error_number, const char* verb, const std::string& path) {
  return ErrnoStatus(error_number, Format("cannot {} {}", verb, path));
}

// Repeats `call` (which returns -1 and sets errno on failure) while signals interrupt it.
template <typename Call>
auto RetryInterrupted(Call call) {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return result;
}

// --- Descriptors -------------------------------------------------------------------------------

// Owns an open descriptor, or none (-1), on which every system call fails with EBADF.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() { (void)Close(); }

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }

  // 0 or an errno. Never repeated: Linux frees the descriptor even when a signal interrupts close,
  // and another thread may have been given the same number since.
  int Close() {
    const int fd = std::exchange(fd_, -1);
    if (fd < 0 || close(fd) == 0 || errno == EINTR) return 0;
    return errno;
  }

 private:
  int fd_;
};

Descriptor Open(const std::string& path, int flags) {
  constexpr mode_t kLeftToUmask = 0666;
  return Descriptor(
      RetryInterrupted([&] { return open(path.c_str(), flags | O_CLOEXEC, kLeftToUmask); }));
}

// Opens an existing regular file. O_NONBLOCK means nothing to those and keeps open from waiting for
// the other end of a pipe; O_NOCTTY keeps a terminal from becoming ours.
Result<Descriptor> OpenRegular(const std::string& path, int flags, struct stat& info) {
  Descriptor file = Open(path, flags | O_NONBLOCK | O_NOCTTY);
  if (!file.is_open()) return SystemError(errno, "open", path);
  if (fstat(file.get(), &info) != 0) return SystemError(errno, "open", path);
  if (S_ISDIR(info.st_mode)) return ErrnoStatus(EISDIR, "cannot open " + path);
  if (!S_ISREG(info.st_mode)) {
    return InvalidInput(Format("cannot open {}: not a regular file", path));
  }
  return file;
}

// --- Transfers ---------------------------------------------------------------------------------

size_t CutTransfer(int64_t size_bytes) {
  return static_cast<size_t>(std::min(size_bytes, kMaxTransferBytes));
}

// The file ended before the read was satisfied: says where it ends now.
Status ReadPastEnd(int fd, const std::string& path, int64_t offset_bytes, size_t size_bytes) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return SystemError(errno, "read", path);
  return EndOfFile(path, offset_bytes, static_cast<int64_t>(size_bytes), info.st_size);
}

Status ReadFully(int fd, const std::string& path, int64_t offset_bytes,
                 std::span<std::byte> buffer) {
  std::span<std::byte> rest = buffer;
  int64_t position = offset_bytes;
  while (!rest.empty()) {
    const size_t wanted = CutTransfer(static_cast<int64_t>(rest.size()));
    const ssize_t count =
        RetryInterrupted([&] { return pread(fd, rest.data(), wanted, position); });
    if (count < 0) return SystemError(errno, "read", path);
    if (count == 0) return ReadPastEnd(fd, path, offset_bytes, buffer.size());
    rest = rest.subspan(static_cast<size_t>(count));
    position += count;
  }
  return OkStatus();
}

Status WriteFully(int fd, const std::string& path, int64_t offset_bytes,
                  std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const size_t wanted = CutTransfer(static_cast<int64_t>(bytes.size()));
    const ssize_t count =
        RetryInterrupted([&] { return pwrite(fd, bytes.data(), wanted, offset_bytes); });
    if (count < 0) return SystemError(errno, "write", path);
    // Not allowed to happen; without this a broken driver would keep us here forever.
    if (count == 0) return ErrnoStatus(EIO, "cannot write " + path);
    bytes = bytes.subspan(static_cast<size_t>(count));
    offset_bytes += count;
  }
  return OkStatus();
}

// --- Files -------------------------------------------------------------------------------------

class PosixReadableFile final : public ReadableFile {
 public:
  PosixReadableFile(std::string path, Descriptor file, int64_t size_bytes)
      : path_(std::move(path)), file_(std::move(file)), size_bytes_(size_bytes) {}

  int64_t size_bytes() const override { return size_bytes_; }
  const std::string& path() const override { return path_; }
  Status ReadAt(int64_t offset_bytes, std::span<std::byte> buffer) const override {
    return ReadFully(file_.get(), path_, offset_bytes, buffer);
  }

 private:
  const std::string path_;
  const Descriptor file_;
  const int64_t size_bytes_;
};

class PosixWritableFile final : public WritableFile {
 public:
  PosixWritableFile(std::string path, Descriptor file)
      : path_(std::move(path)), file_(std::move(file)) {}

  const std::string& path() const override { return path_; }
  Status WriteAt(int64_t offset_bytes, std::span<const std::byte> bytes) override {
    return WriteFully(file_.get(), path_, offset_bytes, bytes);
  }
  Status Sync() override {
    if (RetryInterrupted([&] { return fsync(file_.get()); }) == 0) return OkStatus();
    return SystemError(errno, "sync", path_);
  }
  Status Close() override {
    const int error_number = file_.Close();
    return error_number == 0 ? OkStatus() : SystemError(error_number, "close", path_);
  }

 private:
  const std::string path_;
  Descriptor file_;
};

class PosixFileLock final : public FileLock {
 public:
  explicit PosixFileLock(Descriptor file) : file_(std::move(file)) {}

 private:
  const Descriptor file_;  // Closing it releases the lock.
};

// --- Space -------------------------------------------------------------------------------------

int64_t BlockBytes(const struct statvfs& info, fsblkcnt_t block_count) {
  return CheckedMul(static_cast<int64_t>(block_count), static_cast<int64_t>(info.f_frsize))
      .value_or(kNoLimit);
}

// Refuses what cannot fit, even with the blocks kept for root. Asked first because ext4 would find
// out by filling the disk, and other writers would fail meanwhile. File systems that do not count
// their blocks say that they have none; those are believed to have space.
Status CheckSpace(int fd, const std::string& path, int64_t size_bytes) {
  struct statvfs info {};
  const bool known = RetryInterrupted([&] { return fstatvfs(fd, &info); }) == 0;
  if (!known || info.f_blocks == 0 || size_bytes <= BlockBytes(info, info.f_bfree)) {
    return OkStatus();
  }
  return NoSpaceLeft(path, size_bytes, BlockBytes(info, info.f_bavail));
}

// fallocate found the disk full; says how much there was.
Status NoSpaceFor(int fd, const std::string& path, int64_t size_bytes) {
  struct statvfs info {};
  if (RetryInterrupted([&] { return fstatvfs(fd, &info); }) != 0) {
    return ErrnoStatus(ENOSPC, "cannot create " + path);
  }
  return NoSpaceLeft(path, size_bytes, BlockBytes(info, info.f_bavail));
}

bool CannotReserve(int error_number) {
  return error_number == EOPNOTSUPP || error_number == ENOSYS || error_number == EINVAL;
}

// Gives a new, empty file its size. Not posix_fallocate, which writes every block where the file
// system has no fallocate of its own.
Status Reserve(int fd, const std::string& path, int64_t size_bytes) {
  if (size_bytes == 0) return OkStatus();  // fallocate refuses to reserve nothing.
  RELAYOUT_RETURN_IF_ERROR(CheckSpace(fd, path, size_bytes));
  if (RetryInterrupted([&] { return fallocate(fd, 0, 0, size_bytes); }) == 0) return OkStatus();
  if (errno == ENOSPC) return NoSpaceFor(fd, path, size_bytes);
  if (!CannotReserve(errno)) return SystemError(errno, "create", path);
  if (RetryInterrupted([&] { return ftruncate(fd, size_bytes); }) == 0) return OkStatus();
  return SystemError(errno, "create", path);
}

// --- Directory entries and attributes ----------------------------------------------------------

FileKind KindOfMode(mode_t mode) {
  if (S_ISREG(mode)) return FileKind::kFile;
  return S_ISDIR(mode) ? FileKind::kDirectory : FileKind::kOther;
}

FileKind KindOfEntry(int directory_fd, const dirent& entry) {
  if (entry.d_type == DT_REG) return FileKind::kFile;
  if (entry.d_type == DT_DIR) return FileKind::kDirectory;
  if (entry.d_type != DT_LNK && entry.d_type != DT_UNKNOWN) return FileKind::kOther;
  struct stat info {};
  // A link to nothing, or an entry removed since it was listed, is nothing we could read.
  if (fstatat(directory_fd, entry.d_name, &info, 0) != 0) return FileKind::kOther;
  return KindOfMode(info.st_mode);
}

// Owns an open directory stream, or none.
class DirectoryStream {
 public:
  explicit DirectoryStream(const std::string& path) : stream_(opendir(path.c_str())) {}
  DirectoryStream(const DirectoryStream&) = delete;
  DirectoryStream& operator=(const DirectoryStream&) = delete;
  ~DirectoryStream() {
    if (is_open()) closedir(stream_);
  }

  bool is_open() const { return stream_ != nullptr; }
  int fd() const { return dirfd(stream_); }
  // The next entry; nullptr at the end (errno is 0) and on failure (errno says which).
  const dirent* Next() {
    errno = 0;
    return readdir(stream_);
  }

 private:
  DIR* const stream_;
};

bool IsSelfOrParent(const std::string& name) { return name == "." || name == ".."; }

int64_t Nanoseconds(const timespec& time) {
  const auto seconds_ns = CheckedMul(time.tv_sec, 1'000'000'000);
  if (!seconds_ns) return kNoLimit;  // A date that a user can set, ages from now.
  return CheckedAdd(*seconds_ns, time.tv_nsec).value_or(kNoLimit);
}

FileInfo ToFileInfo(const struct stat& info) {
  return {.kind = KindOfMode(info.st_mode),
          .size_bytes = info.st_size,
          .modified_ns = Nanoseconds(info.st_mtim),
          .device = info.st_dev,
          .inode = info.st_ino};
}

// Whether `path` still names the open `file`.
bool StillNames(const std::string& path, const Descriptor& file) {
  struct stat named {};
  struct stat opened {};
  return stat(path.c_str(), &named) == 0 && fstat(file.get(), &opened) == 0 &&
         named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

bool IsDirectory(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// 0 or an errno. Closes `target`, since some network file systems fail only then.
int ShareBlocks(const Descriptor& source, Descriptor& target) {
  if (RetryInterrupted([&] { return ioctl(target.get(), FICLONE, source.get()); }) != 0) {
    return errno;
  }
  return target.Close();
}

// Empty when it cannot be read. Files in /proc have no size, so the end of the text is found by
// reading; the kernel hands one this short over in one piece.
std::string ReadBootId() {
  const Descriptor file = Open("/proc/sys/kernel/random/boot_id", O_RDONLY);
  std::array<char, 64> buffer{};
  const ssize_t count =
      RetryInterrupted([&] { return read(file.get(), buffer.data(), buffer.size()); });
  if (count <= 0) return "";
  const std::string_view text(buffer.data(), static_cast<size_t>(count));
  return std::string(text.substr(0, text.find('\n')));
}

// --- The file system ---------------------------------------------------------------------------

class PosixFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<ReadableFile>> OpenForRead(const std::string& path) override {
    struct stat info {};
    RELAYOUT_ASSIGN_OR_RETURN(Descriptor file, OpenRegular(path, O_RDONLY, info));
    return std::unique_ptr<ReadableFile>(
        std::make_unique<PosixReadableFile>(path, std::move(file), info.st_size));
  }

  Result<std::unique_ptr<WritableFile>> CreateForWrite(const std::string& path,
                                                       int64_t size_bytes) override {
    Descriptor file = Open(path, O_WRONLY | O_CREAT | O_EXCL);
    if (!file.is_open()) return SystemError(errno, "create", path);
    if (const Status reserved = Reserve(file.get(), path, size_bytes); !reserved.ok()) {
      (void)unlink(path.c_str());  // Ours: O_EXCL has just made it.
      return reserved;
    }
    return std::unique_ptr<WritableFile>(
        std::make_unique<PosixWritableFile>(path, std::move(file)));
  }

  Result<std::unique_ptr<WritableFile>> OpenForWrite(const std::string& path) override {
    struct stat info {};
    RELAYOUT_ASSIGN_OR_RETURN(Descriptor file, OpenRegular(path, O_WRONLY, info));
    return std::unique_ptr<WritableFile>(
        std::make_unique<PosixWritableFile>(path, std::move(file)));
  }

  Result<FileInfo> Stat(const std::string& path) override {
    struct stat info {};
    if (stat(path.c_str(), &info) != 0) return SystemError(errno, "examine", path);
    return ToFileInfo(info);
  }

  Result<std::vector<DirectoryEntry>> List(const std::string& path) override {
    DirectoryStream stream(path);
    if (!stream.is_open()) return SystemError(errno, "list", path);
    std::vector<DirectoryEntry> entries;
    while (const dirent* entry = stream.Next()) {
      if (IsSelfOrParent(entry->d_name)) continue;
      entries.push_back({entry->d_name, KindOfEntry(stream.fd(), *entry)});
    }
    if (errno != 0) return SystemError(errno, "list", path);
    std::sort(entries.begin(), entries.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    return entries;
  }

  Status MakeDirectory(const std::string& path) override {
    constexpr mode_t kLeftToUmask = 0777;
    if (mkdir(path.c_str(), kLeftToUmask) == 0) return OkStatus();
    const int error_number = errno;
    if (error_number == EEXIST && IsDirectory(path)) return OkStatus();
    return SystemError(error_number, "create directory", path);
  }

  Status Rename(const std::string& from, const std::string& to) override {
    if (rename(from.c_str(), to.c_str()) == 0) return OkStatus();
    const int error_number = errno;
    return ErrnoStatus(error_number, Format("cannot rename {} to {}", from, to));
  }

  Status HardLink(const std::string& from, const std::string& to) override {
    if (linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), AT_SYMLINK_FOLLOW) == 0) {
      return OkStatus();
    }
    const int error_number = errno;
    const bool is_directory = error_number == EPERM && IsDirectory(from);
    return HardLinkStatus(is_directory ? EISDIR : error_number, from, to);
  }

  Status CloneFile(const std::string& from, const std::string& to) override {
    struct stat info {};
    RELAYOUT_ASSIGN_OR_RETURN(const Descriptor source, OpenRegular(from, O_RDONLY, info));
    Descriptor target = Open(to, O_WRONLY | O_CREAT | O_EXCL);
    if (!target.is_open()) return SystemError(errno, "create", to);
    const int error_number = ShareBlocks(source, target);
    if (error_number == 0) return OkStatus();
    (void)unlink(to.c_str());  // Ours: O_EXCL has just made it.
    return CloneStatus(error_number, from, to);
  }

  Status RemoveFile(const std::string& path) override {
    if (unlink(path.c_str()) == 0) return OkStatus();
    return SystemError(errno, "remove", path);
  }

  Status RemoveDirectory(const std::string& path) override {
    if (rmdir(path.c_str()) == 0) return OkStatus();
    return SystemError(errno, "remove directory", path);
  }

  Status SyncDirectory(const std::string& path) override {
    const Descriptor directory = Open(path, O_RDONLY | O_DIRECTORY);
    if (!directory.is_open()) return SystemError(errno, "sync directory", path);
    // EINVAL: this file system does not sync directories, and there is no other way to ask it to.
    if (RetryInterrupted([&] { return fsync(directory.get()); }) == 0 || errno == EINVAL) {
      return OkStatus();
    }
    return SystemError(errno, "sync directory", path);
  }

  Result<std::unique_ptr<FileLock>> Lock(const std::string& path, bool wait) override {
    while (true) {
      Descriptor file = Open(path, O_RDWR | O_CREAT);  // NFS locks only what may be written.
      if (!file.is_open()) return SystemError(errno, "lock", path);
      const int operation = wait ? LOCK_EX : LOCK_EX | LOCK_NB;
      if (RetryInterrupted([&] { return flock(file.get(), operation); }) != 0) {
        if (errno != EWOULDBLOCK) return SystemError(errno, "lock", path);
        return LockHeld(path);
      }
      // The holder before us may have removed the file while we waited; who comes next would then
      // lock a new file of that name and not see us.
      if (StillNames(path, file)) {
        return std::unique_ptr<FileLock>(std::make_unique<PosixFileLock>(std::move(file)));
      }
    }
  }

  Result<int64_t> FreeBytes(const std::string& path) override {
    struct statvfs info {};
    if (RetryInterrupted([&] { return statvfs(path.c_str(), &info); }) != 0) {
      return SystemError(errno, "tell the free space at", path);
    }
    return BlockBytes(info, info.f_bavail);
  }

  std::string Incarnation() override {
    static const std::string boot_id = ReadBootId();
    return boot_id;
  }
};

}  // namespace

std::unique_ptr<FileSystem> NewPosixFileSystem() { return std::make_unique<PosixFileSystem>(); }

int64_t RaiseOpenFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlimit raised = {limit.rlim_max, limit.rlim_max};
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  if (limit.rlim_cur > static_cast<rlim_t>(kNoLimit)) return kNoLimit;  // Also RLIM_INFINITY.
  return static_cast<int64_t>(limit.rlim_cur);
}

}  // namespace relayout
