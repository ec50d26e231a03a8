// SPDX-License-Identifier: Apache-2.0
#include "relayout/io/memory_file_system.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <utility>

#include "relayout/base/check.h"
#include "relayout/base/checked_math.h"
#include "relayout/base/text.h"
#include "relayout/io/io_errors.h"
#include "relayout/io/memory_file.h"

namespace relayout {
namespace {

// "/a/./b//../c" -> {"a", "c"}
std::vector<std::string> SplitPath(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.emplace_back(part);
    }
  }
  return parts;
}

// Whether `path` lies inside `directory`.
bool IsBelow(const std::string& path, const std::string& directory) {
  const std::vector<std::string> parts = SplitPath(path);
  const std::vector<std::string> above = SplitPath(directory);
  return parts.size() > above.size() && std::equal(above.begin(), above.end(), parts.begin());
}

const char* KindName(Access::Kind kind) {
  switch (kind) {
    case Access::kOpen:
      return "open";
    case Access::kCreate:
      return "create";
    case Access::kRead:
      return "read";
    case Access::kWrite:
      return "write";
    case Access::kSync:
      return "sync";
    case Access::kMakeDirectory:
      return "mkdir";
    case Access::kRename:
      return "rename";
    case Access::kLink:
      return "link";
    case Access::kClone:
      return "clone";
    case Access::kRemove:
      return "remove";
    case Access::kSyncDirectory:
      return "syncdir";
  }
  return "?";
}

std::string ToText(const Access& access) {
  std::string text = Format("{} {}", KindName(access.kind), access.path);
  if (access.kind == Access::kRead || access.kind == Access::kWrite) {
    text += Format(" {}+{}", access.offset_bytes, access.size_bytes);
  }
  return text;
}

}  // namespace

std::string ToText(const std::vector<Access>& accesses) {
  std::string text;
  for (const Access& access : accesses) text += (text.empty() ? "" : ", ") + ToText(access);
  return text;
}

// --- The tree ----------------------------------------------------------------------------------

// A file or a directory, without its name.
struct MemoryFileSystem::Node {
  using Entries = std::map<std::string, NodePtr>;

  FileKind kind = FileKind::kFile;
  uint64_t inode = 0;
  int64_t modified_ns = 0;
  int64_t name_count = 0;
  uint64_t incarnation = 0;  // The last one that it was restored for; 0 while there is none.
  uint64_t lock = 0;         // The number of the HeldLock; 0 while there is none.
  std::string bytes;
  std::string durable_bytes;
  Entries entries;
  Entries durable_entries;

  int64_t size_bytes() const { return static_cast<int64_t>(bytes.size()); }
};

// What a path names, or the errno that says why it names nothing.
struct MemoryFileSystem::Lookup {
  NodePtr node;
  int error_number = 0;
};

// Where a path is entered: the directory above it, or the errno that says why there is none.
struct MemoryFileSystem::Slot {
  NodePtr directory;
  std::string name;
  int error_number = 0;

  // What is entered there now, if anything.
  NodePtr node() const {
    const auto found = directory->entries.find(name);
    return found == directory->entries.end() ? nullptr : found->second;
  }
};

MemoryFileSystem::MemoryFileSystem(int64_t capacity_bytes)
    : capacity_bytes_(capacity_bytes), root_(NewNode(FileKind::kDirectory)) {}

MemoryFileSystem::~MemoryFileSystem() = default;

MemoryFileSystem::Lookup MemoryFileSystem::Walk(std::span<const std::string> parts) const {
  NodePtr node = root_;
  for (const std::string& part : parts) {
    if (node->kind != FileKind::kDirectory) return {nullptr, ENOTDIR};
    const auto found = node->entries.find(part);
    if (found == node->entries.end()) return {nullptr, ENOENT};
    node = found->second;
  }
  return {node, 0};
}

MemoryFileSystem::Lookup MemoryFileSystem::Find(const std::string& path) const {
  if (path.empty()) return {nullptr, ENOENT};
  return Walk(SplitPath(path));
}

MemoryFileSystem::Lookup MemoryFileSystem::FindFile(const std::string& path) const {
  Lookup found = Find(path);
  if (found.node && found.node->kind == FileKind::kDirectory) return {nullptr, EISDIR};
  return found;
}

