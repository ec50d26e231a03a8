// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/auto/search.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "relayout/base/check.h"
#include "relayout/infer/auto/candidates.h"
#include "relayout/infer/auto/elimination.h"

namespace relayout {
namespace {

// A candidate for every operator, by OperatorId.
using Choices = std::vector<size_t>;
// Of every operator the candidates that may be chosen, ascending.
using ShortLists = std::vector<std::vector<size_t>>;

constexpr int kMostRounds = 12;
// A round that gains less is the last one.
constexpr double kLeastProgress = 1e-3;
// Rounds are many: each gets a part of the work that a search over everything may take.
constexpr double kRoundsPart = 0.25;
constexpr int kMostPrices = 12;
constexpr size_t kLongestShortList = 64;

class Searcher {
 public:
  Searcher(Candidates& candidates, double work_limit)
      : candidates_(candidates),
        model_(candidates.model()),
        work_limit_(work_limit),
        touching_(operator_count()) {
    for (const CostModel::Edge& edge : model_.edges()) {
      touching_[At(edge.from)].push_back(&edge);
      if (edge.to != edge.from) touching_[At(edge.to)].push_back(&edge);
    }
  }

  struct Found {
    Choices choices;
    bool is_optimal = false;
    int rounds = 0;
  };

  // May be called with one price after another.
  Found Run(double seconds_per_byte_kept) {
    seconds_per_byte_kept_ = seconds_per_byte_kept;
    const ShortLists everything = AllCandidates();
    if (Fits(everything, work_limit_)) return {Cheapest(everything), !IsPruned(), 0};
    if (seeds_.empty()) seeds_ = Seeds();
    Found found;
    found.choices = *std::min_element(
        seeds_.begin(), seeds_.end(),
        [this](const Choices& a, const Choices& b) { return Total(a) < Total(b); });
    for (double cost = Total(found.choices); found.rounds < kMostRounds;) {
      ++found.rounds;
      Choices next = Cheapest(FittingLists(found.choices));
      const double next_cost = Total(next);
      const double progress = (cost - next_cost) / cost;
      if (progress > 0) {
        found.choices = std::move(next);
        cost = next_cost;
      }
      if (progress < kLeastProgress) break;
    }
    // The next price begins with what was good at this one.
    seeds_.insert(seeds_.begin(), found.choices);
    return found;
  }

  double Total(const Choices& choices) {
    double seconds = 0;
    for (size_t id = 0; id < operator_count(); ++id) seconds += NodeSeconds(id, choices[id]);
    for (const CostModel::Edge& edge : model_.edges()) {
      seconds += candidates_.EdgeSeconds(edge, choices[At(edge.from)], choices[At(edge.to)]);
    }
    return seconds;
  }

  // What `candidate` of an operator and its edges cost while the others are as in `choices`.
  double LocalSeconds(size_t id, size_t candidate, const Choices& choices) {
    double seconds = NodeSeconds(id, candidate);
    for (const CostModel::Edge* edge : touching_[id]) {
      const size_t from = At(edge->from) == id ? candidate : choices[At(edge->from)];
      const size_t to = At(edge->to) == id ? candidate : choices[At(edge->to)];
      seconds += candidates_.EdgeSeconds(*edge, from, to);
    }
    return seconds;
  }

 private:
  static size_t At(OperatorId id) { return static_cast<size_t>(id); }
  size_t operator_count() const { return model_.graph().operators().size(); }
  const CandidateList& Of(size_t id) const { return candidates_.Of(static_cast<OperatorId>(id)); }

  double NodeSeconds(size_t id, size_t candidate) const {
    const CandidateList& list = Of(id);
    return list.seconds[candidate] + list.bytes_kept[candidate] * seconds_per_byte_kept_;
  }

  bool IsPruned() const {
    for (size_t id = 0; id < operator_count(); ++id) {
      if (Of(id).is_pruned) return true;
    }
    return false;
  }

  ShortLists AllCandidates() const {
    ShortLists lists(operator_count());
    for (size_t id = 0; id < operator_count(); ++id) {
      lists[id].resize(Of(id).size());
      std::iota(lists[id].begin(), lists[id].end(), size_t{0});
    }
    return lists;
  }

  // A solver that knows how many choices there are and who is joined to whom. Its tables are
  // filled only to solve.
  CheapestChoice MakeSolver(const ShortLists& lists, bool fill) {
    std::vector<int> counts;
    for (const std::vector<size_t>& list : lists) counts.push_back(static_cast<int>(list.size()));
    CheapestChoice solver(counts);
    for (size_t id = 0; fill && id < lists.size(); ++id) {
      std::vector<double> table;
      for (const size_t candidate : lists[id]) table.push_back(NodeSeconds(id, candidate));
      solver.AddTable(static_cast<int>(id), std::move(table));
    }
    for (const CostModel::Edge& edge : model_.edges()) AddEdge(edge, lists, fill, solver);
    return solver;
  }

