// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/auto/elimination.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "relayout/base/check.h"

namespace relayout {
namespace {

// Chooses the order of elimination and keeps who is whose neighbour meanwhile.
class Order {
 public:
  Order(const std::vector<int>& choice_counts, const std::vector<std::vector<int>>& scopes)
      : choice_counts_(choice_counts), neighbours_(choice_counts.size()) {
    for (const std::vector<int>& scope : scopes) Connect(scope);
    for (size_t v = 0; v < choice_counts.size(); ++v) waiting_.insert({WorkOf(v), v});
  }

  bool done() const { return waiting_.empty(); }

  // The next variable, and what its elimination costs.
  std::pair<int, double> Take() {
    const auto [work, variable] = *waiting_.begin();
    waiting_.erase(waiting_.begin());
    const std::vector<int> scope(neighbours_[variable].begin(), neighbours_[variable].end());
    for (const int other : scope)
      Touch(other, [&] { neighbours_[At(other)].erase(Int(variable)); });
    for (const int other : scope) {
      Touch(other, [&] {
        neighbours_[At(other)].insert(scope.begin(), scope.end());
        neighbours_[At(other)].erase(other);
      });
    }
    return {Int(variable), work};
  }

 private:
  static size_t At(int variable) { return static_cast<size_t>(variable); }
  static int Int(size_t variable) { return static_cast<int>(variable); }

  void Connect(const std::vector<int>& scope) {
    for (const int a : scope) {
      for (const int b : scope) {
        if (a != b) neighbours_[At(a)].insert(b);
      }
    }
  }

  double WorkOf(size_t variable) const {
    double work = choice_counts_[variable];
    for (const int other : neighbours_[variable]) work *= choice_counts_[At(other)];
    return work;
  }

  template <typename Change>
  void Touch(int variable, const Change& change) {
    waiting_.erase({WorkOf(At(variable)), At(variable)});
    change();
    waiting_.insert({WorkOf(At(variable)), At(variable)});
  }

  const std::vector<int>& choice_counts_;
  std::vector<std::set<int>> neighbours_;
  std::set<std::pair<double, size_t>> waiting_;
};

// Counts through all choices of some variables, the last fastest, and follows where each of several
// tables is read.
class Odometer {
 public:
  // strides[t][i]: by how much table t moves when variable i moves on by one.
  Odometer(std::vector<int> counts, std::vector<std::vector<size_t>> strides)
      : counts_(std::move(counts)),
        strides_(std::move(strides)),
        choices_(counts_.size(), 0),
        offsets_(strides_.size(), 0) {}

  const std::vector<size_t>& offsets() const { return offsets_; }

  void Next() {
    for (size_t i = counts_.size(); i-- > 0;) {
      ++choices_[i];
      for (size_t t = 0; t < offsets_.size(); ++t) offsets_[t] += strides_[t][i];
      if (choices_[i] < counts_[i]) return;
      for (size_t t = 0; t < offsets_.size(); ++t) {
        offsets_[t] -= strides_[t][i] * static_cast<size_t>(counts_[i]);
      }
      choices_[i] = 0;
    }
  }

