// SPDX-License-Identifier: Apache-2.0
//
// FileValues: what one file holds, packed, and shared by all files that hold the same.
//
// The ranks of a pipeline stage save the same names, types and shapes at the same offsets, so their
// indexes are equal to the last byte: a thousand ranks have a handful of different ones. A value
// costs 28 bytes beside its name, which is a number of the catalog's NameTable.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "relayout/base/byte_io.h"
#include "relayout/base/index_iterator.h"
#include "relayout/base/name_table.h"
#include "relayout/format/file_index.h"
#include "relayout/io/byte_range.h"

namespace relayout {

class FileValues {
 public:
  // `names` must outlive the values.
  explicit FileValues(const NameTable& names) : names_(&names) {}

  size_t size() const { return name_of_.size(); }
  // Value i in file order.
  ValueView operator[](size_t i) const {
    const Type& type = types_[type_of_[i]];
    return {(*names_)[name_of_[i]], type.kind, type.dtype, type.shape, extents_[i]};
  }
  IndexIterator<FileValues> begin() const { return {this, 0}; }
  IndexIterator<FileValues> end() const { return {this, size()}; }
  // The number of value i's name in the table.
  uint32_t NameNumber(size_t i) const { return name_of_[i]; }

  // Equal for equal values of one table.
  size_t Hash() const;
  friend bool operator==(const FileValues&, const FileValues&) = default;

  void Write(ByteWriter& writer) const;
  // Fails the reader on what cannot be the values of a file: repeated names, impossible sizes,
  // extents that do not make the value.
  static FileValues Read(ByteReader& reader, const NameTable& names);

 private:
  friend class FileValuesBuilder;
  struct Type {
    ValueKind kind = ValueKind::kTensor;
    DType dtype = DType::kFloat32;
    Dims shape;
    friend bool operator==(const Type&, const Type&) = default;
  };

  const NameTable* names_;
  std::vector<Type> types_;  // Distinct, in order of first use.
  std::vector<uint32_t> name_of_;
  std::vector<uint32_t> type_of_;
  ExtentLists extents_;
};

// Collects the values of one file. While they are those of `guess` (null: no guess) nothing is
// stored. Builders of several threads may use one table, which nobody may change meanwhile.
class FileValuesBuilder : public ValueSink {
 public:
  FileValuesBuilder(const NameTable& names, const FileValues* guess)
      : names_(names), known_names_(names.size()), guess_(guess), values_(names) {}

  bool Add(const StoredValue& value) override;
  // No further value comes. Frees what was reserved for more.
  void Finish();

  // All values were those of the guess, which has no others.
  bool is_guess() const { return guess_ != nullptr; }
  // The values, with names that were new added to `names`, the table of the constructor. Once,
  // after Finish, and not when is_guess().
  FileValues Take(NameTable& names);

 private:
  bool MatchesGuess(const StoredValue& value) const;
  void LeaveGuess();
  bool Append(const ValueView& value);
  uint32_t NumberOfName(std::string_view name);
  uint32_t NumberOfType(const ValueView& value);

  const NameTable& names_;
  const size_t known_names_;
  NameTable new_names_;  // Numbered from known_names_ on.
  std::vector<bool> seen_;
  const FileValues* guess_;
  size_t matched_ = 0;
  FileValues values_;
  std::unordered_map<std::string, uint32_t> number_of_type_;
};

}  // namespace relayout
