// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/redistribute.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "relayout/comm/thread_comm.h"
#include "tests/spmd/redistribution_check.h"

namespace relayout {
namespace {

using oracle::Random;

Layout Make(const std::vector<int64_t>& mesh, const std::vector<std::vector<int>>& dim_axes,
            int64_t optimizer_group = 1) {
  const auto layout = Layout::Create({mesh, dim_axes, optimizer_group, {}});
  EXPECT_TRUE(layout.ok()) << layout.status().message();
  return *layout;
}

// What rank 0 of the header's example does.
TEST(Redistribute, PlansOfTheExample) {
  struct Case {
    std::vector<std::vector<int>> to;
    std::vector<int> sum_axes;
    std::vector<int> group;
    std::vector<int> reduce_group;
    int64_t given_bytes;
    int64_t taken_bytes;
    bool is_identity;
  };
  const Case cases[] = {
      {{{0}, {}}, {}, {0}, {}, 0, 0, true},           {{{0}, {1}}, {}, {0}, {}, 0, 0, false},
      {{{}, {}}, {}, {0, 2}, {}, 32, 32, false},      {{{}, {1}}, {}, {0, 2}, {}, 16, 16, false},
      {{{0, 1}, {}}, {1}, {0, 1}, {}, 16, 16, false}, {{{0}, {}}, {1}, {0, 1}, {}, 32, 32, false},
  };
  for (const Case& c : cases) {
    const auto plan = PlanRedistribution({.shape = {4, 4},
                                          .from = Make({2, 2}, {{0}, {}}),
                                          .to = Make({2, 2}, c.to),
                                          .sum_axes = c.sum_axes},
                                         0);
    ASSERT_TRUE(plan.ok()) << plan.status().message();
    EXPECT_EQ(plan->group, c.group);
    EXPECT_EQ(plan->reduce_group, c.reduce_group);
    EXPECT_EQ(plan->given_bytes(), c.given_bytes);
    EXPECT_EQ(plan->taken_bytes(), c.taken_bytes);
    EXPECT_EQ(plan->is_identity(), c.is_identity);
  }
}

// Of four terms or more an all-reduce moves less than everybody's adding up of all.
TEST(Redistribute, ManyTermsAreReducedFirst) {
  const auto plan = PlanRedistribution({.shape = {8},
                                        .from = Make({8}, {{}}),
                                        .to = Make({8}, {{}}),
                                        .first_rank = 16,
                                        .sum_axes = {0}},
                                       3);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  EXPECT_EQ(plan->reduce_group, (std::vector<int>{16, 17, 18, 19, 20, 21, 22, 23}));
  EXPECT_EQ(plan->group, (std::vector<int>{19}));
}

// Mesh {a:3,b:2}, rank r = (a,b) holds third a. Rank 1 = (0,1) wants all of it: the second third
// from rank 3 = (1,1), or, where ranks 0 to 2 are one machine, from rank 2 = (1,0); the last third
// is on the other machine in any case.
TEST(Redistribute, TakesFromItsOwnNode) {
  struct Case {
    int64_t ranks_per_node;
    std::vector<int> givers;
  };
  for (const Case& c : {Case{0, {1, 3, 5}}, Case{3, {1, 2, 5}}, Case{1, {1, 3, 5}}}) {
    const auto plan = PlanRedistribution({.shape = {3},
                                          .from = Make({3, 2}, {{0}}),
                                          .to = Make({3, 2}, {{}}),
                                          .ranks_per_node = c.ranks_per_node},
                                         1);
    ASSERT_TRUE(plan.ok()) << plan.status().message();
    std::vector<int> givers;
    for (size_t i = 0; i < plan->take.size(); ++i) {
      if (plan->take[i]) givers.push_back(plan->group[i]);
    }
    EXPECT_EQ(givers, c.givers) << c.ranks_per_node;
  }
}

TEST(Redistribute, RefusesWhatMakesNoSense) {
  struct Case {
    RedistributionRequest request;
    StatusCode code;
    const char* message;
  };
  const Layout rows = Make({2, 2}, {{0}, {}});
  const Case cases[] = {
      {{.shape = {3, 4}, .from = rows, .to = rows},
       StatusCode::kInvalidInput,
       "the layout it comes from: dim 0 = 3 is not divisible by 2"},
      {{.shape = {4, 3}, .from = rows, .to = Make({4}, {{}, {0}})},
       StatusCode::kInvalidInput,
       "the layout it goes to: dim 1 = 3 is not divisible by 4"},
      {{.shape = {4, 4}, .from = rows, .to = Make({8}, {{}, {0}})},
       StatusCode::kInvalidInput,
       "from a layout on 4 devices to one on 8"},
      {{.shape = {4, 4}, .from = rows, .to = rows, .sum_axes = {0}},
       StatusCode::kInvalidInput,
       "mesh axis 0, which cuts dim 0"},
      {{.shape = {4, 4}, .from = rows, .to = rows, .sum_axes = {2}},
       StatusCode::kInvalidInput,
       "mesh axis 2 of a mesh of 2 axes"},
      {{.shape = {4, 4}, .from = rows, .to = rows, .sum_axes = {1, 1}},
       StatusCode::kInvalidInput,
       "mesh axis 1 twice"},
      {{.shape = {4, 4}, .from = Make({2, 2}, {{0}, {}}, 2), .to = rows, .sum_axes = {1}},
       StatusCode::kInvalidInput,
       "an optimizer split of 2"},
      {{.shape = {4, 4}, .element_size_bytes = 2, .from = rows, .to = rows, .sum_axes = {1}},
       StatusCode::kUnsupported,
       "elements of 2 bytes"},
  };
  for (const Case& c : cases) {
    const auto plan = PlanRedistribution(c.request, 0);
    EXPECT_EQ(plan.status().code(), c.code) << c.message;
    EXPECT_NE(plan.status().message().find(c.message), std::string::npos)
        << plan.status().message();
  }
}

TEST(Redistribute, RanksWithOtherPlansFail) {
  const Status status = RunThreadComm(2, [](Comm& comm) -> Status {
    const int64_t length = comm.rank() == 0 ? 4 : 6;
    RELAYOUT_ASSIGN_OR_RETURN(
        const auto plan,
        PlanRedistribution({.shape = {length}, .from = Make({2}, {{0}}), .to = Make({2}, {{}})},
                           comm.rank()));
    const std::vector<std::byte> from(static_cast<size_t>(plan.from_bytes()));
    std::vector<std::byte> to(static_cast<size_t>(plan.to_bytes()));
    return Redistribute(comm, plan, from, to);
  });
  EXPECT_EQ(status.message(),
            "rank 0: rank 1 gave 12 bytes where rank 0 expects 8 ([2:4]); all ranks must plan the "
            "same redistribution");
}

// The header's example of gradients: w = (w_0, w_1) is gathered, rank r's loss is the sum of
// (10 + r) * w, so the whole loss has the gradient 21 everywhere; the term of each rank is 10 + r.
TEST(Redistribute, GradientsGoBack) {
  const Status status = RunThreadComm(2, [](Comm& comm) -> Status {
    const RedistributionRequest forward = {
        .shape = {4}, .from = Make({2}, {{0}}), .to = Make({2}, {{}})};
    const float term = 10.0F + static_cast<float>(comm.rank());
    const std::vector<float> gradient(4, term);
    struct Case {
      std::vector<int> partial_axes;
      std::vector<float> expected;
    };
    const Case cases[] = {{{0}, {21, 21}}, {{}, {term, term}}};
    for (const Case& c : cases) {
      RELAYOUT_ASSIGN_OR_RETURN(const auto plan,
                                PlanRedistribution(Backward(forward, c.partial_axes), comm.rank()));
      EXPECT_EQ(plan.taken_bytes(), c.partial_axes.empty() ? 0 : 8);
      std::vector<float> back(2);
      RELAYOUT_RETURN_IF_ERROR(Redistribute(comm, plan, std::as_bytes(std::span(gradient)),
                                            std::as_writable_bytes(std::span(back))));
      EXPECT_EQ(back, c.expected);
    }
    return OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status.message();
}

struct World {
  int rank_count;
  size_t dim_count;
  int64_t stride;
};

class AllPairs : public ::testing::TestWithParam<World> {};

TEST_P(AllPairs, AgreeWithTheOracle) {
  const World& world = GetParam();
  const Status status = RunThreadComm(world.rank_count, [&](Comm& comm) {
    return redistribution_check::CheckAllPairs(comm, world.dim_count, world.stride);
  });
  EXPECT_TRUE(status.ok()) << status.message();
}

INSTANTIATE_TEST_SUITE_P(Redistribute, AllPairs,
                         ::testing::Values(World{1, 0, 1}, World{1, 3, 1}, World{2, 0, 1},
                                           World{2, 1, 1}, World{2, 2, 1}, World{2, 3, 1},
                                           World{3, 3, 1}, World{4, 0, 1}, World{4, 1, 1},
                                           World{4, 2, 1}, World{4, 3, 1}, World{6, 2, 1},
                                           World{8, 0, 1}, World{8, 1, 1}, World{8, 2, 7},
                                           World{8, 3, 53}),
                         [](const auto& info) {
                           return std::to_string(info.param.rank_count) + "_ranks_" +
                                  std::to_string(info.param.dim_count) + "_dims";
                         });

TEST(Redistribute, RandomCasesAgreeWithTheOracle) {
  const char* text = std::getenv("SEED");
  const uint64_t seed = text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
  // All on one team of threads; a stage of fewer ranks is somewhere in it.
  const Status status = RunThreadComm(12, [&](Comm& comm) -> Status {
    Random random(seed);
    for (int i = 0; i < 1000; ++i) {
      const int64_t device_count = random.Between(1, 12);
      auto c = redistribution_check::RandomCase(random, device_count);
      c.first_rank = random.Between(0, 12 - device_count);
      RELAYOUT_RETURN_IF_ERROR(redistribution_check::Check(comm, c));
    }
    return OkStatus();
  });
  EXPECT_TRUE(status.ok()) << "SEED=" << seed << ": " << status.message();
}

}  // namespace
}  // namespace relayout