MemoryFileSystem::Slot MemoryFileSystem::FindSlot(const std::string& path) const {
  const std::vector<std::string> parts = SplitPath(path);
  if (parts.empty()) return {nullptr, "", path.empty() ? ENOENT : EBUSY};  // The root has no name.
  const auto [directory, error_number] = Walk(std::span(parts).first(parts.size() - 1));
  if (!directory) return {nullptr, "", error_number};
  if (directory->kind != FileKind::kDirectory) return {nullptr, "", ENOTDIR};
  return {directory, parts.back(), 0};
}

MemoryFileSystem::Slot MemoryFileSystem::FindFreeSlot(const std::string& path) const {
  if (Find(path).node) return {nullptr, "", EEXIST};
  return FindSlot(path);
}

MemoryFileSystem::NodePtr MemoryFileSystem::NewNode(FileKind kind) {
  auto node = std::make_shared<Node>();
  node->kind = kind;
  node->inode = ++last_inode_;
  Touch(*node);
  return node;
}

void MemoryFileSystem::Touch(Node& node) { node.modified_ns = ++now_ns_; }

void MemoryFileSystem::Link(const Slot& slot, const NodePtr& node) {
  slot.directory->entries[slot.name] = node;
  Touch(*slot.directory);
  if (node->name_count++ == 0) used_bytes_ += node->size_bytes();
}

void MemoryFileSystem::Unlink(const Slot& slot) {
  const NodePtr node = slot.node();
  slot.directory->entries.erase(slot.name);
  Touch(*slot.directory);
  if (--node->name_count == 0) used_bytes_ -= node->size_bytes();
}

Status MemoryFileSystem::Resize(const std::string& path, Node& node, int64_t size_bytes) {
  const int64_t added_bytes = node.name_count > 0 ? size_bytes - node.size_bytes() : 0;
  if (added_bytes > capacity_bytes_ - used_bytes_) {
    return ErrnoStatus(ENOSPC, "cannot write " + path);
  }
  node.bytes.resize(static_cast<size_t>(size_bytes));
  used_bytes_ += added_bytes;
  return OkStatus();
}

void MemoryFileSystem::Record(Access::Kind kind, const std::string& path, int64_t offset_bytes,
                              int64_t size_bytes) {
  accesses_.push_back({kind, path, offset_bytes, size_bytes});
}

// --- For tests ---------------------------------------------------------------------------------

void MemoryFileSystem::SetAbilities(const Abilities& abilities) {
  const std::lock_guard guard(mutex_);
  abilities_ = abilities;
}

void MemoryFileSystem::SetFile(const std::string& path, std::string_view bytes) {
  const std::lock_guard guard(mutex_);
  const std::vector<std::string> parts = SplitPath(path);
  RELAYOUT_CHECK(!parts.empty());
  NodePtr node = root_;
  for (size_t i = 0; i < parts.size(); ++i) {
    RELAYOUT_CHECK(node->kind == FileKind::kDirectory);
    const Slot slot = {node, parts[i], 0};
    const bool is_last = i + 1 == parts.size();
    if (!slot.node()) Link(slot, NewNode(is_last ? FileKind::kFile : FileKind::kDirectory));
    NodePtr next = slot.node();
    node->durable_entries[parts[i]] = next;
    node = std::move(next);
  }
  RELAYOUT_CHECK(node->kind == FileKind::kFile);
  RELAYOUT_CHECK(Resize(path, *node, static_cast<int64_t>(bytes.size())).ok());
  node->bytes = bytes;
  node->durable_bytes = bytes;
  Touch(*node);
}

std::optional<std::string> MemoryFileSystem::FileBytes(const std::string& path) const {
  const std::lock_guard guard(mutex_);
  const Lookup found = FindFile(path);
  if (!found.node) return std::nullopt;
  return found.node->bytes;
}

std::vector<Access> MemoryFileSystem::accesses() const {
  const std::lock_guard guard(mutex_);
  return accesses_;
}

void MemoryFileSystem::ClearAccesses() {
  const std::lock_guard guard(mutex_);
  accesses_.clear();
}

void MemoryFileSystem::LoseUnsynced() {
  const std::lock_guard guard(mutex_);
  ++incarnation_;
  used_bytes_ = 0;
  Restore(root_);
  lock_released_.notify_all();
}

void MemoryFileSystem::Restore(const NodePtr& node) {
  // By another name already.
  if (std::exchange(node->incarnation, incarnation_) == incarnation_) {
    ++node->name_count;
    return;
  }
  node->name_count = 1;
  node->lock = 0;
  node->entries = node->durable_entries;
  node->durable_bytes.resize(node->bytes.size());
  node->bytes = node->durable_bytes;
  used_bytes_ += node->size_bytes();
  for (const auto& [name, child] : node->entries) Restore(child);
}

