// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "relayout/base/checked_math.h"
#include "relayout/base/text.h"
#include "relayout/format/mindspore/checkpoint.h"
#include "relayout/format/mindspore/checkpoint_types.h"
#include "relayout/format/mindspore/crc_trailer.h"
#include "relayout/format/mindspore/wire.h"
#include "relayout/format/value_name.h"

namespace relayout {
namespace {

// Several headers of small tensors fit, a tensor's bytes do not.
constexpr int64_t kWindowBytes = 4096;
constexpr int64_t kMaxTypeBytes = 64;

// One record as it stands in the file, before it is joined with its neighbours.
struct Record {
  int64_t offset_bytes = 0;
  std::string tag;
  bool is_map = false;
  std::string type;
  std::vector<int64_t> dims;
  Extent content;
};

Extent ToExtent(const WireRange& range) { return {range.begin_bytes, range.size_bytes()}; }

// The first bytes of a file, as far as it has them.
using Start = std::array<uint8_t, 9>;

Result<Start> ReadStart(WireWindow& window, const ReadableFile& file) {
  Start start{};
  for (size_t i = 0; i < start.size() && static_cast<int64_t>(i) < file.size_bytes(); ++i) {
    RELAYOUT_ASSIGN_OR_RETURN(start[i], window.ByteAt(static_cast<int64_t>(i)));
  }
  return start;
}

// MindSpore encrypts whole files; each begins with 0x7F3A5ED8 (or 9, A), little endian.
Status CheckNotEncrypted(const Start& start) {
  if (start[1] != 0x5E || start[2] != 0x3A || start[3] != 0x7F) return OkStatus();
  const char* cipher = start[0] == 0xD8   ? "AES-GCM"
                       : start[0] == 0xD9 ? "AES-CBC"
                       : start[0] == 0xDA ? "SM4-CBC"
                                          : nullptr;
  if (cipher == nullptr) return OkStatus();
  return Unsupported(
      Format("the file is encrypted ({}); decrypt it in MindSpore first: "
             "load_checkpoint(dec_key=...) then "
             "save_checkpoint",
             cipher));
}

// What a file that is no checkpoint may be, for the end of an error; empty when it could be one.
std::string_view Hint(const Start& start) {
  const bool safetensors = start[8] == '{' && start[4] + start[5] + start[6] + start[7] == 0;
  if (safetensors) {
    return "; this looks like a safetensors file: rename it to end in .safetensors";
  }
  if (start[0] == '{') {
    return "; this looks like JSON text: if it is a strategy, rename it to end in .json";
  }
  if (start[0] == 0x08) return "; this looks like a strategy file";
  if (start[0] != 0x0A) return "; a MindSpore checkpoint begins with the byte 0a";
  return "";
}

Status ParseTensor(WireWindow& window, WireRange range, Record& record) {
  WireCursor tensor(window, range, "the tensor");
  FieldsSeen seen;
  for (WireField field;;) {
    RELAYOUT_ASSIGN_OR_RETURN(const bool more, tensor.Next(field));
    if (!more) break;
    switch (field.number) {
      case mindspore::kTensorDims:
        RELAYOUT_RETURN_IF_ERROR(
            AppendIntegers(window, field, "dims field", kMaxDims, record.dims));
        break;
      case mindspore::kTensorType: {
        RELAYOUT_RETURN_IF_ERROR(seen.Add(field, "tensor_type"));
        RELAYOUT_ASSIGN_OR_RETURN(record.type,
                                  ReadText(window, field, "tensor_type", kMaxTypeBytes));
        break;
      }
      case mindspore::kTensorContent:
        RELAYOUT_RETURN_IF_ERROR(seen.Add(field, "tensor_content"));
        RELAYOUT_RETURN_IF_ERROR(ExpectType(field, WireType::kLength, "tensor_content"));
        record.content = ToExtent(field.payload);
        break;
      default:
        break;
    }
  }
  if (!record.type.empty()) return OkStatus();
  return InvalidInput(Format("the tensor at byte {} has no tensor_type", range.begin_bytes));
}

// The body of a record: its tag was found first, so that errors can name it.
Status ParseBody(WireWindow& window, const WireField& body, Record& record) {
  if (body.number == mindspore::kValueTensor) {
    RELAYOUT_RETURN_IF_ERROR(ExpectType(body, WireType::kLength, "tensor"));
    return ParseTensor(window, body.payload, record);
  }
  RELAYOUT_RETURN_IF_ERROR(ExpectType(body, WireType::kLength, "map tensor"));
  record.is_map = true;
  record.content = ToExtent(body.payload);
  return OkStatus();
}

Result<Record> ParseRecord(WireWindow& window, const WireField& outer) {
  Record record;
  record.offset_bytes = outer.offset_bytes;
  std::optional<WireField> body;
  FieldsSeen seen;
  WireCursor value(window, outer.payload, "the record");
  for (WireField field;;) {
    RELAYOUT_ASSIGN_OR_RETURN(const bool more, value.Next(field));
    if (!more) break;
    if (field.number == mindspore::kValueTag) {
      RELAYOUT_RETURN_IF_ERROR(seen.Add(field, "tag"));
      RELAYOUT_ASSIGN_OR_RETURN(record.tag, ReadText(window, field, "tag", kMaxNameBytes));
    } else if (field.number == mindspore::kValueTensor ||
               field.number == mindspore::kValueMapTensor) {
      if (body) {
        return InvalidInput(Format("a second tensor in the record at byte {}", outer.offset_bytes));
      }
      body = field;
    }
  }
  if (!seen.Has(mindspore::kValueTag)) {
    return InvalidInput(Format("the record at byte {} has no tag", outer.offset_bytes));
  }
  const Status name_status = CheckName(record.tag);
  if (!name_status.ok()) {
    return name_status.WithContext(Format("the record at byte {}", outer.offset_bytes));
  }
  const Status status =
      body ? ParseBody(window, *body, record)
           : InvalidInput(Format("the record at byte {} has no tensor", outer.offset_bytes));
  if (!status.ok()) return status.WithContext(Printable(record.tag));
  return record;
}

std::string DimsText(const std::vector<int64_t>& dims) {
  Dims copy;
  for (const int64_t dim : dims) copy.push_back(dim);
  return ToText(copy);
}

// Collects the records of one tag into one value.
class Joiner {
 public:
  explicit Joiner(ValueSink& sink) : sink_(sink) {}

