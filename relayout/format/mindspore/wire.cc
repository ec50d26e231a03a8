// SPDX-License-Identifier: Apache-2.0
#include "relayout/format/mindspore/wire.h"

#include <algorithm>
#include <cstring>

#include "relayout/base/check.h"
#include "relayout/base/text.h"

namespace relayout {
namespace {

constexpr int kMaxVarintBytes = 10;
constexpr int64_t kMaxFieldNumber = (int64_t{1} << 29) - 1;

std::string_view TypeName(WireType type) {
  switch (type) {
    case WireType::kVarint:
      return "a number";
    case WireType::kFixed64:
      return "8 fixed bytes";
    case WireType::kLength:
      return "a length and bytes";
    case WireType::kFixed32:
      return "4 fixed bytes";
  }
  return "?";
}

}  // namespace

WireWindow::WireWindow(const ReadableFile& file, int64_t window_bytes) : file_(file) {
  // A small file needs no large window.
  buffer_.resize(static_cast<size_t>(std::clamp<int64_t>(file.size_bytes(), 1, window_bytes)));
}

Status WireWindow::Load(int64_t offset_bytes) {
  const int64_t size =
      std::min(std::ssize(buffer_), static_cast<ptrdiff_t>(file_.size_bytes() - offset_bytes));
  RELAYOUT_CHECK(offset_bytes >= 0 && size > 0);
  loaded_ = {};
  RELAYOUT_RETURN_IF_ERROR(
      file_.ReadAt(offset_bytes, std::span(buffer_).first(static_cast<size_t>(size))));
  loaded_ = {offset_bytes, offset_bytes + size};
  return OkStatus();
}

Result<uint8_t> WireWindow::ByteAt(int64_t offset_bytes) {
  if (offset_bytes < loaded_.begin_bytes || offset_bytes >= loaded_.end_bytes) {
    RELAYOUT_RETURN_IF_ERROR(Load(offset_bytes));
  }
  return static_cast<uint8_t>(buffer_[static_cast<size_t>(offset_bytes - loaded_.begin_bytes)]);
}

Result<std::string> WireWindow::Read(WireRange range) {
  std::string text(static_cast<size_t>(range.size_bytes()), '\0');
  if (text.empty()) return text;
  if (range.size_bytes() > std::ssize(buffer_)) {
    RELAYOUT_RETURN_IF_ERROR(
        file_.ReadAt(range.begin_bytes, std::as_writable_bytes(std::span(text))));
    return text;
  }
  if (range.begin_bytes < loaded_.begin_bytes || range.end_bytes > loaded_.end_bytes) {
    RELAYOUT_RETURN_IF_ERROR(Load(range.begin_bytes));
  }
  std::memcpy(text.data(), buffer_.data() + (range.begin_bytes - loaded_.begin_bytes), text.size());
  return text;
}

Result<uint64_t> WireCursor::Varint() {
  uint64_t value = 0;
  const int64_t begin = position_bytes_;
  for (int i = 0; i < kMaxVarintBytes; ++i) {
    if (position_bytes_ >= range_.end_bytes) {
      return InvalidInput(
          Format("truncated: the number at byte {} runs past byte {}, where {} ends", begin,
                 range_.end_bytes, what_));
    }
    RELAYOUT_ASSIGN_OR_RETURN(const uint8_t byte, window_.ByteAt(position_bytes_));
    ++position_bytes_;
    // Nine bytes give 63 bits; the tenth may only add the last one.
    if (i == kMaxVarintBytes - 1 && byte > 1) break;
    value |= static_cast<uint64_t>(byte & 0x7F) << (7 * i);
    if (byte < 0x80) return value;
  }
  return InvalidInput(Format("the number at byte {} in {} has more than 64 bits", begin, what_));
}

Result<bool> WireCursor::Next(WireField& field) {
  if (done()) return false;
  field = {};
  field.offset_bytes = position_bytes_;
  RELAYOUT_ASSIGN_OR_RETURN(const uint64_t tag, Varint());
  const uint64_t number = tag >> 3;
  if (number == 0 || number > kMaxFieldNumber) {
    return InvalidInput(Format("expected a protobuf field at byte {} in {}, found field number {}",
                               field.offset_bytes, what_, number));
  }
  field.number = static_cast<int64_t>(number);
  uint64_t size = 0;
  switch (tag & 7) {
    case 0: {
      RELAYOUT_ASSIGN_OR_RETURN(field.varint, Varint());
      break;
    }
    case 1:
      field.type = WireType::kFixed64;
      size = 8;
      break;
    case 2: {
      field.type = WireType::kLength;
      RELAYOUT_ASSIGN_OR_RETURN(size, Varint());
      break;
    }
    case 5:
      field.type = WireType::kFixed32;
      size = 4;
      break;
    default:
      return InvalidInput(Format("expected a protobuf field at byte {} in {}, found wire type {}",
                                 field.offset_bytes, what_, tag & 7));
  }
  if (size > static_cast<uint64_t>(range_.end_bytes - position_bytes_)) {
    return InvalidInput(Format("truncated: the record at byte {} needs {} bytes, {} ends at {}",
                               field.offset_bytes, size, what_, range_.end_bytes));
  }
  field.payload = {position_bytes_, position_bytes_ + static_cast<int64_t>(size)};
  position_bytes_ = field.payload.end_bytes;
  return true;
}

Status ExpectType(const WireField& field, WireType type, std::string_view name) {
  if (field.type == type) return OkStatus();
  return InvalidInput(Format("expected {} for the {} at byte {}, found {}", TypeName(type), name,
                             field.offset_bytes, TypeName(field.type)));
}

Status FieldsSeen::Add(const WireField& field, std::string_view name) {
  if (Has(field.number)) {
    return InvalidInput(Format("a second {} at byte {}", name, field.offset_bytes));
  }
  Note(field);
  return OkStatus();
}

Result<std::string> ReadText(WireWindow& window, const WireField& field, std::string_view name,
                             int64_t limit_bytes) {
  RELAYOUT_RETURN_IF_ERROR(ExpectType(field, WireType::kLength, name));
  if (field.payload.size_bytes() > limit_bytes) {
    return InvalidInput(Format("the {} at byte {} is {} bytes long; at most {} are accepted", name,
                               field.offset_bytes, field.payload.size_bytes(), limit_bytes));
  }
  return window.Read(field.payload);
}

Status AppendIntegers(WireWindow& window, const WireField& field, std::string_view name,
                      size_t limit, std::vector<int64_t>& values) {
  const auto append = [&](uint64_t value) {
    if (values.size() >= limit) {
      return InvalidInput(
          Format("the {} at byte {} has more than {} entries", name, field.offset_bytes, limit));
    }
    values.push_back(static_cast<int64_t>(value));
    return OkStatus();
  };
  if (field.type == WireType::kVarint) return append(field.varint);
  RELAYOUT_RETURN_IF_ERROR(ExpectType(field, WireType::kLength, name));
  WireCursor packed(window, field.payload, name);
  while (!packed.done()) {
    RELAYOUT_ASSIGN_OR_RETURN(const uint64_t value, packed.Varint());
    RELAYOUT_RETURN_IF_ERROR(append(value));
  }
  return OkStatus();
}

void AppendVarint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out += static_cast<char>((value & 0x7F) | 0x80);
    value >>= 7;
  }
  out += static_cast<char>(value);
}

void AppendNumber(std::string& out, int number, int64_t value) {
  AppendVarint(out, static_cast<uint64_t>(number) << 3);
  AppendVarint(out, static_cast<uint64_t>(value));
}

void AppendLength(std::string& out, int number, int64_t size_bytes) {
  AppendVarint(out, (static_cast<uint64_t>(number) << 3) | 2);
  AppendVarint(out, static_cast<uint64_t>(size_bytes));
}

void AppendBytes(std::string& out, int number, std::string_view bytes) {
  AppendLength(out, number, std::ssize(bytes));
  out += bytes;
}

}  // namespace relayout
