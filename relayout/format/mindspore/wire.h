// SPDX-License-Identifier: Apache-2.0
//
// A cursor over the protobuf wire format of a file that may be huge, broken or hostile.
//
// MindSpore's checkpoints and strategies are protobuf messages. A message is a sequence of fields,
// each a tag (number and wire type) with a number, some fixed bytes, or a length and that many
// bytes:
//
//   08 07                     field 1, varint 7
//   12 03 61 62 63            field 2, length 3, "abc"; a nested message looks the same
//
//   WireWindow window(file, 4096);
//   WireCursor message(window, {0, file.size_bytes()}, "the file");
//   WireField field;
//   while (true) {
//     RELAYOUT_ASSIGN_OR_RETURN(const bool more, message.Next(field));
//     if (!more) break;
//     if (field.number == 2) ... WireCursor inner(window, field.payload, "field 2");
//   }
//
// Rules, because nothing in the file is believed:
// * A length is held against the enclosing range before it is used; nothing is allocated from it
//   but strings below a limit that the caller gives.
// * Only the bytes that are asked for are read, in windows: walking the records of a checkpoint
//   never reads the tensors between them.
// * Nothing recurses; the caller opens nested messages by hand, to the depth that it knows.
// * Varints of more than 64 bits, field number 0 and groups (wire types 3 and 4) are errors.
// Errors do not name the file; the caller adds it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/io/file_system.h"

namespace relayout {

// Bytes [begin_bytes, end_bytes) of a file.
struct WireRange {
  int64_t begin_bytes = 0;
  int64_t end_bytes = 0;
  int64_t size_bytes() const { return end_bytes - begin_bytes; }
};

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5 };

struct WireField {
  int64_t offset_bytes = 0;  // Of the tag.
  int64_t number = 0;
  WireType type = WireType::kVarint;
  uint64_t varint = 0;  // Only for kVarint.
  WireRange payload;    // What follows tag and length; empty for kVarint.
};

// The part of a file that is in memory. Reads ahead up to `window_bytes`.
class WireWindow {
 public:
  WireWindow(const ReadableFile& file, int64_t window_bytes);

  // The byte at `offset_bytes`. @pre it lies inside the file
  Result<uint8_t> ByteAt(int64_t offset_bytes);
  // The bytes of a range. @pre it lies inside the file, and is small enough for memory
  Result<std::string> Read(WireRange range);

 private:
  Status Load(int64_t offset_bytes);

  const ReadableFile& file_;
  std::vector<std::byte> buffer_;
  WireRange loaded_;
};

// Steps through the fields of one message.
class WireCursor {
 public:
  // `what` names the message in errors and must outlive the cursor.
  WireCursor(WireWindow& window, WireRange range, std::string_view what)
      : window_(window), position_bytes_(range.begin_bytes), range_(range), what_(what) {}

  // Fills `field` with the next field and skips its payload; false at the end.
  Result<bool> Next(WireField& field);
  // The next number where numbers follow one another without tags (a packed repeated field).
  Result<uint64_t> Varint();
  bool done() const { return position_bytes_ >= range_.end_bytes; }

 private:
  WireWindow& window_;
  int64_t position_bytes_;
  WireRange range_;
  std::string_view what_;
};

// Fails unless the field has this type; `name` says what the field is.
Status ExpectType(const WireField& field, WireType type, std::string_view name);

// Which of the fields that a message may have once were there. protobuf keeps the last of several
// or merges them; here a second one is an error.
class FieldsSeen {
 public:
  // Fails when the field was there before. @pre field.number < 64
  Status Add(const WireField& field, std::string_view name);
  void Note(const WireField& field) { seen_ |= uint64_t{1} << field.number; }
  bool Has(int64_t number) const { return (seen_ >> number & 1) != 0; }

 private:
  uint64_t seen_ = 0;
};

// A LEN field as text of at most `limit_bytes`.
Result<std::string> ReadText(WireWindow& window, const WireField& field, std::string_view name,
                             int64_t limit_bytes);

// Appends the value of a repeated integer field, packed or not, to `values`, which may grow to
// `limit` entries. int64 and int32 are stored sign-extended, so a value is reinterpreted as signed.
Status AppendIntegers(WireWindow& window, const WireField& field, std::string_view name,
                      size_t limit, std::vector<int64_t>& values);

// --- Writing -----------------------------------------------------------------------------------

void AppendVarint(std::string& out, uint64_t value);
// Tag and varint; negative numbers take ten bytes, as in protobuf.
void AppendNumber(std::string& out, int number, int64_t value);
// Tag, length and bytes.
void AppendBytes(std::string& out, int number, std::string_view bytes);
// Tag and length only: the bytes follow from elsewhere.
void AppendLength(std::string& out, int number, int64_t size_bytes);

}  // namespace relayout