  size_t count() const { return count_; }

  Status Add(Record record) {
    if (open_ && record.tag == first_.tag) {
      RELAYOUT_RETURN_IF_ERROR(CheckSame(record).WithContext(Printable(first_.tag)));
      Append(record.content);
      return OkStatus();
    }
    RELAYOUT_RETURN_IF_ERROR(Finish());
    Open(std::move(record));
    return OkStatus();
  }

  // Checks and stores the value in hand.
  Status Finish() {
    if (!open_) return OkStatus();
    open_ = false;
    const Status status = Complete();
    if (!status.ok()) return status.WithContext(Printable(first_.tag));
    value_.name = std::move(first_.tag);
    if (!sink_.Add(value_)) {
      return InvalidInput(Format("{}: a second value of this name at byte {}",
                                 Printable(value_.name), first_.offset_bytes));
    }
    if (++count_ > kMaxNames) return InvalidInput(Format("more than {} values", kMaxNames));
    return OkStatus();
  }

 private:
  void Open(Record record) {
    first_ = std::move(record);
    value_ = {};
    stored_bytes_ = 0;
    open_ = true;
    Append(first_.content);
  }

  void Append(Extent content) {
    if (content.size_bytes == 0) return;
    stored_bytes_ += content.size_bytes;  // Extents are disjoint parts of the file: no overflow.
    value_.extents.push_back(content);
  }

  Status CheckSame(const Record& record) const {
    if (record.is_map == first_.is_map && record.type == first_.type &&
        record.dims == first_.dims) {
      return OkStatus();
    }
    if (record.is_map != first_.is_map) {
      return InvalidInput(Format("a tensor and a map tensor at bytes {} and {}",
                                 first_.offset_bytes, record.offset_bytes));
    }
    return InvalidInput(Format("its slices disagree: {}{} at byte {}, {}{} at byte {}",
                               Printable(first_.type), DimsText(first_.dims), first_.offset_bytes,
                               Printable(record.type), DimsText(record.dims), record.offset_bytes));
  }

