// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "relayout/base/check.h"
#include "relayout/base/checked_math.h"
#include "relayout/base/text.h"
#include "relayout/format/mindspore/checkpoint.h"
#include "relayout/format/mindspore/checkpoint_types.h"
#include "relayout/format/mindspore/wire.h"
#include "relayout/format/value_name.h"

namespace relayout {
namespace {

Result<int64_t> CheckedSize(const ValueView& value) {
  RELAYOUT_RETURN_IF_ERROR(CheckName(value.name));
  if (value.kind == ValueKind::kMapTensor) {
    return Unsupported("a map tensor (hash table) cannot be written");
  }
  const auto count = ElementCount(value.shape);
  const auto size = count ? CheckedMul(*count, ElementSize(value.dtype)) : std::nullopt;
  if (!size) return InvalidInput(Format("{} is not a possible shape", ToText(value.shape)));
  if (value.kind == ValueKind::kString && *size % mindspore::kCharacterBytes != 0) {
    return InvalidInput(Format("text of {} bytes is not a multiple of 4", *size));
  }
  return *size;
}

// Makes the headers of a value's records: everything of them but the content. Its buffers serve one
// value after the other.
class HeaderMaker {
 public:
  // dims and tensor_type: the same for all slices of a value.
  void Begin(const ValueView& value) {
    name_ = value.name;
    tensor_start_.clear();
    if (value.kind == ValueKind::kString) {
      AppendNumber(tensor_start_, mindspore::kTensorDims, 0);
      AppendBytes(tensor_start_, mindspore::kTensorType, mindspore::kStringType);
      return;
    }
    for (const int64_t dim : value.shape) {
      AppendNumber(tensor_start_, mindspore::kTensorDims, dim);
    }
    AppendBytes(tensor_start_, mindspore::kTensorType, mindspore::TypeNameOf(value.dtype));
  }

  // Of the record of a slice. Lengths count what they enclose, so it is built from the inside out.
  // Valid until the next call.
  std::string_view Of(int64_t content_bytes) {
    tensor_ = tensor_start_;
    AppendLength(tensor_, mindspore::kTensorContent, content_bytes);
    value_.clear();
    AppendBytes(value_, mindspore::kValueTag, name_);
    AppendLength(value_, mindspore::kValueTensor, std::ssize(tensor_) + content_bytes);
    value_ += tensor_;
    record_.clear();
    AppendLength(record_, mindspore::kCheckpointValue, std::ssize(value_) + content_bytes);
    return record_ += value_;
  }

 private:
  std::string_view name_;
  std::string tensor_start_;
  std::string tensor_;
  std::string value_;
  std::string record_;
};

// Lays out one value after the other.
class FileLayout {
 public:
  FileLayout(int64_t slice_bytes, LayoutSink& sink) : slice_bytes_(slice_bytes), sink_(sink) {}

  Status Add(const ValueView& value) {
    const auto size = CheckedSize(value);
    if (!size.ok()) return size.status().WithContext(Printable(value.name));
    headers_.Begin(value);
    extents_.clear();
    int64_t done = 0;
    do {  // Once also for a value without bytes, which would be lost otherwise.
      const int64_t slice = std::min(slice_bytes_, *size - done);
      RELAYOUT_RETURN_IF_ERROR(AddRecord(value.name, slice));
      done += slice;
    } while (done < *size);
    sink_.AddExtents(extents_);
    return OkStatus();
  }

  int64_t size_bytes() const { return size_bytes_; }

 private:
  Status AddRecord(std::string_view name, int64_t content_bytes) {
    const std::string_view header = headers_.Of(content_bytes);
    RELAYOUT_RETURN_IF_ERROR(sink_.AddHeader(size_bytes_, header));
    const auto begin = CheckedAdd(size_bytes_, std::ssize(header));
    const auto end = begin ? CheckedAdd(*begin, content_bytes) : std::nullopt;
    if (!end) {
      return InvalidInput(Format("{}: the file would have more than 2^63 bytes", Printable(name)));
    }
    if (content_bytes > 0) extents_.push_back({*begin, content_bytes});
    size_bytes_ = *end;
    return OkStatus();
  }

  const int64_t slice_bytes_;
  LayoutSink& sink_;
  int64_t size_bytes_ = 0;
  HeaderMaker headers_;
  std::vector<Extent> extents_;  // Of one value.
};

}  // namespace

Result<FileImage> LayOutMindSporeCheckpoint(std::span<const StoredValue> values,
                                            int64_t slice_bytes) {
  std::unordered_set<std::string_view> names;
  for (const StoredValue& value : values) {
    if (!names.insert(value.name).second) {
      return InvalidInput(Format("{}: a second value of this name", Printable(value.name)));
    }
  }
  FileImage image;
  RELAYOUT_ASSIGN_OR_RETURN(
      image.size_bytes,
      LayOutMindSporeCheckpoint(
          values.size(), [values](size_t i) { return ValueView(values[i]); }, image, slice_bytes));
  return image;
}

Result<int64_t> LayOutMindSporeCheckpoint(size_t count,
                                          const std::function<ValueView(size_t)>& value_at,
                                          LayoutSink& sink, int64_t slice_bytes) {
  RELAYOUT_CHECK(slice_bytes > 0);
  FileLayout layout(slice_bytes, sink);
  for (size_t i = 0; i < count; ++i) RELAYOUT_RETURN_IF_ERROR(layout.Add(value_at(i)));
  return layout.size_bytes();
}

}  // namespace relayout