  void AddEdge(const CostModel::Edge& edge, const ShortLists& lists, bool fill,
               CheapestChoice& solver) {
    const std::vector<size_t>& from = lists[At(edge.from)];
    const std::vector<size_t>& to = lists[At(edge.to)];
    if (!fill) {
      if (edge.from != edge.to) solver.Join(edge.from, edge.to);
      return;
    }
    std::vector<double> table;
    if (edge.from == edge.to) {
      for (const size_t c : from) table.push_back(candidates_.EdgeSeconds(edge, c, c));
      solver.AddTable(edge.from, std::move(table));
      return;
    }
    table.reserve(from.size() * to.size());
    for (const size_t a : from) {
      for (const size_t b : to) table.push_back(candidates_.EdgeSeconds(edge, a, b));
    }
    solver.AddTable(edge.from, edge.to, std::move(table));
  }

  bool Fits(const ShortLists& lists, double work_limit) {
    return MakeSolver(lists, /*fill=*/false).Work(work_limit) <= work_limit;
  }

  Choices Cheapest(const ShortLists& lists) {
    const CheapestChoice::Solution solution = MakeSolver(lists, /*fill=*/true).Solve();
    Choices choices;
    for (size_t id = 0; id < lists.size(); ++id) {
      choices.push_back(lists[id][static_cast<size_t>(solution.choices[id])]);
    }
    return choices;
  }

  std::vector<Choices> Seeds() {
    std::vector<Choices> seeds;
    const int64_t device_count =
        operator_count() == 0 ? 1 : Of(0).layouts[0].inputs[0].device_count();
    for (int64_t d = 1; d <= device_count; ++d) {
      if (device_count % d == 0) seeds.push_back(Sweep(d));
    }
    return seeds;
  }

  // In the order of the network: first dims cut by `first_dim_pieces` where that is possible.
  Choices Sweep(int64_t first_dim_pieces) {
    Choices choices(operator_count(), 0);
    for (size_t id = 0; id < operator_count(); ++id) {
      double best = std::numeric_limits<double>::infinity();
      bool best_fits = false;
      for (size_t candidate = 0; candidate < Of(id).size(); ++candidate) {
        const Layout& output = Of(id).layouts[candidate].outputs[0];
        const bool fits = output.dim_count() > 0 && output.mesh_count(0) == first_dim_pieces;
        if (best_fits && !fits) continue;
        const double seconds = SecondsSoFar(id, candidate, choices);
        if (fits == best_fits && seconds >= best) continue;
        best = seconds;
        best_fits = fits;
        choices[id] = candidate;
      }
    }
    return choices;
  }

  // As LocalSeconds, without the users, which have not been chosen.
  double SecondsSoFar(size_t id, size_t candidate, const Choices& choices) {
    double seconds = NodeSeconds(id, candidate);
    for (const CostModel::Edge* edge : touching_[id]) {
      if (At(edge->to) != id) continue;
      const size_t from = At(edge->from) == id ? candidate : choices[At(edge->from)];
      seconds += candidates_.EdgeSeconds(*edge, from, candidate);
    }
    return seconds;
  }

  // Short lists that are as long as the work allows.
  ShortLists FittingLists(const Choices& best) {
    const ShortLists ranked = Ranked(best);
    for (; short_length_ > 1; short_length_ = short_length_ * 3 / 4) {
      ShortLists lists = MakeLists(best, ranked, short_length_);
      if (Fits(lists, work_limit_ * kRoundsPart)) return lists;
    }
    return MakeLists(best, ranked, 1);
  }

  // Of every operator its best candidates beside the others' choices, the cheapest first.
  ShortLists Ranked(const Choices& best) {
    ShortLists ranked(operator_count());
    for (size_t id = 0; id < operator_count(); ++id) {
      std::vector<std::pair<double, size_t>> order;
      for (size_t candidate = 0; candidate < Of(id).size(); ++candidate) {
        order.emplace_back(LocalSeconds(id, candidate, best), candidate);
      }
      const size_t length = std::min(order.size(), kLongestShortList);
      std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(length),
                        order.end());
      for (size_t i = 0; i < length; ++i) ranked[id].push_back(order[i].second);
    }
    return ranked;
  }

