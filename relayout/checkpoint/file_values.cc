// SPDX-License-Identifier: Apache-2.0
#include "relayout/checkpoint/file_values.h"

#include <limits>
#include <utility>

#include "relayout/base/check.h"
#include "relayout/base/checked_math.h"

namespace relayout {
namespace {

constexpr int64_t kMaxInt64 = std::numeric_limits<int64_t>::max();

void WriteType(ByteWriter& writer, ValueKind kind, DType dtype, const Dims& shape) {
  writer.Int(static_cast<int64_t>(kind));
  writer.Int(static_cast<int64_t>(dtype));
  WriteDims(writer, shape);
}

// Nothing on overflow.
std::optional<int64_t> CheckedSize(DType dtype, const Dims& shape) {
  const auto count = ElementCount(shape);
  return count ? CheckedMul(*count, ElementSize(dtype)) : std::nullopt;
}

// A list of extents, each told from the end of the one before.
void WriteExtents(ByteWriter& writer, std::span<const Extent> extents, int64_t& position) {
  writer.Int(std::ssize(extents));
  for (const Extent& extent : extents) {
    writer.Int(extent.offset_bytes - position);
    writer.Int(extent.size_bytes);
    position = extent.offset_bytes + extent.size_bytes;
  }
}

std::vector<Extent> ReadExtents(ByteReader& reader, int64_t& position) {
  std::vector<Extent> extents(reader.Count(2));
  for (Extent& extent : extents) {
    extent.offset_bytes = position + reader.IntIn(-position, kMaxInt64 - position);
    extent.size_bytes = reader.IntIn(1, kMaxInt64 - extent.offset_bytes);
    position = extent.offset_bytes + extent.size_bytes;
  }
  return extents;
}

}  // namespace

size_t FileValues::Hash() const {
  uint64_t hash = size();
  const auto mix = [&hash](int64_t number) {
    hash = (hash ^ static_cast<uint64_t>(number)) * 0x9E3779B97F4A7C15U;
    hash ^= hash >> 29;
  };
  for (size_t i = 0; i < size(); ++i) {
    mix(name_of_[i]);
    mix(type_of_[i]);
    for (const Extent& extent : extents_[i]) mix(extent.offset_bytes);
  }
  return static_cast<size_t>(hash);
}

void FileValues::Write(ByteWriter& writer) const {
  writer.Int(std::ssize(types_));
  for (const Type& type : types_) WriteType(writer, type.kind, type.dtype, type.shape);
  writer.Int(static_cast<int64_t>(size()));
  int64_t name = -1;
  int64_t position = 0;
  for (size_t i = 0; i < size(); ++i) {
    writer.Int(name_of_[i] - name);
    writer.Int(type_of_[i]);
    WriteExtents(writer, extents_[i], position);
    name = name_of_[i];
  }
}

FileValues FileValues::Read(ByteReader& reader, const NameTable& names) {
  FileValues values(names);
  for (size_t left = reader.Count(3); left > 0; --left) {
    Type& type = values.types_.emplace_back();
    type.kind =
        static_cast<ValueKind>(reader.IntIn(0, static_cast<int64_t>(ValueKind::kMapTensor)));
    type.dtype = static_cast<DType>(reader.IntIn(0, kDTypeCount - 1));
    type.shape = ReadDims(reader);
    if (!CheckedSize(type.dtype, type.shape)) reader.Fail();
  }
  std::vector<bool> seen(names.size());
  int64_t name = -1;
  int64_t position = 0;
  for (size_t left = reader.Count(3); left > 0; --left) {
    name += reader.IntIn(-name, std::ssize(names) - 1 - name);
    const int64_t type = reader.IntIn(0, std::ssize(values.types_) - 1);
    const std::vector<Extent> extents = ReadExtents(reader, position);
    if (!reader.ok()) break;
    const auto number = static_cast<size_t>(name);
    const Type& of_value = values.types_[static_cast<size_t>(type)];
    if (seen[number] || TotalBytes(extents) != CheckedSize(of_value.dtype, of_value.shape)) {
      reader.Fail();
      break;
    }
    seen[number] = true;
    values.name_of_.push_back(static_cast<uint32_t>(name));
    values.type_of_.push_back(static_cast<uint32_t>(type));
    values.extents_.Add(extents);
  }
  return values;
}

bool FileValuesBuilder::Add(const StoredValue& value) {
  if (guess_ != nullptr) {
    if (MatchesGuess(value)) {
      ++matched_;
      return true;
    }
    LeaveGuess();
  }
  return Append(value);
}

bool FileValuesBuilder::MatchesGuess(const StoredValue& value) const {
  if (matched_ == guess_->size()) return false;
  const ValueView expected = (*guess_)[matched_];
  return value.name == expected.name && value.kind == expected.kind &&
         value.dtype == expected.dtype && value.shape == expected.shape &&
         Equal(value.extents, expected.extents);
}

void FileValuesBuilder::LeaveGuess() {
  const FileValues& guess = *std::exchange(guess_, nullptr);
  for (size_t i = 0; i < matched_; ++i) RELAYOUT_CHECK(Append(guess[i]));
}

bool FileValuesBuilder::Append(const ValueView& value) {
  const uint32_t name = NumberOfName(value.name);
  if (name >= seen_.size()) seen_.resize(name + size_t{1});
  if (seen_[name]) return false;
  seen_[name] = true;
  values_.name_of_.push_back(name);
  values_.type_of_.push_back(NumberOfType(value));
  values_.extents_.Add(value.extents);
  return true;
}

uint32_t FileValuesBuilder::NumberOfName(std::string_view name) {
  if (const auto known = names_.Find(name)) return *known;
  return static_cast<uint32_t>(known_names_) + new_names_.Add(name).first;
}

uint32_t FileValuesBuilder::NumberOfType(const ValueView& value) {
  ByteWriter key;
  WriteType(key, value.kind, value.dtype, value.shape);
  const auto number = static_cast<uint32_t>(values_.types_.size());
  const auto [entry, is_new] = number_of_type_.emplace(key.Take(), number);
  if (is_new) values_.types_.push_back({value.kind, value.dtype, value.shape});
  return entry->second;
}

void FileValuesBuilder::Finish() {
  if (guess_ != nullptr && matched_ < guess_->size()) LeaveGuess();
  seen_ = {};
  number_of_type_ = {};
  values_.name_of_.shrink_to_fit();
  values_.type_of_.shrink_to_fit();
  values_.extents_.Shrink();
}

FileValues FileValuesBuilder::Take(NameTable& names) {
  RELAYOUT_CHECK(guess_ == nullptr && &names == &names_);
  std::vector<uint32_t> number_of_new;
  for (const std::string_view name : new_names_) number_of_new.push_back(names.Add(name).first);
  for (uint32_t& name : values_.name_of_) {
    if (name >= known_names_) name = number_of_new[name - known_names_];
  }
  new_names_ = {};
  return std::move(values_);
}

}  // namespace relayout