 private:
  std::vector<int> counts_;
  std::vector<std::vector<size_t>> strides_;
  std::vector<int> choices_;
  std::vector<size_t> offsets_;
};

size_t StrideOf(const std::vector<int>& variables, int variable, const std::vector<int>& counts) {
  size_t stride = 1;
  for (size_t i = variables.size(); i-- > 0;) {
    if (variables[i] == variable) return stride;
    stride *= static_cast<size_t>(counts[static_cast<size_t>(variables[i])]);
  }
  return 0;
}

}  // namespace

CheapestChoice::CheapestChoice(std::vector<int> choice_counts)
    : choice_counts_(std::move(choice_counts)), tables_of_(choice_counts_.size()) {
  RELAYOUT_CHECK(std::all_of(choice_counts_.begin(), choice_counts_.end(),
                             [](int count) { return count >= 1; }));
}

void CheapestChoice::Add(Table table) {
  for (const int variable : table.variables) {
    tables_of_[static_cast<size_t>(variable)].push_back(tables_.size());
  }
  tables_.push_back(std::move(table));
}

std::vector<CheapestChoice::Table> CheapestChoice::TakeTables(int variable) {
  std::vector<Table> taken;
  for (const size_t index : tables_of_[static_cast<size_t>(variable)]) {
    if (!tables_[index].costs.empty()) taken.push_back(std::exchange(tables_[index], Table{}));
  }
  return taken;
}

std::vector<std::vector<int>> CheapestChoice::Scopes() const {
  std::vector<std::vector<int>> scopes;
  for (const Table& table : tables_) scopes.push_back(table.variables);
  return scopes;
}

void CheapestChoice::AddTable(int variable, std::vector<double> table) {
  RELAYOUT_CHECK(table.size() ==
                 static_cast<size_t>(choice_counts_[static_cast<size_t>(variable)]));
  Add({{variable}, std::move(table)});
}

void CheapestChoice::AddTable(int a, int b, std::vector<double> table) {
  const auto count_a = static_cast<size_t>(choice_counts_[static_cast<size_t>(a)]);
  const auto count_b = static_cast<size_t>(choice_counts_[static_cast<size_t>(b)]);
  RELAYOUT_CHECK(a != b && table.size() == count_a * count_b);
  if (a < b) {
    Add({{a, b}, std::move(table)});
    return;
  }
  std::vector<double> turned(table.size());
  for (size_t i = 0; i < count_a; ++i) {
    for (size_t j = 0; j < count_b; ++j) turned[j * count_a + i] = table[i * count_b + j];
  }
  Add({{b, a}, std::move(turned)});
}

void CheapestChoice::Join(int a, int b) { Add({{std::min(a, b), std::max(a, b)}, {}}); }

double CheapestChoice::Work(double limit) const {
  double work = 0;
  for (Order order(choice_counts_, Scopes()); !order.done() && work <= limit;) {
    work += order.Take().second;
  }
  return work;
}

CheapestChoice::Eliminated CheapestChoice::Eliminate(int variable) {
  const std::vector<Table> known = TakeTables(variable);
  std::set<int> scope;
  for (const Table& table : known) scope.insert(table.variables.begin(), table.variables.end());
  scope.erase(variable);

  Eliminated eliminated;
  eliminated.variable = variable;
  eliminated.neighbours.assign(scope.begin(), scope.end());
  size_t entry_count = 1;
  std::vector<int> counts;
  for (const int v : eliminated.neighbours) {
    counts.push_back(choice_counts_[static_cast<size_t>(v)]);
    entry_count *= static_cast<size_t>(counts.back());
  }
  std::vector<std::vector<size_t>> strides;
  std::vector<size_t> own_strides;
  for (const Table& table : known) {
    strides.emplace_back();
    for (const int v : eliminated.neighbours) {
      strides.back().push_back(StrideOf(table.variables, v, choice_counts_));
    }
    own_strides.push_back(StrideOf(table.variables, variable, choice_counts_));
  }

  Table made;
  made.variables = eliminated.neighbours;
  made.costs.reserve(entry_count);
  eliminated.best.reserve(entry_count);
  const auto choice_count = static_cast<size_t>(choice_counts_[static_cast<size_t>(variable)]);
  Odometer odometer(std::move(counts), std::move(strides));
  for (size_t entry = 0; entry < entry_count; ++entry, odometer.Next()) {
    double best_cost = std::numeric_limits<double>::infinity();
    int32_t best = 0;
    for (size_t choice = 0; choice < choice_count; ++choice) {
      double cost = 0;
      for (size_t t = 0; t < known.size(); ++t) {
        cost += known[t].costs[odometer.offsets()[t] + choice * own_strides[t]];
      }
      if (cost < best_cost) {
        best_cost = cost;
        best = static_cast<int32_t>(choice);
      }
    }
    made.costs.push_back(best_cost);
    eliminated.best.push_back(best);
  }
  if (made.variables.empty()) {
    constant_ += made.costs[0];
  } else {
    Add(std::move(made));
  }
  return eliminated;
}

CheapestChoice::Solution CheapestChoice::Solve() && {
  std::vector<Eliminated> history;
  for (Order order(choice_counts_, Scopes()); !order.done();) {
    history.push_back(Eliminate(order.Take().first));
  }
  Solution solution;
  solution.cost = constant_;
  solution.choices.assign(choice_counts_.size(), 0);
  // The last one eliminated depends on none, the one before it on that at most, and so on.
  for (auto step = history.rbegin(); step != history.rend(); ++step) {
    size_t entry = 0;
    for (const int v : step->neighbours) {
      const auto at = static_cast<size_t>(v);
      entry = entry * static_cast<size_t>(choice_counts_[at]) +
              static_cast<size_t>(solution.choices[at]);
    }
    solution.choices[static_cast<size_t>(step->variable)] = step->best[entry];
  }
  return solution;
}

}  // namespace relayout