// --- Open files --------------------------------------------------------------------------------

class MemoryFileSystem::OpenReadable final : public ReadableFile {
 public:
  OpenReadable(MemoryFileSystem& fs, std::string path, NodePtr node)
      : fs_(fs), path_(std::move(path)), node_(std::move(node)), size_bytes_(node_->size_bytes()) {}

  int64_t size_bytes() const override { return size_bytes_; }
  const std::string& path() const override { return path_; }
  Status ReadAt(int64_t offset_bytes, std::span<std::byte> buffer) const override {
    const std::lock_guard guard(fs_.mutex_);
    const auto bytes = std::as_bytes(std::span(node_->bytes));
    RELAYOUT_RETURN_IF_ERROR(ReadFromMemory(path_, bytes, offset_bytes, buffer));
    fs_.Record(Access::kRead, path_, offset_bytes, static_cast<int64_t>(buffer.size()));
    return OkStatus();
  }

 private:
  MemoryFileSystem& fs_;
  const std::string path_;
  const NodePtr node_;
  const int64_t size_bytes_;
};

class MemoryFileSystem::OpenWritable final : public WritableFile {
 public:
  OpenWritable(MemoryFileSystem& fs, std::string path, NodePtr node)
      : fs_(fs), path_(std::move(path)), node_(std::move(node)) {}

  const std::string& path() const override { return path_; }
  Status WriteAt(int64_t offset_bytes, std::span<const std::byte> bytes) override;
  Status Sync() override;
  Status Close() override;

 private:
  MemoryFileSystem& fs_;
  const std::string path_;
  NodePtr node_;  // None once closed.
};

Status MemoryFileSystem::OpenWritable::WriteAt(int64_t offset_bytes,
                                               std::span<const std::byte> bytes) {
  const std::lock_guard guard(fs_.mutex_);
  if (!node_) return ErrnoStatus(EBADF, "cannot write " + path_);
  if (bytes.empty()) return OkStatus();
  if (offset_bytes < 0) return ErrnoStatus(EINVAL, "cannot write " + path_);
  const auto size_bytes = static_cast<int64_t>(bytes.size());
  const auto end_bytes = CheckedAdd(offset_bytes, size_bytes);
  if (!end_bytes) return ErrnoStatus(EFBIG, "cannot write " + path_);
  if (*end_bytes > node_->size_bytes()) {
    RELAYOUT_RETURN_IF_ERROR(fs_.Resize(path_, *node_, *end_bytes));
  }
  std::memcpy(node_->bytes.data() + offset_bytes, bytes.data(), bytes.size());
  fs_.Touch(*node_);
  fs_.Record(Access::kWrite, path_, offset_bytes, size_bytes);
  return OkStatus();
}

Status MemoryFileSystem::OpenWritable::Sync() {
  const std::lock_guard guard(fs_.mutex_);
  if (!node_) return ErrnoStatus(EBADF, "cannot sync " + path_);
  node_->durable_bytes = node_->bytes;
  fs_.Record(Access::kSync, path_);
  return OkStatus();
}

Status MemoryFileSystem::OpenWritable::Close() {
  const std::lock_guard guard(fs_.mutex_);
  node_.reset();
  return OkStatus();
}

Result<std::unique_ptr<ReadableFile>> MemoryFileSystem::OpenForRead(const std::string& path) {
  const std::lock_guard guard(mutex_);
  const Lookup found = FindFile(path);
  if (!found.node) return ErrnoStatus(found.error_number, "cannot open " + path);
  Record(Access::kOpen, path);
  return std::unique_ptr<ReadableFile>(std::make_unique<OpenReadable>(*this, path, found.node));
}

Result<std::unique_ptr<WritableFile>> MemoryFileSystem::OpenForWrite(const std::string& path) {
  const std::lock_guard guard(mutex_);
  const Lookup found = FindFile(path);
  if (!found.node) return ErrnoStatus(found.error_number, "cannot open " + path);
  Record(Access::kOpen, path);
  return std::unique_ptr<WritableFile>(std::make_unique<OpenWritable>(*this, path, found.node));
}

Result<std::unique_ptr<WritableFile>> MemoryFileSystem::CreateForWrite(const std::string& path,
                                                                       int64_t size_bytes) {
  RELAYOUT_CHECK(size_bytes >= 0);
  const std::lock_guard guard(mutex_);
  RELAYOUT_ASSIGN_OR_RETURN(const NodePtr node, CreateFile(path, size_bytes));
  Record(Access::kCreate, path);
  return std::unique_ptr<WritableFile>(std::make_unique<OpenWritable>(*this, path, node));
}

