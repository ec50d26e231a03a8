// SPDX-License-Identifier: Apache-2.0
//
// Keeps the files that were used last open, so that 10,000 files need neither 10,000 descriptors
// nor an open for every access.
//
//   OpenFileCache<ReadableFile> cache(fs, /*capacity=*/2);
//   cache.Get("a");  cache.Get("b");
//   cache.Get("a");  // Still open.
//   cache.Get("c");  // Opens c and lets go of b, the one used longest ago.
//
// A file that is let go is closed when the last one who got it gives it up. So at most
// capacity + (files held by callers) + (threads inside Get) descriptors are open.
//
// Safe for any number of threads. Files are opened outside the lock, because opening can be slow;
// when two threads open one file at the same time, both get the file of whoever was first.
// The file system must outlive the cache and all files it gave out.
//
// Some file systems (NFS) tell of a failed write only when the file is closed: CloseAll returns the
// first such failure of any WritableFile that was let go.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "relayout/io/file_system.h"

namespace relayout {

// File is ReadableFile, or WritableFile for files that exist and are written by many threads.
template <typename File>
class OpenFileCache {
 public:
  // @pre capacity >= 1
  OpenFileCache(FileSystem& fs, int64_t capacity);

  // The open file `path`. Fails as OpenForRead or OpenForWrite does; failures are not kept.
  Result<std::shared_ptr<File>> Get(const std::string& path);

  // Lets go of all files and returns the first failure to close one, ever. To be complete, callers
  // must have given up all files they got.
  Status CloseAll();

 private:
  using FilePtr = std::shared_ptr<File>;
  struct Entry {
    std::string path;
    FilePtr file;
  };
  using EntryList = std::list<Entry>;
  // Outlives the cache with the last file it gave out.
  struct CloseFailure {
    std::mutex mutex;
    Status first;
  };

  // Closes `file` when its last user is done, and keeps the failure.
  static FilePtr Share(std::unique_ptr<File> file, const std::shared_ptr<CloseFailure>& failure);

  // Both expect mutex_ to be held.
  // The file of `path`, which becomes the one used last; nullptr when it is not here.
  FilePtr Use(const std::string& path);
  // Takes in a file that is not here; returns the one let go to make room, if any.
  FilePtr Add(const std::string& path, FilePtr file);

  FileSystem& fs_;
  const size_t capacity_;
  const std::shared_ptr<CloseFailure> close_failure_ = std::make_shared<CloseFailure>();
  std::mutex mutex_;   // Guards what follows.
  EntryList entries_;  // The one used last in front.
  // The keys are the entries' own paths: a list's elements stay where they are.
  std::unordered_map<std::string_view, typename EntryList::iterator> entry_by_path_;
};

}  // namespace relayout
