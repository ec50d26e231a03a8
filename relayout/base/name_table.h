// SPDX-License-Identifier: Apache-2.0
//
// NameTable: distinct names, each stored once and numbered in order of first appearance.
//
//   NameTable names;
//   names.Add("w");   // {0, true}
//   names.Add("b");   // {1, true}
//   names.Add("w");   // {0, false}
//   names[1]          // "b"
//
// A name costs its characters and about 24 bytes; a million names of 45 characters 70 MB.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace relayout {

class ByteReader;
class ByteWriter;

// Finds numbered names whose text lies elsewhere: 6 to 12 bytes a name. `text_of(number)` gives the
// text, the same one for a number at each call.
class NameIndex {
 public:
  template <typename TextOf>
  std::optional<uint32_t> Find(std::string_view name, const TextOf& text_of) const {
    if (slots_.empty()) return std::nullopt;
    const uint32_t slot = slots_[SlotOf(name, text_of)];
    return slot == 0 ? std::nullopt : std::optional(slot - 1);
  }

  // @pre no number with the text of `number` is there; number < 2^32 - 1
  template <typename TextOf>
  void Insert(uint32_t number, const TextOf& text_of) {
    if ((count_ + 1) * 4 > slots_.size() * 3) Grow(text_of);
    slots_[SlotOf(text_of(number), text_of)] = number + 1;
    ++count_;
  }

 private:
  static size_t HashOf(std::string_view name) { return std::hash<std::string_view>()(name); }

  // The slot that holds `name`, or the empty one where it belongs.
  template <typename TextOf>
  size_t SlotOf(std::string_view name, const TextOf& text_of) const {
    const size_t mask = slots_.size() - 1;
    size_t slot = HashOf(name) & mask;
    while (slots_[slot] != 0 && std::string_view(text_of(slots_[slot] - 1)) != name) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  template <typename TextOf>
  void Grow(const TextOf& text_of) {
    std::vector<uint32_t> old(slots_.empty() ? 16 : slots_.size() * 2, 0);
    old.swap(slots_);
    for (const uint32_t number : old) {
      if (number != 0) slots_[SlotOf(text_of(number - 1), text_of)] = number;
    }
  }

  std::vector<uint32_t> slots_;  // Number + 1; 0 = empty. The size is a power of two.
  size_t count_ = 0;
};

class NameTable {
 public:
  NameTable() = default;
  NameTable(NameTable&&) = default;
  NameTable& operator=(NameTable&&) = default;
  NameTable(const NameTable&) = delete;  // Views point into it.
  NameTable& operator=(const NameTable&) = delete;

  // The number of `name`, and whether it is new.
  std::pair<uint32_t, bool> Add(std::string_view name);
  std::optional<uint32_t> Find(std::string_view name) const {
    return index_.Find(name, [this](uint32_t number) { return names_[number]; });
  }

  size_t size() const { return names_.size(); }
  // Valid while the table lives, moved or not.
  std::string_view operator[](size_t number) const { return names_[number]; }
  // In a message for another process. A table that is no table of distinct names fails the reader.
  void Write(ByteWriter& writer) const;
  static NameTable Read(ByteReader& reader);

  auto begin() const { return names_.begin(); }
  auto end() const { return names_.end(); }

 private:
  std::string_view Store(std::string_view name);

  std::vector<std::unique_ptr<char[]>> chunks_;
  size_t chunk_used_ = 0;
  size_t chunk_size_ = 0;
  // One piece: the blocks of a deque would each hold on to a page that a reader's short-lived
  // memory leaves behind. Measured with a million names: 48 MiB.
  std::vector<std::string_view> names_;
  NameIndex index_;
};

}  // namespace relayout
