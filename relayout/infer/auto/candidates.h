// SPDX-License-Identifier: Apache-2.0
//
// Candidates: every way in which each operator of a network can be cut, with its costs.
//
//   MatMul x[32,784] w[784,512] on 4 devices    (m,k,n) = (1,1,1) (1,1,2) (1,1,4) (1,2,1) ...
//   (4,1,1)
//
// Annotated operators have one candidate. Operators alike (CostModel::Signature) share a list: a
// network of 48 equal layers has as many as one layer. Layouts are numbered so that layouts with
// the same pieces on every rank have one number, and what moves between two is worked out once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/infer/auto/cost_model.h"

namespace relayout {

struct CandidateList {
  std::vector<AxisCuts> cuts;  // Lexicographic, the most cut first axis first.
  std::vector<OperatorLayout> layouts;
  std::vector<double> seconds;     // Without the price of memory.
  std::vector<double> bytes_kept;  // On each device.
  // For each candidate the numbers of its layouts.
  std::vector<std::vector<int>> inputs;
  std::vector<std::vector<int>> outputs;
  // Some cuts were left out because there are too many.
  bool is_pruned = false;

  size_t size() const { return cuts.size(); }
};

class Candidates {
 public:
  // More of an operator than this are pruned: repeats first, then cuts of many axes.
  static constexpr size_t kMostOfAnOperator = 4096;

  // Keeps a reference to the model. Fails, naming the operator, when a type has no rule or nothing
  // fits.
  static Result<Candidates> Create(const CostModel& model, int64_t device_count);

  const CandidateList& Of(OperatorId id) const { return *lists_[static_cast<size_t>(id)]; }
  const CostModel& model() const { return *model_; }

  // What an edge costs between candidate `from` of its maker and `to` of its user. Remembers, so
  // not for several threads.
  double EdgeSeconds(const CostModel::Edge& edge, size_t from, size_t to);

 private:
  // What moves between two numbered layouts, priced.
  struct Pair {
    bool differs = false;
    CostModel::LinearSeconds there;
    CostModel::LinearSeconds back;
  };

  Candidates(const CostModel& model, int64_t device_count);
  Result<CandidateList> ListFor(OperatorId id);
  int Number(const Layout& layout);
  const Pair& PairOf(int from, int to);

  const CostModel* model_;
  int64_t device_count_;
  std::vector<std::shared_ptr<const CandidateList>> lists_;  // By OperatorId.
  std::unordered_map<std::string, int> number_of_;           // By what cuts each dim.
  std::vector<Layout> numbered_;
  // By number of the one times how many there are plus number of the other; below 0: not known.
  std::vector<int32_t> pair_index_;
  std::vector<Pair> pairs_;
};

}  // namespace relayout
