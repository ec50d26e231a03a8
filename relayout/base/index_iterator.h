// SPDX-License-Identifier: Apache-2.0
//
// Range-for over something that makes its items on the fly: it has size() and operator[], and says
//
//   IndexIterator<Names> begin() const { return {this, 0}; }
//   IndexIterator<Names> end() const { return {this, size()}; }
#pragma once

#include <cstddef>

namespace relayout {

template <typename Container>
class IndexIterator {
 public:
  IndexIterator(const Container* container, size_t index) : container_(container), index_(index) {}

  auto operator*() const { return (*container_)[index_]; }
  IndexIterator& operator++() {
    ++index_;
    return *this;
  }
  friend bool operator==(const IndexIterator& a, const IndexIterator& b) {
    return a.index_ == b.index_;
  }

 private:
  const Container* container_;
  size_t index_;
};

}  // namespace relayout
