// SPDX-License-Identifier: Apache-2.0
#include "relayout/comm/all_reduce.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "relayout/comm/thread_comm.h"

namespace relayout {
namespace {

TEST(AllReduce, SumsAreThoseOfTheOrderOfRanks) {
  // In float, 1e8 + 1 is 1e8: (1e8 + 1) - 1e8 is 0, while (1e8 - 1e8) + 1 is 1.
  const float values[] = {1e8F, 1.0F, -1e8F, 0.25F};
  const Status status = RunThreadComm(4, [&](Comm& comm) -> Status {
    std::vector<float> sum = {values[comm.rank()], 1.0F};
    RELAYOUT_RETURN_IF_ERROR(AllReduceSum(comm, WholeGroup(comm), sum));
    EXPECT_EQ(sum, (std::vector<float>{0.25F, 4.0F}));
    return OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST(AllReduce, RefusesUnequalLengths) {
  for (const size_t length : {0, 3, 5000, 6000, 1'000'000}) {
    const Status status = RunThreadComm(3, [&](Comm& comm) -> Status {
      std::vector<float> values(comm.rank() == 1 ? length : 5001);
      return AllReduceSum(comm, WholeGroup(comm), values);
    });
    EXPECT_EQ(status.code(), StatusCode::kInvalidInput) << length << ": " << status.message();
    EXPECT_NE(status.message().find("must bring equally many values"), std::string::npos);
  }
}

}  // namespace
}  // namespace relayout
