// SPDX-License-Identifier: Apache-2.0
//
// The contract of comm.h on one process and on threads; tests/mpi runs it on MPI.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <string>

#include "relayout/base/text.h"
#include "relayout/comm/comm.h"
#include "relayout/comm/thread_comm.h"
#include "tests/comm/contract.h"

namespace relayout {
namespace {

using RankMain = std::function<Status(Comm&)>;

struct Transport {
  std::string name;
  int rank_count;
  std::function<Status(const RankMain&)> run;
};

Transport Threads(int rank_count) {
  return {Format("threads_{}", rank_count), rank_count,
          [=](const RankMain& rank_main) { return RunThreadComm(rank_count, rank_main); }};
}

const Transport kSelf = {"self", 1,
                         [](const RankMain& rank_main) { return rank_main(*NewSelfComm()); }};

class CommContract : public ::testing::TestWithParam<Transport> {};

TEST_P(CommContract, Holds) {
  EXPECT_FALSE(comm_contract::Cases().empty());
  for (const auto& [name, run] : comm_contract::Cases()) {
    std::atomic<int> ranks_done = 0;
    const Status status = GetParam().run([&, &run = run](Comm& comm) {
      Status outcome = run(comm);
      ++ranks_done;
      return outcome;
    });
    EXPECT_TRUE(status.ok()) << name << ": " << status.message();
    EXPECT_EQ(ranks_done, GetParam().rank_count) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, CommContract,
                         ::testing::Values(kSelf, Threads(1), Threads(2), Threads(3), Threads(8)),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace relayout
