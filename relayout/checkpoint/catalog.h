// SPDX-License-Identifier: Apache-2.0
//
// Catalog: what a set of checkpoint files holds, by rank and by name. Headers only; no payload is
// read to build one.
//
// Files with the same values share them (file_values.h), so a rank costs its path and some numbers,
// whatever it holds, and a value 40 bytes beside its name for each *different* file it is in.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "relayout/base/byte_io.h"
#include "relayout/base/index_iterator.h"
#include "relayout/base/name_table.h"
#include "relayout/base/parallel.h"
#include "relayout/base/status.h"
#include "relayout/checkpoint/file_values.h"
#include "relayout/format/file_index.h"
#include "relayout/io/file_system.h"

namespace relayout {

// One rank's file with what it holds.
struct RankFile {
  int64_t rank = 0;
  std::string path;
  FileInfo info;
  // MindSpore's crc_num trailer: the CRC-32 of the first crc_covers_bytes bytes of the file.
  std::optional<uint32_t> crc32;
  int64_t crc_covers_bytes = 0;
  // Lives as long as the catalog. The same object for files that hold the same.
  const FileValues* values = nullptr;
};

// A rank's copy (or slice) of a value. Valid while the catalog lives.
struct HeldValue {
  const RankFile* file;
  ValueView value;

  int64_t rank() const { return file->rank; }
};

class Catalog {
 public:
  // Every name once, in order: rank by rank, in file order.
  class Names {
   public:
    Names(const NameTable& table, const std::vector<uint32_t>& numbers)
        : table_(&table), numbers_(&numbers) {}
    size_t size() const { return numbers_->size(); }
    std::string_view operator[](size_t i) const { return (*table_)[(*numbers_)[i]]; }
    IndexIterator<Names> begin() const { return {this, 0}; }
    IndexIterator<Names> end() const { return {this, size()}; }

   private:
    const NameTable* table_;
    const std::vector<uint32_t>* numbers_;
  };

  // Value `position` of the files of class `file_class`, which hold the same. The places of a name
  // are in ascending class.
  struct Place {
    uint32_t file_class = 0;
    uint32_t position = 0;
  };

  // Reads the indexes of all files with `thread_count` threads. Fails when a file cannot be read or
  // believed. (One file for two ranks is fine: hard-linked replicas.) At no time are more indexes
  // in memory than there are different ones and threads.
  // Names are added to `names`, which a strategy may share; null = its own.
  static Result<Catalog> Open(FileSystem& fs, const std::map<int64_t, std::string>& path_of_rank,
                              int thread_count, std::shared_ptr<NameTable> names = nullptr);

  Catalog(Catalog&&) = default;
  Catalog& operator=(Catalog&&) = default;
  Catalog(const Catalog&) = delete;  // HeldValues point into it.
  Catalog& operator=(const Catalog&) = delete;

  // Ascending ranks.
  const std::vector<RankFile>& files() const { return files_; }
  std::vector<int64_t> Ranks() const;
  bool HasRank(int64_t rank) const { return FileOf(rank) != nullptr; }
  // Null when there is none.
  const RankFile* FileOf(int64_t rank) const;

  Names names() const { return {*table_, names_}; }
  bool Contains(std::string_view name) const { return !PlacesOf(name).empty(); }
  // The holders of `name` in ascending rank; empty when no file holds it. Made for each call, in
  // time proportional to their number: ask once a name.
  std::vector<HeldValue> Holders(std::string_view name) const;
  int64_t HolderCount(std::string_view name) const;
  // The first of Holders(name), or nothing.
  std::optional<HeldValue> FirstHolder(std::string_view name) const;
  // What `rank` holds under `name`, or nothing.
  std::optional<ValueView> Find(int64_t rank, std::string_view name) const {
    return FindAt(rank, PlacesOf(name));
  }
  // The same in two steps, for many ranks and one name.
  std::span<const Place> PlacesOf(std::string_view name) const;
  std::optional<ValueView> FindAt(int64_t rank, std::span<const Place> places) const;
  // How many different files there are, names apart from paths.
  int64_t distinct_file_count() const { return static_cast<int64_t>(classes_.size()); }

  // For other processes of this program. Fails on bytes that are no catalog.
  std::string Serialize() const;
  static Result<Catalog> Deserialize(std::string_view bytes);
  // The same in a larger message, without the names: the reader has them as `names`.
  void Write(ByteWriter& writer) const;
  static Result<Catalog> Read(ByteReader& reader, std::shared_ptr<NameTable> names);
  const std::shared_ptr<NameTable>& name_table() const { return table_; }

 private:
  // Files that hold the same.
  struct FileClass {
    explicit FileClass(FileValues file_values) : values(std::move(file_values)) {}
    FileValues values;
    std::vector<uint32_t> files;  // Ascending positions in files_.
  };
  explicit Catalog(std::shared_ptr<NameTable> table) : table_(std::move(table)) {}
  Status ReadFiles(FileSystem& fs, int thread_count);
  size_t ClassOf(FileValues values, std::unordered_multimap<size_t, size_t>& class_of_hash);
  void AddToClass(size_t file, size_t file_class);
  void FillPlaces();

  std::shared_ptr<NameTable> table_;
  std::vector<RankFile> files_;
  std::vector<uint32_t> class_of_file_;
  std::deque<FileClass> classes_;  // Numbered by their first file. A deque, so that none moves.
  std::vector<uint32_t> names_;    // In order of first appearance.
  // The places of name number i: [place_begins_[i], place_begins_[i + 1]).
  std::vector<uint32_t> place_begins_;
  std::vector<Place> places_;
};

// Checks the crc_num trailers of the files that have one, with `thread_count` threads; reads those
// files whole. Fails naming the first file whose trailer disagrees, with both values.
// Of several processes each checks its share of the files.
Status CheckTrailers(FileSystem& fs, const Catalog& catalog, int thread_count,
                     const WorkShare& share = {});

// The bytes of a small value. @pre SizeBytes(held.value) <= 1 MiB
Result<std::string> ReadSmallValue(FileSystem& fs, const HeldValue& held);

}  // namespace relayout
