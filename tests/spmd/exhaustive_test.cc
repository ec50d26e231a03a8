// SPDX-License-Identifier: Apache-2.0
//
// All pairs of layouts on 6 and 8 ranks, of which redistribute_test.cc takes samples.
#include <gtest/gtest.h>

#include <cstddef>
#include <string>

#include "relayout/comm/thread_comm.h"
#include "tests/spmd/redistribution_check.h"

namespace relayout {
namespace {

struct World {
  int rank_count;
  size_t dim_count;
};

class AllRedistributions : public ::testing::TestWithParam<World> {};

TEST_P(AllRedistributions, AgreeWithTheOracle) {
  const Status status = RunThreadComm(GetParam().rank_count, [&](Comm& comm) {
    return redistribution_check::CheckAllPairs(comm, GetParam().dim_count);
  });
  EXPECT_TRUE(status.ok()) << status.message();
}

INSTANTIATE_TEST_SUITE_P(Exhaustive, AllRedistributions,
                         ::testing::Values(World{6, 3}, World{8, 2}, World{8, 3}),
                         [](const auto& info) {
                           return std::to_string(info.param.rank_count) + "_ranks_" +
                                  std::to_string(info.param.dim_count) + "_dims";
                         });

}  // namespace
}  // namespace relayout
