// SPDX-License-Identifier: Apache-2.0
#include "relayout/comm/thread_comm.h"

#include <gtest/gtest.h>

#include <functional>
#include <new>
#include <string>
#include <string_view>
#include <vector>

namespace relayout {
namespace {

using RankMain = std::function<Status(Comm&)>;

Status ExchangeNothing(Comm& comm, const std::vector<int>& group) {
  const std::vector<std::string_view> give(group.size());
  return comm.Exchange(group, give, [](size_t, std::string_view) {});
}

// Each collective, as something that a rank waits in.
struct Collective {
  const char* name;
  RankMain call;
};
const Collective kCollectives[] = {
    {"Barrier", [](Comm& comm) { return comm.Barrier(); }},
    {"Broadcast",
     [](Comm& comm) {
       std::string bytes;
       return comm.Broadcast(bytes, 0);
     }},
    {"AllGather", [](Comm& comm) { return comm.AllGather("x").status(); }},
    {"Gather", [](Comm& comm) { return comm.Gather("x", 0).status(); }},
    {"AllGather", [](Comm& comm) { return Agree(comm, OkStatus()); }},
    {"Exchange", [](Comm& comm) { return ExchangeNothing(comm, WholeGroup(comm)); }},
};

TEST(ThreadComm, ARankThatLeavesFailsTheOthersCollective) {
  for (const Collective& collective : kCollectives) {
    for (int leaver = 0; leaver < 3; ++leaver) {
      for (int rounds_before = 0; rounds_before < 3; ++rounds_before) {
        Status seen[3];
        const Status status = RunThreadComm(3, [&](Comm& comm) -> Status {
          for (int i = 0; i < rounds_before; ++i) RELAYOUT_RETURN_IF_ERROR(comm.Barrier());
          if (comm.rank() == leaver) return OkStatus();
          return seen[comm.rank()] = collective.call(comm);
        });
        for (int rank = 0; rank < 3; ++rank) {
          const std::string message = "rank " + std::to_string(leaver) + " left, and rank " +
                                      std::to_string(rank) + " waits for it in " + collective.name;
          EXPECT_EQ(seen[rank].message(), rank == leaver ? "" : message);
        }
        EXPECT_EQ(status.code(), StatusCode::kIoError) << collective.name;
      }
    }
  }
}

TEST(ThreadComm, ARankThatLeavesIsMissedOnlyInItsGroups) {
  const Status status = RunThreadComm(4, [](Comm& comm) -> Status {
    if (comm.rank() == 3) return OkStatus();
    if (comm.rank() < 2) {
      for (int i = 0; i < 100; ++i) RELAYOUT_RETURN_IF_ERROR(ExchangeNothing(comm, {0, 1}));
      return OkStatus();
    }
    const Status left = ExchangeNothing(comm, {2, 3});
    EXPECT_EQ(left.message(), "rank 3 left, and rank 2 waits for it in Exchange");
    EXPECT_EQ(ExchangeNothing(comm, {2}).message(), left.message());
    return OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST(ThreadComm, AFailedCollectiveStaysFailed) {
  const Status status = RunThreadComm(2, [](Comm& comm) -> Status {
    if (comm.rank() == 1) return OkStatus();
    Status first = comm.Barrier();
    EXPECT_EQ(first.code(), StatusCode::kIoError);
    EXPECT_EQ(comm.AllGather("").status().message(), first.message());
    EXPECT_EQ(Agree(comm, OkStatus()).message(), first.message());
    EXPECT_EQ(Agree(comm, NotFound("mine")).message(), "mine");
    return first;
  });
  EXPECT_EQ(status.message(), "rank 0: rank 1 left, and rank 0 waits for it in Barrier");
}

TEST(ThreadComm, ReportsTheFailureThatStartedIt) {
  struct Case {
    const char* what;
    int rank_count;
    RankMain rank_main;
    StatusCode code;
    const char* message;
  };
  const Case cases[] = {
      {"all OK", 4, [](Comm&) { return OkStatus(); }, StatusCode::kOk, ""},
      {"one alone", 1, [](Comm&) { return NotFound("x"); }, StatusCode::kNotFound, "x"},
      {"one of two", 2, [](Comm& comm) { return comm.rank() == 1 ? NotFound("x") : OkStatus(); },
       StatusCode::kNotFound, "rank 1: x"},
      {"the last leaves with a failure, the others wait", 4,
       [](Comm& comm) { return comm.rank() == 3 ? NotFound("x") : comm.Barrier(); },
       StatusCode::kNotFound, "rank 3: x"},
      {"the last runs out of memory, the others wait", 3,
       [](Comm& comm) -> Status {
         if (comm.rank() == 2) throw std::bad_alloc();
         return comm.Barrier();
       },
       StatusCode::kOutOfMemory, "rank 2: the machine has no memory left"},
      {"agreed, and so labelled once", 3,
       [](Comm& comm) { return Agree(comm, comm.rank() == 1 ? IoError("x") : OkStatus()); },
       StatusCode::kIoError, "rank 1: x"},
  };
  for (const Case& c : cases) {
    const Status status = RunThreadComm(c.rank_count, c.rank_main);
    EXPECT_EQ(status.code(), c.code) << c.what;
    EXPECT_EQ(status.message(), c.message) << c.what;
  }
}

TEST(ThreadCommDeathTest, RanksThatCallDifferentCollectives) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH((void)RunThreadComm(2,
                                   [](Comm& comm) {
                                     return comm.rank() == 0 ? comm.Barrier()
                                                             : comm.AllGather("").status();
                                   }),
               "internal error");
  EXPECT_DEATH(
      (void)RunThreadComm(2, [](Comm& comm) { return comm.Gather("", comm.rank()).status(); }),
      "internal error");
  EXPECT_DEATH((void)RunThreadComm(
                   2,
                   [](Comm& comm) {
                     return comm.rank() == 0 ? comm.Barrier() : ExchangeNothing(comm, {0, 1});
                   }),
               "internal error");
}

TEST(ThreadCommDeathTest, RanksThatWaitForEachOtherInACircle) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const std::vector<int> groups[] = {{0, 1}, {1, 2}, {0, 2}};
  EXPECT_DEATH((void)RunThreadComm(
                   3, [&](Comm& comm) { return ExchangeNothing(comm, groups[comm.rank()]); }),
               "internal error");
  // The rest wait for each other while one leaves that nobody waits for.
  EXPECT_DEATH((void)RunThreadComm(4,
                                   [&](Comm& comm) {
                                     return comm.rank() == 3
                                                ? OkStatus()
                                                : ExchangeNothing(comm, groups[comm.rank()]);
                                   }),
               "internal error");
}

TEST(ThreadCommDeathTest, GroupsThatAreNone) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const std::vector<int>& group : std::vector<std::vector<int>>{{1}, {0, 0}, {1, 0}, {0, 2}}) {
    EXPECT_DEATH((void)RunThreadComm(2, [&](Comm& comm) { return ExchangeNothing(comm, group); }),
                 "internal error");
  }
}

}  // namespace
}  // namespace relayout
