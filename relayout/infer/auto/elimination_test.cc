// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/auto/elimination.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <utility>

#include "relayout/base/text.h"

namespace relayout {
namespace {

struct PairTable {
  int a = 0;
  int b = 0;
  std::vector<double> costs;
};

struct Problem {
  std::vector<int> counts;
  std::vector<std::vector<double>> unary;
  std::vector<PairTable> pairs;

  double CostOf(const std::vector<int>& choices) const {
    const auto choice = [&choices](int v) {
      return static_cast<size_t>(choices[static_cast<size_t>(v)]);
    };
    double cost = 0;
    for (size_t v = 0; v < counts.size(); ++v) cost += unary[v][choice(static_cast<int>(v))];
    for (const PairTable& p : pairs) {
      cost += p.costs[choice(p.a) * static_cast<size_t>(counts[static_cast<size_t>(p.b)]) +
                      choice(p.b)];
    }
    return cost;
  }

  double Cheapest() const {
    std::vector<int> choices(counts.size(), 0);
    double best = std::numeric_limits<double>::infinity();
    while (true) {
      best = std::min(best, CostOf(choices));
      size_t v = 0;
      while (v < counts.size() && ++choices[v] == counts[v]) choices[v++] = 0;
      if (v == counts.size()) return best;
    }
  }

  CheapestChoice ToSolver() const {
    CheapestChoice solver(counts);
    for (size_t v = 0; v < counts.size(); ++v) solver.AddTable(static_cast<int>(v), unary[v]);
    for (const PairTable& p : pairs) solver.AddTable(p.a, p.b, p.costs);
    return solver;
  }
};

std::vector<double> RandomCosts(size_t count, std::mt19937& random) {
  std::vector<double> costs;
  // Whole numbers: sums are exact in any order, and there are ties.
  for (size_t i = 0; i < count; ++i) costs.push_back(static_cast<double>(random() % 20));
  return costs;
}

Problem RandomProblem(std::mt19937& random) {
  Problem problem;
  const int variable_count = 1 + static_cast<int>(random() % 7);
  for (int v = 0; v < variable_count; ++v) {
    problem.counts.push_back(1 + static_cast<int>(random() % 4));
    problem.unary.push_back(RandomCosts(static_cast<size_t>(problem.counts.back()), random));
  }
  for (int a = 0; a < variable_count; ++a) {
    for (int b = 0; b < variable_count; ++b) {
      if (a == b || random() % 4 != 0) continue;
      const auto size = static_cast<size_t>(problem.counts[static_cast<size_t>(a)]) *
                        static_cast<size_t>(problem.counts[static_cast<size_t>(b)]);
      problem.pairs.push_back({a, b, RandomCosts(size, random)});
    }
  }
  return problem;
}

TEST(CheapestChoice, IsWhatTryingEverythingFinds) {
  for (unsigned seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(Format("seed {}", seed));
    std::mt19937 random(seed);
    const Problem problem = RandomProblem(random);
    const CheapestChoice::Solution solution = problem.ToSolver().Solve();
    EXPECT_EQ(solution.cost, problem.Cheapest());
    EXPECT_EQ(problem.CostOf(solution.choices), solution.cost);
  }
}

TEST(CheapestChoice, WorkOfAChainIsLinear) {
  // Inner variables of a chain are eliminated from its ends: n - 1 tables of 3 x 3, then 3.
  CheapestChoice solver(std::vector<int>(100, 3));
  for (int v = 0; v + 1 < 100; ++v) solver.AddTable(v, v + 1, std::vector<double>(9, 1.0));
  EXPECT_EQ(solver.Work(1e9), 99 * 9 + 3);
  EXPECT_GT(solver.Work(100), 100);
  EXPECT_EQ(std::move(solver).Solve().cost, 99);
}

TEST(CheapestChoice, EqualCostsTakeTheFirst) {
  CheapestChoice solver({3, 3});
  solver.AddTable(0, 1, std::vector<double>(9, 5.0));
  EXPECT_EQ(std::move(solver).Solve().choices, (std::vector<int>{0, 0}));
}

}  // namespace
}  // namespace relayout
