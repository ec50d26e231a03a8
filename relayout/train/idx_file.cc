// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/idx_file.h"

#include <algorithm>
#include <array>
#include <span>

#include "relayout/base/check.h"
#include "relayout/base/gzip.h"
#include "relayout/base/text.h"
#include "relayout/io/byte_stream.h"

namespace relayout {
namespace {

constexpr uint32_t kUnsignedByte = 8;
// By how much an array grows at least while a gzip file is read.
constexpr int64_t kStepBytes = int64_t{1} << 20;

uint32_t MagicOf(size_t dim_count) { return kUnsignedByte << 8 | static_cast<uint32_t>(dim_count); }

std::string WhatItHolds(size_t dim_count) {
  const char* kind = dim_count == 1 ? "labels" : dim_count == 3 ? "images" : "an array";
  return Format("{} (0x{:08x}: u8, {})", kind, MagicOf(dim_count),
                Count(static_cast<int64_t>(dim_count), "dim"));
}

// The header's numbers, read one after the other.
class Header {
 public:
  Header(ByteStream& stream, const std::string& path) : stream_(stream), path_(path) {}

  Result<uint32_t> Next() {
    std::array<std::byte, 4> bytes{};
    RELAYOUT_ASSIGN_OR_RETURN(const size_t size, stream_.Read(bytes));
    size_bytes_ += static_cast<int64_t>(size);
    if (size < bytes.size()) {
      return InvalidInput(
          Format("{}: ends at byte {}, inside the header of an IDX file; was all of "
                 "it copied?",
                 path_, size_bytes_));
    }
    uint32_t number = 0;
    for (const std::byte byte : bytes) number = number << 8 | static_cast<uint32_t>(byte);
    return number;
  }

  int64_t size_bytes() const { return size_bytes_; }

 private:
  ByteStream& stream_;
  const std::string& path_;
  int64_t size_bytes_ = 0;
};

// The name of the type byte of a header; nullptr for what is no type.
const char* TypeName(uint32_t type) {
  switch (type) {
    case 0x08:
      return "u8";
    case 0x09:
      return "i8";
    case 0x0B:
      return "i16";
    case 0x0C:
      return "i32";
    case 0x0D:
      return "f32";
    case 0x0E:
      return "f64";
    default:
      return nullptr;
  }
}

Status CheckMagic(const std::string& path, uint32_t magic, size_t dim_count) {
  if (magic == MagicOf(dim_count)) return OkStatus();
  const char* type = TypeName(magic >> 8);
  if (type == nullptr) {
    return InvalidInput(
        Format("{}: begins with 0x{:08x}, which is no IDX file; wanted: {}. Some servers deliver a "
               "page in place of a file: download it again",
               path, magic, WhatItHolds(dim_count)));
  }
  if (magic >> 8 != kUnsignedByte) {
    return InvalidInput(Format("{}: an IDX file of {} (0x{:08x}); only u8 is read, as MNIST has it",
                               path, type, magic));
  }
  return InvalidInput(
      Format("{}: an IDX file of {}; wanted: {}. Have images and labels changed "
             "places?",
             path, WhatItHolds(magic & 0xFF), WhatItHolds(dim_count)));
}

// What a header says, and where it says it, for messages.
struct Claim {
  std::string path;
  Dims shape;
  int64_t value_count = 0;
  int64_t header_bytes = 0;

  Status Differs(const std::string& real) const {
    return InvalidInput(Format(
        "{}: its header says {}, {} bytes behind {} of header, but {}; download or copy it again",
        path, ToText(shape), value_count, header_bytes, real));
  }
};

Result<Claim> ReadHeader(ByteStream& stream, const std::string& path, size_t dim_count) {
  Header header(stream, path);
  RELAYOUT_ASSIGN_OR_RETURN(const uint32_t magic, header.Next());
  RELAYOUT_RETURN_IF_ERROR(CheckMagic(path, magic, dim_count));
  Claim claim;
  claim.path = path;
  for (size_t i = 0; i < dim_count; ++i) {
    RELAYOUT_ASSIGN_OR_RETURN(const uint32_t dim, header.Next());
    claim.shape.push_back(dim);
  }
  const auto count = ElementCount(claim.shape);
  if (!count) {
    return InvalidInput(Format("{}: its header says {}, which is more than any file holds", path,
                               ToText(claim.shape)));
  }
  claim.value_count = *count;
  claim.header_bytes = header.size_bytes();
  return claim;
}

// Of a plain file everything is known before memory is taken; an array from gzip grows with what
// has come.
Status ReadValues(ByteStream& stream, const Claim& claim, std::vector<uint8_t>& values) {
  RELAYOUT_ASSIGN_OR_RETURN(const std::optional<int64_t> left, stream.BytesLeft());
  if (left && *left != claim.value_count) return claim.Differs(Format("{} follow it", *left));
  int64_t have = 0;
  while (have < claim.value_count) {
    const int64_t step = left ? claim.value_count : std::max(kStepBytes, have);
    const int64_t end = std::min(claim.value_count, have + step);
    values.resize(static_cast<size_t>(end));
    const auto space = std::as_writable_bytes(std::span(values)).subspan(static_cast<size_t>(have));
    RELAYOUT_ASSIGN_OR_RETURN(const size_t size, stream.Read(space));
    have += static_cast<int64_t>(size);
    if (have < end) return claim.Differs(Format("{} follow it", have));
  }
  // Reading on also checks the checksum at the end of gzip.
  std::array<std::byte, 1> behind{};
  RELAYOUT_ASSIGN_OR_RETURN(const size_t more, stream.Read(behind));
  return more == 0 ? OkStatus() : claim.Differs("more follow it");
}

void AppendNumber(uint32_t number, std::string& bytes) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift & 0xFF);
}

}  // namespace

Result<IdxArray> ReadIdx(const ReadableFile& file, size_t dim_count) {
  RELAYOUT_CHECK(1 <= dim_count && dim_count <= kMaxDims);
  ByteStream stream(file);
  RELAYOUT_ASSIGN_OR_RETURN(const Claim claim, ReadHeader(stream, file.path(), dim_count));
  IdxArray array;
  array.shape = claim.shape;
  RELAYOUT_RETURN_IF_ERROR(ReadValues(stream, claim, array.values));
  return array;
}

Result<IdxArray> ReadIdxFile(FileSystem& fs, const std::string& path, size_t dim_count) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto file, fs.OpenForRead(path));
  return ReadIdx(*file, dim_count);
}

std::string IdxBytes(const IdxArray& array) {
  const auto count = ElementCount(array.shape);
  RELAYOUT_CHECK(!array.shape.empty() && count && *count == std::ssize(array.values));
  std::string bytes;
  AppendNumber(MagicOf(array.shape.size()), bytes);
  for (const int64_t dim : array.shape) {
    RELAYOUT_CHECK(dim <= UINT32_MAX);
    AppendNumber(static_cast<uint32_t>(dim), bytes);
  }
  bytes.append(reinterpret_cast<const char*>(array.values.data()), array.values.size());
  return bytes;
}

Status WriteIdxFile(FileSystem& fs, const std::string& path, const IdxArray& array,
                    const IdxWriteOptions& options) {
  const std::string plain = IdxBytes(array);
  const std::string bytes = options.gzip ? GzipCompress(std::as_bytes(std::span(plain))) : plain;
  return PublishFile(fs, path, bytes, options.overwrite);
}

}  // namespace relayout
