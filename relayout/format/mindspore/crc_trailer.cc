// SPDX-License-Identifier: Apache-2.0
#include "relayout/format/mindspore/crc_trailer.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "relayout/base/hash.h"
#include "relayout/base/text.h"

namespace relayout {
namespace {

constexpr std::string_view kMagic = "crc_num";
constexpr size_t kNumberBytes = 10;
constexpr int64_t kBufferBytes = int64_t{256} << 10;
static_assert(kMagic.size() + kNumberBytes == kCrcTrailerBytes);

}  // namespace

std::string SerializeCrcTrailer(uint32_t crc) {
  std::string trailer(kMagic);
  for (size_t byte = kNumberBytes; byte-- > 0;) {
    trailer += static_cast<char>(byte < sizeof(crc) ? (crc >> (8 * byte)) & 0xFF : 0);
  }
  return trailer;
}

Result<std::optional<uint32_t>> ReadCrcTrailer(const ReadableFile& file) {
  const int64_t begin = file.size_bytes() - kCrcTrailerBytes;
  if (begin < 0) return std::optional<uint32_t>();
  std::array<std::byte, kCrcTrailerBytes> trailer{};
  RELAYOUT_RETURN_IF_ERROR(file.ReadAt(begin, trailer));
  const std::string_view text(reinterpret_cast<const char*>(trailer.data()), trailer.size());
  if (!text.starts_with(kMagic)) return std::optional<uint32_t>();
  uint64_t crc = 0;
  for (const char c : text.substr(kMagic.size())) {
    if (crc > UINT32_MAX) break;  // Shifting on could only lose bits.
    crc = crc << 8 | static_cast<uint8_t>(c);
  }
  if (crc > UINT32_MAX) {
    return InvalidInput(Format("the crc_num trailer at byte {} holds more than 32 bits", begin));
  }
  return std::optional(static_cast<uint32_t>(crc));
}

Result<uint32_t> CrcOfFile(const ReadableFile& file, int64_t size_bytes) {
  std::vector<std::byte> buffer(kBufferBytes);
  uint32_t crc = 0;
  for (int64_t done = 0; done < size_bytes;) {
    const int64_t size = std::min(kBufferBytes, size_bytes - done);
    const auto bytes = std::span(buffer).first(static_cast<size_t>(size));
    RELAYOUT_RETURN_IF_ERROR(file.ReadAt(done, bytes));
    crc = Crc32(crc, bytes);
    done += size;
  }
  return crc;
}

}  // namespace relayout
