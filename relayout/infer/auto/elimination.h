// SPDX-License-Identifier: Apache-2.0
//
// Elimination: the cheapest choice for many variables whose costs are sums of small tables.
//
//   a, b, c with 2 choices each; unary tables A, B, C and pair tables AB, BC
//   minimize A[a] + B[b] + C[c] + AB[a,b] + BC[b,c]
//
// A variable is eliminated by replacing all tables that know it with one table over its neighbours,
// which holds for each of their choices the best that the variable can do:
//
//   eliminate a:   B'[b]  = min over a of A[a] + AB[a,b]
//   eliminate c:   B''[b] = min over c of C[c] + BC[b,c]
//   eliminate b:   min over b of B[b] + B'[b] + B''[b]      and back: b, then c and a
//
// Chains and trees need tables of two variables and take time linear in the variables; in general
// the tables grow with the width of the graph. Always the variable whose new table costs least goes
// next (the lowest number among equals). The result is a true minimum whatever the order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace relayout {

class CheapestChoice {
 public:
  // Variable v has choice_counts[v] choices. @pre all at least 1
  explicit CheapestChoice(std::vector<int> choice_counts);

  // Adds `table[choice]` to the cost.
  void AddTable(int variable, std::vector<double> table);
  // Adds `table[choice_a * choice count of b + choice_b]`. @pre a != b
  void AddTable(int a, int b, std::vector<double> table);

  // Says that there will be a table of both, for Work.
  void Join(int a, int b);

  // How many table entries Solve would look at, or something above `limit` when more.
  double Work(double limit) const;

  struct Solution {
    std::vector<int> choices;
    double cost = 0;
  };
  // Consumes the tables. Equal costs: the lowest choice of the variable that is eliminated.
  Solution Solve() &&;

 private:
  struct Table {
    std::vector<int> variables;  // Ascending; the last varies fastest.
    std::vector<double> costs;
  };
  struct Eliminated {
    int variable = 0;
    std::vector<int> neighbours;
    std::vector<int32_t> best;  // By the neighbours' choices.
  };

  void Add(Table table);
  // Removes and returns the tables that know `variable`.
  std::vector<Table> TakeTables(int variable);
  std::vector<std::vector<int>> Scopes() const;
  Eliminated Eliminate(int variable);

  std::vector<int> choice_counts_;
  // Taken ones have no costs.
  std::vector<Table> tables_;
  std::vector<std::vector<size_t>> tables_of_;  // By variable.
  double constant_ = 0;
};

}  // namespace relayout
