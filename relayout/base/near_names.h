// SPDX-License-Identifier: Apache-2.0
//
// What somebody may have meant who typed a name that does not exist.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace relayout {

// Collects, from names shown one by one, those nearest to `wanted`: names that contain it and
// names that a few typing errors turn into it.
//
//   NearNames near("layer1.wieght");
//   near.Consider("layer1.weight");
//   near.Consider("embedding");
//   near.Best()   // {"layer1.weight"}
class NearNames {
 public:
  explicit NearNames(std::string_view wanted) : wanted_(wanted) {}

  void Consider(std::string_view name);
  // At most `limit`, the nearest first, equally near ones in the order in which they were shown.
  std::vector<std::string> Best(size_t limit = 5) const;
  // These for a message: "; near it: a, b"; `otherwise` when there are none.
  std::string Hint(std::string_view otherwise) const;

 private:
  struct Candidate {
    size_t distance = 0;
    std::string name;
  };

  std::string wanted_;
  std::vector<Candidate> candidates_;  // Ascending distance; a few.
};

// The least number of characters to insert, delete or replace that makes `a` into `b`.
size_t EditDistance(std::string_view a, std::string_view b);

}  // namespace relayout