  // Kind, dtype and shape of value_, from first_ and what was stored.
  Status Complete() {
    if (first_.is_map) {
      value_.kind = ValueKind::kMapTensor;
      return SetBytes();
    }
    for (const int64_t dim : first_.dims) {
      if (dim < 0) return InvalidInput(Format("the dim {} is negative", dim));
    }
    if (first_.type == mindspore::kStringType) {
      value_.kind = ValueKind::kString;
      if (stored_bytes_ % mindspore::kCharacterBytes != 0) {
        return InvalidInput(Format("the text at byte {} has {} bytes, not a multiple of 4",
                                   first_.offset_bytes, stored_bytes_));
      }
      return SetBytes();
    }
    return CompleteTensor();
  }

  Status SetBytes() {
    value_.dtype = DType::kUInt8;
    value_.shape = {stored_bytes_};
    return OkStatus();
  }

  Status CompleteTensor() {
    const auto dtype = mindspore::DTypeOfTypeName(first_.type);
    if (!dtype) {
      return Unsupported(Format("its tensor_type {} is not known", Printable(first_.type)));
    }
    value_.dtype = *dtype;
    for (const int64_t dim : first_.dims) value_.shape.push_back(dim);
    const int64_t element = ElementSize(*dtype);
    if (value_.shape == Dims{0} && stored_bytes_ == element) value_.shape = {};
    const auto count = ElementCount(value_.shape);
    const auto want = count ? CheckedMul(*count, element) : std::nullopt;
    if (!want) {
      return InvalidInput(
          Format("{}{} has more than 2^63 bytes", first_.type, ToText(value_.shape)));
    }
    if (*want == stored_bytes_) return OkStatus();
    return InvalidInput(Format("{}{} needs {} bytes, its content has {} (record at byte {})",
                               first_.type, ToText(value_.shape), *want, stored_bytes_,
                               first_.offset_bytes));
  }

  ValueSink& sink_;
  size_t count_ = 0;
  bool open_ = false;
  Record first_;
  StoredValue value_;
  int64_t stored_bytes_ = 0;
};

Result<FileIndex> ReadRecords(WireWindow& window, const ReadableFile& file, ValueSink& sink) {
  FileIndex index;
  index.format = FileFormat::kMindSporeCheckpoint;
  RELAYOUT_ASSIGN_OR_RETURN(index.crc32, ReadCrcTrailer(file));
  const int64_t end = file.size_bytes() - (index.crc32 ? kCrcTrailerBytes : 0);
  if (index.crc32) index.crc_covers_bytes = end;
  Joiner joiner(sink);
  WireCursor records(window, {0, end}, "the file");
  for (WireField field;;) {
    RELAYOUT_ASSIGN_OR_RETURN(const bool more, records.Next(field));
    if (!more) break;
    if (field.number != mindspore::kCheckpointValue) continue;
    RELAYOUT_RETURN_IF_ERROR(ExpectType(field, WireType::kLength, "record"));
    RELAYOUT_ASSIGN_OR_RETURN(Record record, ParseRecord(window, field));
    RELAYOUT_RETURN_IF_ERROR(joiner.Add(std::move(record)));
  }
  RELAYOUT_RETURN_IF_ERROR(joiner.Finish());
  if (joiner.count() == 0) return InvalidInput("no parameter in the file");
  return index;
}

Result<FileIndex> ReadIndex(const ReadableFile& file, ValueSink& sink) {
  if (file.size_bytes() == 0) return InvalidInput("the file is empty");
  WireWindow window(file, kWindowBytes);
  RELAYOUT_ASSIGN_OR_RETURN(const Start start, ReadStart(window, file));
  RELAYOUT_RETURN_IF_ERROR(CheckNotEncrypted(start));
  Result<FileIndex> index = ReadRecords(window, file, sink);
  const Status status = index.status();
  if (status.code() != StatusCode::kInvalidInput) return index;
  const std::string_view hint = Hint(start);
  if (hint.empty()) return status;
  return InvalidInput(Format("is no MindSpore checkpoint: {}{}", status.message(), hint));
}

}  // namespace

Result<FileIndex> ReadMindSporeCheckpointIndex(const ReadableFile& file, ValueSink& sink) {
  Result<FileIndex> index = ReadIndex(file, sink);
  if (!index.ok()) return index.status().WithContext(file.path());
  return index;
}

}  // namespace relayout