  // The best first, then the seeds' and the ranked ones in turns.
  ShortLists MakeLists(const Choices& best, const ShortLists& ranked, size_t length) const {
    ShortLists lists(operator_count());
    for (size_t id = 0; id < operator_count(); ++id) {
      std::vector<size_t>& list = lists[id];
      const auto add = [&list, length](size_t candidate) {
        const bool known = std::find(list.begin(), list.end(), candidate) != list.end();
        if (!known && list.size() < length) list.push_back(candidate);
      };
      add(best[id]);
      for (size_t i = 0; i < std::max(seeds_.size(), ranked[id].size()); ++i) {
        if (i < ranked[id].size()) add(ranked[id][i]);
        if (i < seeds_.size()) add(seeds_[i][id]);
      }
      std::sort(list.begin(), list.end());
    }
    return lists;
  }

  Candidates& candidates_;
  const CostModel& model_;
  double seconds_per_byte_kept_ = 0;
  double work_limit_;
  std::vector<Choices> seeds_;
  size_t short_length_ = kLongestShortList;
  std::vector<std::vector<const CostModel::Edge*>> touching_;  // By OperatorId.
};

double BytesKept(const Candidates& candidates, const Choices& choices) {
  double bytes = 0;
  for (size_t id = 0; id < choices.size(); ++id) {
    bytes += candidates.Of(static_cast<OperatorId>(id)).bytes_kept[choices[id]];
  }
  return bytes;
}

// The step without the price of memory.
double StepSeconds(Candidates& candidates, const Choices& choices) {
  double seconds = 0;
  for (size_t id = 0; id < choices.size(); ++id) {
    seconds += candidates.Of(static_cast<OperatorId>(id)).seconds[choices[id]];
  }
  for (const CostModel::Edge& edge : candidates.model().edges()) {
    seconds += candidates.EdgeSeconds(edge, choices[static_cast<size_t>(edge.from)],
                                      choices[static_cast<size_t>(edge.to)]);
  }
  return seconds;
}

std::vector<RunnerUp> RunnersUp(const Candidates& candidates, Searcher& searcher,
                                const Choices& choices) {
  std::vector<RunnerUp> runners_up(choices.size());
  for (size_t id = 0; id < choices.size(); ++id) {
    const CandidateList& list = candidates.Of(static_cast<OperatorId>(id));
    const double chosen = searcher.LocalSeconds(id, choices[id], choices);
    double best = std::numeric_limits<double>::infinity();
    for (size_t candidate = 0; candidate < list.size(); ++candidate) {
      if (candidate == choices[id]) continue;
      const double extra = searcher.LocalSeconds(id, candidate, choices) - chosen;
      if (extra >= best) continue;
      best = extra;
      runners_up[id] = {list.cuts[candidate], extra};
    }
  }
  return runners_up;
}

}  // namespace

Result<SearchResult> Search(const Graph& graph, int64_t device_count, const MachineModel& machine,
                            const SearchOptions& options) {
  const CostModel model(graph, machine, options.cost);
  RELAYOUT_ASSIGN_OR_RETURN(Candidates candidates, Candidates::Create(model, device_count));
  SearchResult result;
  result.machine = machine;
  Searcher::Found found;
  const auto memory = static_cast<double>(machine.bytes_per_device);
  Searcher searcher(candidates, options.work_limit);
  for (int price = 0; price < kMostPrices; ++price) {
    found = searcher.Run(result.machine.seconds_per_byte_kept);
    result.fits_memory = BytesKept(candidates, found.choices) <= memory;
    if (result.fits_memory || price + 1 == kMostPrices) {
      result.runners_up = RunnersUp(candidates, searcher, found.choices);
      break;
    }
    // A price that makes what is kept now cost a third of the step, then more and more.
    const double step = StepSeconds(candidates, found.choices);
    const double kept = BytesKept(candidates, found.choices);
    result.machine.seconds_per_byte_kept =
        std::max(result.machine.seconds_per_byte_kept * 8, step / (3 * kept));
  }
  result.is_optimal = found.is_optimal;
  result.rounds = found.rounds;
  std::vector<OperatorLayout> layouts;
  for (size_t id = 0; id < found.choices.size(); ++id) {
    const CandidateList& list = candidates.Of(static_cast<OperatorId>(id));
    result.candidate_count += static_cast<int64_t>(list.size());
    result.assignment.cuts.push_back(list.cuts[found.choices[id]]);
    layouts.push_back(list.layouts[found.choices[id]]);
  }
  result.cost = Price(CostModel(graph, result.machine, options.cost), layouts);
  return result;
}

}  // namespace relayout
