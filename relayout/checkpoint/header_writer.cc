// SPDX-License-Identifier: Apache-2.0
#include "relayout/checkpoint/header_writer.h"

#include <array>
#include <span>

#include "relayout/base/check.h"

namespace relayout {
namespace {

// As the executor's: the page cache takes aligned stretches of this size best.
constexpr int64_t kWriteAlignmentBytes = int64_t{256} << 10;
// A page: where both neighbours are written, what is between them costs nothing more.
constexpr int64_t kMaxGapBytes = 4096;
constexpr std::array<char, kMaxGapBytes> kZeros{};

}  // namespace

Status HeaderWriter::Add(int64_t offset_bytes, std::string_view header) {
  const int64_t gap = offset_bytes - end_bytes();
  RELAYOUT_CHECK(gap >= 0);
  if (gap <= (gaps_ == Gaps::kZeros ? kMaxGapBytes : 0)) {
    RELAYOUT_RETURN_IF_ERROR(Append({kZeros.data(), static_cast<size_t>(gap)}));
  } else {
    RELAYOUT_RETURN_IF_ERROR(Flush());
    begin_bytes_ = offset_bytes;
  }
  return Append(header);
}

Status HeaderWriter::Append(std::string_view bytes) {
  while (!bytes.empty()) {
    const int64_t room = kWriteAlignmentBytes - end_bytes() % kWriteAlignmentBytes;
    const std::string_view piece = bytes.substr(0, static_cast<size_t>(room));
    buffer_ += piece;
    bytes.remove_prefix(piece.size());
    if (std::ssize(piece) == room) RELAYOUT_RETURN_IF_ERROR(Flush());
  }
  return OkStatus();
}

Status HeaderWriter::Flush() {
  if (buffer_.empty()) return OkStatus();
  RELAYOUT_RETURN_IF_ERROR(file_.WriteAt(begin_bytes_, std::as_bytes(std::span(buffer_))));
  begin_bytes_ = end_bytes();
  buffer_.clear();
  return OkStatus();
}

}  // namespace relayout
