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
// A WritableFile that is let go is closed by its destructor, so errors that only closing tells (NFS
// writes late) are lost here: before such a file is published, open it once more, Sync and Close.
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

 private:
  using FilePtr = std::shared_ptr<File>;
  struct Entry {
    std::string path;
    FilePtr file;
  };
  using EntryList = std::list<Entry>;

  // Both expect mutex_ to be held.
  // The file of `path`, which becomes the one used last; nullptr when it is not here.
  FilePtr Use(const std::string& path);
  // Takes in a file that is not here; returns the one let go to make room, if any.
  FilePtr Add(const std::string& path, FilePtr file);

  FileSystem& fs_;
  const size_t capacity_;
  std::mutex mutex_;   // Guards what follows.
  EntryList entries_;  // The one used last in front.
  // The keys are the entries' own paths: a list's elements stay where they are.
  std::unordered_map<std::string_view, typename EntryList::iterator> entry_by_path_;
};

}  // namespace relayout
