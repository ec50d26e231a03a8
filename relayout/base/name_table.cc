// SPDX-License-Identifier: Apache-2.0
#include "relayout/base/name_table.h"

#include <algorithm>
#include <limits>

#include "relayout/base/byte_io.h"
#include "relayout/base/check.h"

namespace relayout {

std::pair<uint32_t, bool> NameTable::Add(std::string_view name) {
  if (const auto found = Find(name)) return {*found, false};
  RELAYOUT_CHECK(names_.size() < std::numeric_limits<uint32_t>::max() - 1);
  const auto number = static_cast<uint32_t>(names_.size());
  names_.push_back(Store(name));
  index_.Insert(number, [this](uint32_t i) { return names_[i]; });
  return {number, true};
}

void NameTable::Write(ByteWriter& writer) const {
  writer.Int(static_cast<int64_t>(names_.size()));
  for (const std::string_view name : names_) writer.Text(name);
}

NameTable NameTable::Read(ByteReader& reader) {
  NameTable names;
  for (size_t left = reader.Count(); left > 0; --left) {
    if (!names.Add(reader.Text()).second) reader.Fail();
  }
  return names;
}

std::string_view NameTable::Store(std::string_view name) {
  constexpr size_t kChunkBytes = size_t{64} << 10;
  if (chunk_size_ - chunk_used_ < name.size()) {
    chunk_size_ = std::max(kChunkBytes, name.size());
    chunks_.push_back(std::make_unique_for_overwrite<char[]>(chunk_size_));
    chunk_used_ = 0;
  }
  if (name.empty()) return {};
  char* const begin = chunks_.back().get() + chunk_used_;
  std::copy(name.begin(), name.end(), begin);
  chunk_used_ += name.size();
  return {begin, name.size()};
}

}  // namespace relayout
