// SPDX-License-Identifier: Apache-2.0
#include "relayout/checkpoint/catalog.h"

#include <algorithm>
#include <utility>

#include "relayout/base/parallel.h"
#include "relayout/base/text.h"
#include "relayout/format/checkpoint_file.h"
#include "relayout/format/mindspore/crc_trailer.h"

namespace relayout {
namespace {

Status ReadRankFile(FileSystem& fs, RankFile& file) {
  RELAYOUT_ASSIGN_OR_RETURN(file.info, fs.Stat(file.path));
  RELAYOUT_ASSIGN_OR_RETURN(const auto opened, fs.OpenForRead(file.path));
  RELAYOUT_ASSIGN_OR_RETURN(file.index, ReadFileIndex(*opened));
  return OkStatus();
}

Status CheckTrailer(FileSystem& fs, const RankFile& file) {
  if (!file.index.crc32) return OkStatus();
  RELAYOUT_ASSIGN_OR_RETURN(const auto opened, fs.OpenForRead(file.path));
  RELAYOUT_ASSIGN_OR_RETURN(const uint32_t crc, CrcOfFile(*opened, file.index.crc_covers_bytes));
  if (crc == *file.index.crc32) return OkStatus();
  return InvalidInput(
      Format("{}: damaged: the crc_num trailer says {:08x}, the contents give {:08x}; restore the "
             "file from a backup",
             file.path, *file.index.crc32, crc));
}

}  // namespace

Result<Catalog> Catalog::Open(FileSystem& fs, const std::map<int64_t, std::string>& path_of_rank,
                              int thread_count) {
  Catalog catalog;
  for (const auto& [rank, path] : path_of_rank) {
    catalog.files_.push_back({.rank = rank, .path = path, .info = {}, .index = {}});
  }
  RELAYOUT_RETURN_IF_ERROR(ParallelFor(thread_count, std::ssize(catalog.files_), [&](int64_t i) {
    return ReadRankFile(fs, catalog.files_[static_cast<size_t>(i)]);
  }));
  for (const RankFile& file : catalog.files_) {
    for (const StoredValue& value : file.index.values) {
      std::vector<HeldValue>& holders = catalog.holders_[value.name];
      if (holders.empty()) catalog.names_.push_back(value.name);
      holders.push_back({&file, &value});
    }
  }
  return catalog;
}

std::vector<int64_t> Catalog::Ranks() const {
  std::vector<int64_t> ranks;
  for (const RankFile& file : files_) ranks.push_back(file.rank);
  return ranks;
}

bool Catalog::HasRank(int64_t rank) const {
  return std::any_of(files_.begin(), files_.end(),
                     [rank](const RankFile& file) { return file.rank == rank; });
}

bool Catalog::Contains(std::string_view name) const { return holders_.contains(name); }

const std::vector<HeldValue>& Catalog::Holders(std::string_view name) const {
  static const std::vector<HeldValue> kNone;
  const auto found = holders_.find(name);
  return found == holders_.end() ? kNone : found->second;
}

const StoredValue* Catalog::Find(int64_t rank, std::string_view name) const {
  const std::vector<HeldValue>& holders = Holders(name);
  const auto found =
      std::lower_bound(holders.begin(), holders.end(), rank,
                       [](const HeldValue& held, int64_t r) { return held.rank() < r; });
  return found != holders.end() && found->rank() == rank ? found->value : nullptr;
}

Status CheckTrailers(FileSystem& fs, const Catalog& catalog, int thread_count) {
  return ParallelFor(thread_count, std::ssize(catalog.files()), [&](int64_t i) {
    return CheckTrailer(fs, catalog.files()[static_cast<size_t>(i)]);
  });
}

Result<std::string> ReadSmallValue(FileSystem& fs, const HeldValue& held) {
  const int64_t size = SizeBytes(*held.value);
  RELAYOUT_CHECK(size <= (int64_t{1} << 20));
  RELAYOUT_ASSIGN_OR_RETURN(const auto file, fs.OpenForRead(held.file->path));
  std::string bytes(static_cast<size_t>(size), '\0');
  auto rest = std::as_writable_bytes(std::span(bytes));
  for (const Extent& extent : held.value->extents) {
    const auto piece = static_cast<size_t>(extent.size_bytes);
    RELAYOUT_RETURN_IF_ERROR(file->ReadAt(extent.offset_bytes, rest.first(piece)));
    rest = rest.subspan(piece);
  }
  return bytes;
}

}  // namespace relayout
