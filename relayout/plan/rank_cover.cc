// SPDX-License-Identifier: Apache-2.0
#include "relayout/plan/rank_cover.h"

#include <algorithm>
#include <map>

namespace relayout {
namespace {

constexpr int64_t kMaxSteps = 200'000;

using Need = std::vector<int64_t>;

bool Meets(const std::vector<int64_t>& ranks, const Need& need) {
  return std::any_of(need.begin(), need.end(), [&](int64_t rank) {
    return std::find(ranks.begin(), ranks.end(), rank) != ranks.end();
  });
}

// Needs that contain another need are met by whatever meets that one.
std::vector<Need> WithoutSupersets(const std::set<Need>& needs) {
  std::vector<Need> by_size(needs.begin(), needs.end());
  std::erase_if(by_size, [](const Need& need) { return need.empty(); });
  std::stable_sort(by_size.begin(), by_size.end(),
                   [](const Need& a, const Need& b) { return a.size() < b.size(); });
  std::vector<Need> kept;
  for (const Need& need : by_size) {
    const bool contains_kept = std::any_of(kept.begin(), kept.end(), [&](const Need& small) {
      return std::includes(need.begin(), need.end(), small.begin(), small.end());
    });
    if (!contains_kept) kept.push_back(need);
  }
  return kept;
}

class CoverSearch {
 public:
  explicit CoverSearch(std::vector<Need> needs) : needs_(std::move(needs)) {}

  RankCover Run() {
    best_ = Greedy();
    std::vector<int64_t> chosen;
    Extend(chosen);
    std::sort(best_.begin(), best_.end());
    return {.ranks = best_, .is_minimal = steps_ <= kMaxSteps};
  }

 private:
  // Takes the rank that meets most unmet needs, again and again.
  std::vector<int64_t> Greedy() const {
    std::vector<int64_t> ranks;
    while (true) {
      std::map<int64_t, int64_t> met;
      for (const Need& need : needs_) {
        if (Meets(ranks, need)) continue;
        for (const int64_t rank : need) ++met[rank];
      }
      if (met.empty()) return ranks;
      ranks.push_back(std::max_element(met.begin(), met.end(), [](const auto& a, const auto& b) {
                        return a.second < b.second;
                      })->first);
    }
  }

  // Needs without a common rank must be met one by one: a lower bound on what is still to come.
  int64_t DisjointUnmet(const std::vector<int64_t>& chosen) const {
    std::set<int64_t> used;
    int64_t count = 0;
    for (const Need& need : needs_) {
      if (Meets(chosen, need)) continue;
      if (std::any_of(need.begin(), need.end(), [&](int64_t r) { return used.contains(r); })) {
        continue;
      }
      used.insert(need.begin(), need.end());
      ++count;
    }
    return count;
  }

  void Extend(std::vector<int64_t>& chosen) {
    if (++steps_ > kMaxSteps) return;
    const auto unmet = std::find_if(needs_.begin(), needs_.end(),
                                    [&](const Need& need) { return !Meets(chosen, need); });
    if (unmet == needs_.end()) {
      if (chosen.size() < best_.size()) best_ = chosen;
      return;
    }
    if (std::ssize(chosen) + DisjointUnmet(chosen) >= std::ssize(best_)) return;
    for (const int64_t rank : *unmet) {
      chosen.push_back(rank);
      Extend(chosen);
      chosen.pop_back();
    }
  }

  const std::vector<Need> needs_;
  std::vector<int64_t> best_;
  int64_t steps_ = 0;
};

}  // namespace

RankCover SmallestRankCover(const std::set<std::vector<int64_t>>& needs) {
  return CoverSearch(WithoutSupersets(needs)).Run();
}

}  // namespace relayout
