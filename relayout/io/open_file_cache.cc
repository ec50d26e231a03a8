// SPDX-License-Identifier: Apache-2.0
#include "relayout/io/open_file_cache.h"

#include <type_traits>
#include <utility>

#include "relayout/base/check.h"

namespace relayout {
namespace {

template <typename File>
Result<std::unique_ptr<File>> Open(FileSystem& fs, const std::string& path) {
  if constexpr (std::is_same_v<File, WritableFile>) {
    return fs.OpenForWrite(path);
  } else {
    return fs.OpenForRead(path);
  }
}

}  // namespace

template <typename File>
OpenFileCache<File>::OpenFileCache(FileSystem& fs, int64_t capacity)
    : fs_(fs), capacity_(static_cast<size_t>(capacity)) {
  RELAYOUT_CHECK(capacity >= 1);
}

template <typename File>
Result<std::shared_ptr<File>> OpenFileCache<File>::Get(const std::string& path) {
  {
    const std::lock_guard guard(mutex_);
    if (FilePtr file = Use(path)) return file;
  }
  RELAYOUT_ASSIGN_OR_RETURN(std::unique_ptr<File> owned, Open<File>(fs_, path));
  FilePtr opened = Share(std::move(owned), close_failure_);
  // Declared before the guard, so that what is let go is closed after the lock is released.
  FilePtr let_go;
  const std::lock_guard guard(mutex_);
  if (FilePtr file = Use(path)) return file;  // Another thread was first.
  let_go = Add(path, opened);
  return opened;
}

template <typename File>
typename OpenFileCache<File>::FilePtr OpenFileCache<File>::Use(const std::string& path) {
  const auto found = entry_by_path_.find(path);
  if (found == entry_by_path_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->file;
}

template <typename File>
typename OpenFileCache<File>::FilePtr OpenFileCache<File>::Add(const std::string& path,
                                                               FilePtr file) {
  entries_.push_front({path, std::move(file)});
  entry_by_path_.emplace(entries_.front().path, entries_.begin());
  if (entries_.size() <= capacity_) return nullptr;
  entry_by_path_.erase(entries_.back().path);
  FilePtr let_go = std::move(entries_.back().file);
  entries_.pop_back();
  return let_go;
}

template <typename File>
typename OpenFileCache<File>::FilePtr OpenFileCache<File>::Share(
    std::unique_ptr<File> file, const std::shared_ptr<CloseFailure>& failure) {
  if constexpr (std::is_same_v<File, WritableFile>) {
    return FilePtr(file.release(), [failure](WritableFile* closing) {
      const std::unique_ptr<WritableFile> owner(closing);
      const Status status = owner->Close();
      const std::lock_guard guard(failure->mutex);
      if (failure->first.ok()) failure->first = status;
    });
  } else {
    return file;
  }
}

template <typename File>
Status OpenFileCache<File>::CloseAll() {
  EntryList let_go;
  {
    const std::lock_guard guard(mutex_);
    entry_by_path_.clear();
    let_go.swap(entries_);
  }
  let_go.clear();
  const std::lock_guard guard(close_failure_->mutex);
  return close_failure_->first;
}

template class OpenFileCache<ReadableFile>;
template class OpenFileCache<WritableFile>;

}  // namespace relayout
