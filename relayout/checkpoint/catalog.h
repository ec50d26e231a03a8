// SPDX-License-Identifier: Apache-2.0
//
// Catalog: what a set of checkpoint files holds, by rank and by name. Headers only; no payload is
// read to build one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/format/file_index.h"
#include "relayout/io/file_system.h"

namespace relayout {

// One rank's file with its index.
struct RankFile {
  int64_t rank = 0;
  std::string path;
  FileInfo info;
  FileIndex index;
};

// A rank's copy (or slice) of a value.
struct HeldValue {
  const RankFile* file = nullptr;
  const StoredValue* value = nullptr;

  int64_t rank() const { return file->rank; }
};

class Catalog {
 public:
  // Reads the indexes of all files with `thread_count` threads. Fails when a file cannot be read or
  // believed. (One file for two ranks is fine: hard-linked replicas.)
  static Result<Catalog> Open(FileSystem& fs, const std::map<int64_t, std::string>& path_of_rank,
                              int thread_count);

  Catalog(Catalog&&) = default;
  Catalog& operator=(Catalog&&) = default;
  Catalog(const Catalog&) = delete;  // HeldValues point into it.
  Catalog& operator=(const Catalog&) = delete;

  // Ascending ranks.
  const std::vector<RankFile>& files() const { return files_; }
  std::vector<int64_t> Ranks() const;
  bool HasRank(int64_t rank) const;

  // Every name once: rank by rank, in file order.
  const std::vector<std::string>& names() const { return names_; }
  bool Contains(std::string_view name) const;
  // The holders of `name` in ascending rank; empty when no file holds it.
  const std::vector<HeldValue>& Holders(std::string_view name) const;
  // What `rank` holds under `name`, or null.
  const StoredValue* Find(int64_t rank, std::string_view name) const;

 private:
  Catalog() = default;

  std::vector<RankFile> files_;
  std::vector<std::string> names_;
  std::unordered_map<std::string_view, std::vector<HeldValue>> holders_;  // Keys point into files_.
};

// Checks the crc_num trailers of the files that have one, with `thread_count` threads; reads those
// files whole. Fails naming the first file whose trailer disagrees, with both values.
Status CheckTrailers(FileSystem& fs, const Catalog& catalog, int thread_count);

// The bytes of a small value. @pre SizeBytes(*held.value) <= 1 MiB
Result<std::string> ReadSmallValue(FileSystem& fs, const HeldValue& held);

}  // namespace relayout
