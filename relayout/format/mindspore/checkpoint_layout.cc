// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>
#include <unordered_set>
#include <utility>

#include "relayout/base/check.h"
#include "relayout/base/checked_math.h"
#include "relayout/base/text.h"
#include "relayout/format/mindspore/checkpoint.h"
#include "relayout/format/mindspore/checkpoint_types.h"
#include "relayout/format/mindspore/wire.h"
#include "relayout/format/value_name.h"

namespace relayout {
namespace {

// dims and tensor_type: the same for all slices of a value.
std::string TensorStart(const StoredValue& value) {
  std::string bytes;
  if (value.kind == ValueKind::kString) {
    AppendNumber(bytes, mindspore::kTensorDims, 0);
    AppendBytes(bytes, mindspore::kTensorType, mindspore::kStringType);
    return bytes;
  }
  for (const int64_t dim : value.shape) AppendNumber(bytes, mindspore::kTensorDims, dim);
  AppendBytes(bytes, mindspore::kTensorType, mindspore::TypeNameOf(value.dtype));
  return bytes;
}

// Everything of a record but its content. Lengths count what they enclose, so it is built from the
// inside out.
std::string RecordHeader(const std::string& name, const std::string& tensor_start,
                         int64_t content_bytes) {
  std::string tensor = tensor_start;
  AppendLength(tensor, mindspore::kTensorContent, content_bytes);
  std::string value;
  AppendBytes(value, mindspore::kValueTag, name);
  AppendLength(value, mindspore::kValueTensor, std::ssize(tensor) + content_bytes);
  value += tensor;
  std::string record;
  AppendLength(record, mindspore::kCheckpointValue, std::ssize(value) + content_bytes);
  return record + value;
}

Result<int64_t> CheckedSize(const StoredValue& value) {
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

class Image {
 public:
  Image(FileImage::Parts parts, size_t count, int64_t slice_bytes)
      : parts_(parts), slice_bytes_(slice_bytes) {
    if (parts != FileImage::Parts::kHeaders) image_.extents.Reserve(count);
  }

  Status Add(const StoredValue& value) {
    RELAYOUT_RETURN_IF_ERROR(CheckName(value.name));
    RELAYOUT_ASSIGN_OR_RETURN(const int64_t size, CheckedSize(value));
    const std::string start = TensorStart(value);
    std::vector<Extent> extents;
    int64_t done = 0;
    do {  // Once also for a value without bytes, which would be lost otherwise.
      const int64_t slice = std::min(slice_bytes_, size - done);
      const std::string header = RecordHeader(value.name, start, slice);
      if (parts_ != FileImage::Parts::kExtents) image_.headers.Add(image_.size_bytes, header);
      image_.size_bytes += std::ssize(header);
      const auto end = CheckedAdd(image_.size_bytes, slice);
      if (!end) return InvalidInput("the file would have more than 2^63 bytes");
      if (slice > 0) extents.push_back({image_.size_bytes, slice});
      image_.size_bytes = *end;
      done += slice;
    } while (done < size);
    if (parts_ != FileImage::Parts::kHeaders) image_.extents.Add(extents);
    return OkStatus();
  }

  FileImage Take() {
    image_.extents.Shrink();
    return std::move(image_);
  }

 private:
  FileImage::Parts parts_;
  int64_t slice_bytes_;
  FileImage image_;
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
  return LayOutMindSporeCheckpoint(
      values.size(), [values](size_t i) { return values[i]; }, FileImage::Parts::kAll, slice_bytes);
}

Result<FileImage> LayOutMindSporeCheckpoint(size_t count,
                                            const std::function<StoredValue(size_t)>& value_at,
                                            FileImage::Parts parts, int64_t slice_bytes) {
  RELAYOUT_CHECK(slice_bytes > 0);
  Image image(parts, count, slice_bytes);
  for (size_t i = 0; i < count; ++i) {
    const StoredValue value = value_at(i);
    const Status status = image.Add(value);
    if (!status.ok()) return status.WithContext(Printable(value.name));
  }
  return image.Take();
}

}  // namespace relayout
