// SPDX-License-Identifier: Apache-2.0
#include "relayout/io/byte_stream.h"

#include <algorithm>
#include <array>

#include "relayout/base/text.h"

namespace relayout {
namespace {

// Large enough that a read costs little, small enough for the second-level cache.
constexpr int64_t kInputBytes = int64_t{1} << 18;

}  // namespace

Result<size_t> ByteStream::Read(std::span<std::byte> buffer) {
  RELAYOUT_RETURN_IF_ERROR(Begin());
  return inflater_ ? ReadGzip(buffer) : ReadPlain(buffer);
}

Result<std::optional<int64_t>> ByteStream::BytesLeft() {
  RELAYOUT_RETURN_IF_ERROR(Begin());
  if (inflater_) return std::optional<int64_t>();
  return std::optional(file_.size_bytes() - position_);
}

Status ByteStream::Begin() {
  if (begun_) return OkStatus();
  begun_ = true;
  std::array<std::byte, 2> first{};
  if (file_.size_bytes() < std::ssize(first)) return OkStatus();
  RELAYOUT_RETURN_IF_ERROR(file_.ReadAt(0, first));
  if (IsGzip(first)) inflater_.emplace();
  return OkStatus();
}

Result<size_t> ByteStream::ReadPlain(std::span<std::byte> buffer) {
  const auto size =
      static_cast<size_t>(std::min<int64_t>(std::ssize(buffer), file_.size_bytes() - position_));
  RELAYOUT_RETURN_IF_ERROR(file_.ReadAt(position_, buffer.first(size)));
  position_ += static_cast<int64_t>(size);
  return size;
}

Result<size_t> ByteStream::ReadGzip(std::span<std::byte> buffer) {
  size_t filled = 0;
  while (filled < buffer.size()) {
    RELAYOUT_RETURN_IF_ERROR(FillInput());
    const bool at_end = remaining_.empty();
    if (at_end && !inside_member_) break;
    const auto step = inflater_->Inflate(remaining_, buffer.subspan(filled));
    if (!step.ok()) {
      return step.status().WithContext(
          Format("{}: gzip, before byte {} of {}", file_.path(), position_, file_.size_bytes()));
    }
    // A member may hold output that found no room before, so the end of the file is not its end.
    if (at_end && step->produced == 0 && !step->member_ended) {
      return InvalidInput(
          Format("{}: gzip that ends at byte {}, inside its compressed data; was all of it copied?",
                 file_.path(), position_));
    }
    remaining_ = remaining_.subspan(step->consumed);
    filled += step->produced;
    inside_member_ = !step->member_ended;
  }
  return filled;
}

// Makes `remaining_` the next bytes of the file when there are none left; empty at its end.
Status ByteStream::FillInput() {
  const int64_t size = std::min(kInputBytes, file_.size_bytes() - position_);
  if (!remaining_.empty() || size == 0) return OkStatus();
  input_.resize(static_cast<size_t>(size));
  RELAYOUT_RETURN_IF_ERROR(file_.ReadAt(position_, input_));
  position_ += size;
  remaining_ = input_;
  return OkStatus();
}

}  // namespace relayout
