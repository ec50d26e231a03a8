// SPDX-License-Identifier: Apache-2.0
#include "relayout/comm/comm.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace relayout {
namespace {

// An outcome on its way to the other ranks: "" is OK, else the code, the label, a line feed, the
// message. A label has no line feed; a message may.
std::string Encode(const std::string& label, const Status& status) {
  if (status.ok()) return "";
  return static_cast<char>(status.code()) + label + '\n' + status.message();
}

RankOutcome Decode(const std::string& bytes) {
  if (bytes.empty()) return {};
  const size_t label_end = bytes.find('\n');
  RELAYOUT_CHECK(label_end != std::string::npos);
  return {bytes.substr(1, label_end - 1),
          Status(static_cast<StatusCode>(bytes[0]), bytes.substr(label_end + 1))};
}

bool SaysTheSame(const RankOutcome& a, const RankOutcome& b) {
  return a.status.code() == b.status.code() && a.status.message() == b.status.message();
}

// A rank that was cancelled fails only because another one did.
bool IsCause(const RankOutcome& outcome) {
  return !outcome.status.ok() && outcome.status.code() != StatusCode::kCancelled;
}
bool IsFailure(const RankOutcome& outcome) { return !outcome.status.ok(); }

}  // namespace

Status CommonFailure(const std::vector<RankOutcome>& by_rank) {
  auto spokesman = std::ranges::find_if(by_rank, IsCause);
  if (spokesman == by_rank.end()) spokesman = std::ranges::find_if(by_rank, IsFailure);
  if (spokesman == by_rank.end()) return OkStatus();
  const bool unanimous = std::ranges::all_of(
      by_rank, [&](const RankOutcome& other) { return SaysTheSame(other, *spokesman); });
  return unanimous ? spokesman->status : spokesman->status.WithContext(spokesman->label);
}

Status Agree(Comm& comm, const Status& mine) {
  if (comm.size() == 1) return mine;
  const Result<std::vector<std::string>> all = comm.AllGather(Encode(comm.label(), mine));
  if (!all.ok()) return mine.ok() ? all.status() : mine;
  std::vector<RankOutcome> by_rank;
  for (const std::string& bytes : *all) by_rank.push_back(Decode(bytes));
  return CommonFailure(by_rank);
}

size_t MemberOf(std::span<const int> group, int rank) {
  // Strictly: no neighbours with a >= b.
  RELAYOUT_CHECK(std::ranges::adjacent_find(group, std::greater_equal<>()) == group.end());
  const auto found = std::ranges::lower_bound(group, rank);
  RELAYOUT_CHECK(found != group.end() && *found == rank);
  return static_cast<size_t>(found - group.begin());
}

std::vector<int> WholeGroup(const Comm& comm) {
  std::vector<int> group(static_cast<size_t>(comm.size()));
  std::iota(group.begin(), group.end(), 0);
  return group;
}

}  // namespace relayout
