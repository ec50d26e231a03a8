// SPDX-License-Identifier: Apache-2.0
#include "relayout/checkpoint/file_hash.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "relayout/base/check.h"
#include "relayout/format/mindspore/crc_trailer.h"

namespace relayout {
namespace {

constexpr int64_t kBufferBytes = int64_t{256} << 10;

// The streams that are no values; no value's name is empty.
uint64_t HeaderStream() { return StreamId(""); }
uint64_t TrailerStream() { return StreamId("") + 1; }

// Reads ranges of a file and feeds them to hashers.
class FileHasher {
 public:
  FileHasher(const ReadableFile& file, std::atomic<int64_t>* done_bytes,
             const std::atomic<bool>* cancel)
      : file_(file), done_bytes_(done_bytes), cancel_(cancel), buffer_(kBufferBytes) {}

  // The bytes at `extent` are those of the stream from `position` on.
  Status Add(BlockHasher& hasher, int64_t position, const Extent& extent) {
    for (int64_t done = 0; done < extent.size_bytes;) {
      if (cancel_ != nullptr && *cancel_) return Cancelled("stopped on request");
      const int64_t size = std::min(kBufferBytes, extent.size_bytes - done);
      const auto bytes = std::span(buffer_).first(static_cast<size_t>(size));
      RELAYOUT_RETURN_IF_ERROR(file_.ReadAt(extent.offset_bytes + done, bytes));
      hasher.Add(position + done, bytes);
      done += size;
      if (done_bytes_ != nullptr) *done_bytes_ += size;
    }
    return OkStatus();
  }

  Result<Hash128> Value(const ValueView& value) {
    BlockHasher hasher(StreamId(value.name), TotalBytes(value.extents));
    int64_t position = 0;
    for (const Extent& extent : value.extents) {
      RELAYOUT_RETURN_IF_ERROR(Add(hasher, position, extent));
      position += extent.size_bytes;
    }
    RELAYOUT_CHECK(hasher.torn_blocks().empty());
    return hasher.sum();
  }

 private:
  const ReadableFile& file_;
  std::atomic<int64_t>* const done_bytes_;
  const std::atomic<bool>* const cancel_;
  std::vector<std::byte> buffer_;
};

// What is between the values of a file that ends at `end_bytes`, ascending.
std::vector<Extent> Gaps(const FileValues& values, int64_t end_bytes) {
  std::vector<Extent> taken;
  for (const ValueView& value : values) {
    taken.insert(taken.end(), value.extents.begin(), value.extents.end());
  }
  taken.push_back({end_bytes, 0});
  std::sort(taken.begin(), taken.end(),
            [](const Extent& a, const Extent& b) { return a.offset_bytes < b.offset_bytes; });
  std::vector<Extent> gaps;
  int64_t position = 0;
  for (const Extent& extent : taken) {
    if (extent.offset_bytes > position) {
      gaps.push_back({position, extent.offset_bytes - position});
    }
    position = extent.offset_bytes + extent.size_bytes;
  }
  return gaps;
}

}  // namespace

BlockHasher NewHeaderHasher(int64_t header_bytes) { return {HeaderStream(), header_bytes}; }

Hash128 HashTrailer(std::span<const std::byte> trailer) {
  return BlockTerm(TrailerStream(), 0, trailer);
}

Result<Hash128> HashStoredBlock(const ReadableFile& file, std::string_view name,
                                std::span<const Extent> extents, int64_t block) {
  std::array<std::byte, kHashBlockBytes> buffer{};
  const int64_t begin = block * kHashBlockBytes;
  const int64_t size = std::min(kHashBlockBytes, TotalBytes(extents) - begin);
  if (size < 1) return InvalidInput("a block beyond the end of its value");
  const auto bytes = std::span(buffer).first(static_cast<size_t>(size));
  auto rest = bytes;
  for (const Extent& extent : MapRange(extents, begin, size)) {
    const auto piece = static_cast<size_t>(extent.size_bytes);
    RELAYOUT_RETURN_IF_ERROR(file.ReadAt(extent.offset_bytes, rest.first(piece)));
    rest = rest.subspan(piece);
  }
  return BlockTerm(StreamId(name), block, bytes);
}

Result<std::optional<Hash128>> HashFileWithoutValues(FileSystem& fs, const std::string& path) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto file, fs.OpenForRead(path));
  if (file->size_bytes() == 0) return std::optional(Hash128());
  if (file->size_bytes() != kCrcTrailerBytes) return std::optional<Hash128>();
  std::array<std::byte, kCrcTrailerBytes> trailer{};
  RELAYOUT_RETURN_IF_ERROR(file->ReadAt(0, trailer));
  return std::optional(HashTrailer(trailer));
}

Result<Hash128> HashTextFile(FileSystem& fs, const std::string& path) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto opened, fs.OpenForRead(path));
  FileHasher hasher(*opened, nullptr, nullptr);
  BlockHasher headers = NewHeaderHasher(opened->size_bytes());
  RELAYOUT_RETURN_IF_ERROR(hasher.Add(headers, 0, {0, opened->size_bytes()}));
  return headers.sum();
}

Result<Hash128> HashCheckpointFile(FileSystem& fs, const RankFile& file,
                                   std::atomic<int64_t>* done_bytes,
                                   const std::atomic<bool>* cancel) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto opened, fs.OpenForRead(file.path));
  const int64_t end = file.crc32 ? file.crc_covers_bytes : opened->size_bytes();
  FileHasher hasher(*opened, done_bytes, cancel);
  const std::vector<Extent> gaps = Gaps(*file.values, end);
  BlockHasher headers = NewHeaderHasher(TotalBytes(gaps));
  int64_t position = 0;
  for (const Extent& gap : gaps) {
    RELAYOUT_RETURN_IF_ERROR(hasher.Add(headers, position, gap));
    position += gap.size_bytes;
  }
  Hash128 sum = headers.sum();
  for (const ValueView& value : *file.values) {
    RELAYOUT_ASSIGN_OR_RETURN(const Hash128 term, hasher.Value(value));
    sum += term;
  }
  if (file.crc32) {
    BlockHasher trailer(TrailerStream(), opened->size_bytes() - end);
    RELAYOUT_RETURN_IF_ERROR(hasher.Add(trailer, 0, {end, opened->size_bytes() - end}));
    sum += trailer.sum();
  }
  return sum;
}

}  // namespace relayout