Result<MemoryFileSystem::NodePtr> MemoryFileSystem::CreateFile(const std::string& path,
                                                               int64_t size_bytes) {
  const Slot slot = FindFreeSlot(path);
  if (slot.error_number != 0) return ErrnoStatus(slot.error_number, "cannot create " + path);
  const int64_t free_bytes = capacity_bytes_ - used_bytes_;
  if (size_bytes > free_bytes) return NoSpaceLeft(path, size_bytes, free_bytes);
  NodePtr node = NewNode(FileKind::kFile);
  node->bytes.resize(static_cast<size_t>(size_bytes));
  Link(slot, node);
  return node;
}

// --- Names -------------------------------------------------------------------------------------

Result<FileInfo> MemoryFileSystem::Stat(const std::string& path) {
  const std::lock_guard guard(mutex_);
  const auto [node, error_number] = Find(path);
  if (!node) return ErrnoStatus(error_number, "cannot examine " + path);
  return FileInfo{.kind = node->kind,
                  .size_bytes = node->size_bytes(),
                  .modified_ns = node->modified_ns,
                  .device = 1,
                  .inode = node->inode};
}

Result<std::vector<DirectoryEntry>> MemoryFileSystem::List(const std::string& path) {
  const std::lock_guard guard(mutex_);
  const auto [node, error_number] = Find(path);
  if (!node) return ErrnoStatus(error_number, "cannot list " + path);
  if (node->kind != FileKind::kDirectory) return ErrnoStatus(ENOTDIR, "cannot list " + path);
  std::vector<DirectoryEntry> entries;
  for (const auto& [name, child] : node->entries) entries.push_back({name, child->kind});
  return entries;
}

Status MemoryFileSystem::MakeDirectory(const std::string& path) {
  const std::lock_guard guard(mutex_);
  if (const Lookup found = Find(path); found.node) {
    if (found.node->kind == FileKind::kDirectory) return OkStatus();
    return ErrnoStatus(EEXIST, "cannot create directory " + path);
  }
  const Slot slot = FindSlot(path);
  if (slot.error_number != 0) {
    return ErrnoStatus(slot.error_number, "cannot create directory " + path);
  }
  Link(slot, NewNode(FileKind::kDirectory));
  Record(Access::kMakeDirectory, path);
  return OkStatus();
}

namespace {

// The errno of renaming over what is there; 0 where that is allowed.
int CannotReplace(FileKind moved, FileKind replaced, bool replaced_is_empty) {
  if (replaced != FileKind::kDirectory) return moved == FileKind::kDirectory ? ENOTDIR : 0;
  if (moved != FileKind::kDirectory) return EISDIR;
  return replaced_is_empty ? 0 : ENOTEMPTY;
}

}  // namespace

Status MemoryFileSystem::Rename(const std::string& from, const std::string& to) {
  const std::lock_guard guard(mutex_);
  const auto fail = [&](int error_number) {
    return ErrnoStatus(error_number, Format("cannot rename {} to {}", from, to));
  };
  const Slot source = FindSlot(from);
  if (source.error_number != 0) return fail(source.error_number);
  const NodePtr node = source.node();
  if (!node) return fail(ENOENT);
  if (node->kind == FileKind::kDirectory && IsBelow(to, from)) return fail(EINVAL);
  const Slot target = FindSlot(to);
  if (target.error_number != 0) return fail(target.error_number);
  if (const NodePtr replaced = target.node()) {
    if (replaced == node) return OkStatus();
    const int error_number = CannotReplace(node->kind, replaced->kind, replaced->entries.empty());
    if (error_number != 0) return fail(error_number);
    Unlink(target);
  }
  Unlink(source);
  Link(target, node);
  Record(Access::kRename, to);
  return OkStatus();
}

Status MemoryFileSystem::HardLink(const std::string& from, const std::string& to) {
  const std::lock_guard guard(mutex_);
  const Lookup source = Find(from);
  if (!source.node) return HardLinkStatus(source.error_number, from, to);
  const Slot target = FindFreeSlot(to);
  if (target.error_number != 0) return HardLinkStatus(target.error_number, from, to);
  if (source.node->kind == FileKind::kDirectory) return HardLinkStatus(EISDIR, from, to);
  if (!abilities_.hard_links) return HardLinkStatus(EPERM, from, to);
  Link(target, source.node);
  Record(Access::kLink, to);
  return OkStatus();
}

