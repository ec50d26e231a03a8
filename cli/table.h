// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace relayout::cli {

// A table with left-aligned columns as wide as their longest cell.
class Table {
 public:
  explicit Table(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  // @pre as many cells as the head has
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

  void PrintAll(size_t indent = 0) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace relayout::cli
