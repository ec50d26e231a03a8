// SPDX-License-Identifier: Apache-2.0
#include "relayout/base/near_names.h"

#include <algorithm>
#include <numeric>

#include "relayout/base/text.h"

namespace relayout {
namespace {

constexpr size_t kKept = 32;

}  // namespace

void NearNames::Consider(std::string_view name) {
  if (wanted_.empty() || name.empty()) return;
  // A third of the name mistyped is another name.
  const size_t farthest = std::max<size_t>(1, wanted_.size() / 3);
  const bool has_wanted = name.find(wanted_) != std::string_view::npos;
  if (!has_wanted && name.size() + farthest < wanted_.size()) return;
  if (!has_wanted && name.size() > wanted_.size() + farthest) return;
  const size_t distance = has_wanted ? 0 : EditDistance(wanted_, name);
  if (distance > farthest) return;
  const auto after = std::upper_bound(
      candidates_.begin(), candidates_.end(), distance,
      [](size_t value, const Candidate& candidate) { return value < candidate.distance; });
  if (after - candidates_.begin() == kKept) return;
  candidates_.insert(after, {.distance = distance, .name = std::string(name)});
  if (candidates_.size() > kKept) candidates_.pop_back();
}

std::vector<std::string> NearNames::Best(size_t limit) const {
  std::vector<std::string> names;
  for (size_t i = 0; i < std::min(limit, candidates_.size()); ++i) {
    names.push_back(candidates_[i].name);
  }
  return names;
}

std::string NearNames::Hint(std::string_view otherwise) const {
  std::vector<std::string> names = Best();
  if (names.empty()) return std::string(otherwise);
  for (std::string& name : names) name = Printable(name);
  return "; near it: " + JoinLimited(names);
}

size_t EditDistance(std::string_view a, std::string_view b) {
  // row[j]: the distance of what was seen of `a` to the first j characters of `b`.
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace relayout