Status MemoryFileSystem::CloneFile(const std::string& from, const std::string& to) {
  const std::lock_guard guard(mutex_);
  const Lookup source = FindFile(from);
  if (!source.node) return ErrnoStatus(source.error_number, "cannot open " + from);
  const Slot target = FindFreeSlot(to);
  if (target.error_number != 0) return ErrnoStatus(target.error_number, "cannot create " + to);
  if (!abilities_.clones) return CloneStatus(EOPNOTSUPP, from, to);
  RELAYOUT_ASSIGN_OR_RETURN(const NodePtr node, CreateFile(to, source.node->size_bytes()));
  node->bytes = source.node->bytes;
  Record(Access::kClone, to);
  return OkStatus();
}

Status MemoryFileSystem::Remove(const std::string& path, FileKind kind, const char* what) {
  const std::lock_guard guard(mutex_);
  const auto fail = [&](int error_number) { return ErrnoStatus(error_number, what + path); };
  const Slot slot = FindSlot(path);
  if (slot.error_number != 0) return fail(slot.error_number);
  const NodePtr node = slot.node();
  if (!node) return fail(ENOENT);
  if (node->kind != kind) return fail(kind == FileKind::kDirectory ? ENOTDIR : EISDIR);
  if (!node->entries.empty()) return fail(ENOTEMPTY);
  Unlink(slot);
  Record(Access::kRemove, path);
  return OkStatus();
}

Status MemoryFileSystem::RemoveFile(const std::string& path) {
  return Remove(path, FileKind::kFile, "cannot remove ");
}

Status MemoryFileSystem::RemoveDirectory(const std::string& path) {
  return Remove(path, FileKind::kDirectory, "cannot remove directory ");
}

Status MemoryFileSystem::SyncDirectory(const std::string& path) {
  const std::lock_guard guard(mutex_);
  const auto [node, error_number] = Find(path);
  if (!node) return ErrnoStatus(error_number, "cannot sync directory " + path);
  if (node->kind != FileKind::kDirectory) {
    return ErrnoStatus(ENOTDIR, "cannot sync directory " + path);
  }
  node->durable_entries = node->entries;
  Record(Access::kSyncDirectory, path);
  return OkStatus();
}

Result<int64_t> MemoryFileSystem::FreeBytes(const std::string& path) {
  const std::lock_guard guard(mutex_);
  const auto [node, error_number] = Find(path);
  if (!node) return ErrnoStatus(error_number, "cannot tell the free space at " + path);
  return capacity_bytes_ - used_bytes_;
}

std::string MemoryFileSystem::Incarnation() {
  const std::lock_guard guard(mutex_);
  return abilities_.incarnation ? Format("memory {}", incarnation_) : "";
}

// --- Locks -------------------------------------------------------------------------------------

class MemoryFileSystem::HeldLock final : public FileLock {
 public:
  HeldLock(MemoryFileSystem& fs, NodePtr node) : fs_(fs), node_(std::move(node)) {
    number_ = ++fs_.last_lock_;
    node_->lock = number_;
  }
  HeldLock(const HeldLock&) = delete;
  HeldLock& operator=(const HeldLock&) = delete;
  ~HeldLock() override {
    const std::lock_guard guard(fs_.mutex_);
    // After a power cut the file may be locked by someone else.
    if (node_->lock == number_) node_->lock = 0;
    fs_.lock_released_.notify_all();
  }

 private:
  MemoryFileSystem& fs_;
  const NodePtr node_;
  uint64_t number_ = 0;
};

MemoryFileSystem::Lookup MemoryFileSystem::FindOrCreateFile(const std::string& path) {
  Lookup found = FindFile(path);
  if (found.error_number != ENOENT) return found;
  const Slot slot = FindSlot(path);
  if (slot.error_number != 0) return {nullptr, slot.error_number};
  Link(slot, NewNode(FileKind::kFile));
  return {slot.node(), 0};
}

Result<std::unique_ptr<FileLock>> MemoryFileSystem::Lock(const std::string& path, bool wait) {
  std::unique_lock guard(mutex_);
  while (true) {
    // Looked up again after each wait: the name may stand for another file by then.
    const Lookup found = FindOrCreateFile(path);
    if (!found.node) return ErrnoStatus(found.error_number, "cannot lock " + path);
    if (found.node->lock == 0) {
      return std::unique_ptr<FileLock>(std::make_unique<HeldLock>(*this, found.node));
    }
    if (!wait) return LockHeld(path);
    lock_released_.wait(guard);
  }
}

}  // namespace relayout
