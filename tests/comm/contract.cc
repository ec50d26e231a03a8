// SPDX-License-Identifier: Apache-2.0
#include "tests/comm/contract.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <string>
#include <thread>

#include "relayout/base/text.h"
#include "relayout/comm/all_reduce.h"
#include "tests/oracle/random.h"

namespace relayout::comm_contract {
namespace {

using oracle::Random;

uint64_t Seed() {
  const char* text = std::getenv("SEED");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

// OK or, in words, that `what` does not hold on this rank.
Status Expect(Comm& comm, bool holds, const std::string& what) {
  if (holds) return OkStatus();
  return InvalidInput(Format("rank {} of {}: {}", comm.rank(), comm.size(), what));
}

// Bytes that tell whose they are and of which round, so that a mix-up shows.
std::string Payload(int64_t round, int rank, int64_t size_bytes) {
  Random random(oracle::Mix(static_cast<uint64_t>(round)) + static_cast<uint64_t>(rank));
  std::string bytes;
  bytes.reserve(static_cast<size_t>(size_bytes) + 8);
  while (std::ssize(bytes) < size_bytes) {
    const uint64_t word = random.Next();
    bytes.append(reinterpret_cast<const char*>(&word), sizeof(word));
  }
  bytes.resize(static_cast<size_t>(size_bytes));
  return bytes;
}

// The size that `rank` gives in `round`; the same on every rank that computes it. Often nothing,
// mostly little, now and then more than any transport sends at once.
int64_t PayloadSize(int64_t round, int rank) {
  Random random(Seed() * 1000003 + static_cast<uint64_t>(round) * 1009 +
                static_cast<uint64_t>(rank));
  if (random.OneIn(4)) return 0;
  if (random.OneIn(32)) return random.Between(1 << 20, 3 << 20);
  return random.Below(int64_t{1} << random.Between(1, 14));
}

std::string PayloadOf(int64_t round, int rank) {
  return Payload(round, rank, PayloadSize(round, rank));
}

Status ExpectAll(Comm& comm, int64_t round, const std::vector<std::string>& all) {
  RELAYOUT_RETURN_IF_ERROR(Expect(comm, std::ssize(all) == comm.size(),
                                  Format("round {}: {} strings", round, all.size())));
  for (int i = 0; i < comm.size(); ++i) {
    RELAYOUT_RETURN_IF_ERROR(
        Expect(comm, all[static_cast<size_t>(i)] == PayloadOf(round, i),
               Format("round {}: not what rank {} gave, {} bytes", round, i, all[i].size())));
  }
  return OkStatus();
}

Status Ranks(Comm& comm) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto all, comm.AllGather(std::to_string(comm.rank())));
  for (int i = 0; i < comm.size(); ++i) {
    RELAYOUT_RETURN_IF_ERROR(
        Expect(comm, all[static_cast<size_t>(i)] == std::to_string(i), "ranks are not 0, 1, ..."));
  }
  RELAYOUT_RETURN_IF_ERROR(Expect(comm, std::ssize(all) == comm.size(), "more ranks than size()"));
  return Expect(comm, !comm.label().empty(), "a rank has no label");
}

Status BroadcastRound(Comm& comm, int64_t round, int root) {
  std::string bytes = comm.rank() == root ? PayloadOf(round, root) : "left from before";
  RELAYOUT_RETURN_IF_ERROR(comm.Broadcast(bytes, root));
  return Expect(comm, bytes == PayloadOf(round, root),
                Format("round {}: not what root {} sent, {} bytes", round, root, bytes.size()));
}

Status AllGatherRound(Comm& comm, int64_t round) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto all, comm.AllGather(PayloadOf(round, comm.rank())));
  return ExpectAll(comm, round, all);
}

Status GatherRound(Comm& comm, int64_t round, int root) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto all, comm.Gather(PayloadOf(round, comm.rank()), root));
  if (comm.rank() == root) return ExpectAll(comm, round, all);
  return Expect(comm, all.empty(), Format("round {}: not root {}, yet not empty", round, root));
}

// Collectives of all kinds in random order, with random roots and sizes.
Status ManyRounds(Comm& comm) {
  Random random(Seed());
  for (int64_t round = 0; round < 200; ++round) {
    const auto root = static_cast<int>(random.Below(comm.size()));
    switch (random.Below(4)) {
      case 0:
        RELAYOUT_RETURN_IF_ERROR(comm.Barrier());
        break;
      case 1:
        RELAYOUT_RETURN_IF_ERROR(BroadcastRound(comm, round, root));
        break;
      case 2:
        RELAYOUT_RETURN_IF_ERROR(AllGatherRound(comm, round));
        break;
      default:
        RELAYOUT_RETURN_IF_ERROR(GatherRound(comm, round, root));
    }
  }
  return OkStatus();
}

// What rank `from` gives to rank `to`.
std::string ExchangePayload(int64_t round, int from, int to) {
  return PayloadOf(1'000'000 + round * 64 + to, from);
}

// One exchange in which everybody gives something else to everybody; what was given is spoiled as
// soon as it may be.
Status ExchangeRound(Comm& comm, int64_t round, const std::vector<int>& group) {
  std::vector<std::string> given;
  given.reserve(group.size());
  for (const int to : group) given.push_back(ExchangePayload(round, comm.rank(), to));
  const std::vector<std::string_view> give(given.begin(), given.end());
  std::vector<std::string> taken;
  bool in_order = true;
  RELAYOUT_RETURN_IF_ERROR(comm.Exchange(group, give, [&](size_t member, std::string_view bytes) {
    in_order = in_order && member == taken.size();
    taken.emplace_back(bytes);
  }));
  for (std::string& bytes : given) std::ranges::fill(bytes, '?');
  RELAYOUT_RETURN_IF_ERROR(Expect(comm, in_order && taken.size() == group.size(),
                                  Format("exchange {}: not once each, in order", round)));
  for (size_t i = 0; i < group.size(); ++i) {
    RELAYOUT_RETURN_IF_ERROR(Expect(
        comm, taken[i] == ExchangePayload(round, group[i], comm.rank()),
        Format("exchange {}: not what rank {} gave, {} bytes", round, group[i], taken[i].size())));
  }
  return OkStatus();
}

// Random partitions of the ranks; each group makes a number of exchanges of its own, and all meet
// again now and then.
Status ExchangesOfGroups(Comm& comm) {
  Random random(Seed() + 17);
  for (int64_t round = 0; round < 60; ++round) {
    const auto group_count = random.Between(1, comm.size());
    std::vector<std::vector<int>> groups(static_cast<size_t>(group_count));
    size_t mine = 0;
    for (int rank = 0; rank < comm.size(); ++rank) {
      const auto group = static_cast<size_t>(random.Below(group_count));
      groups[group].push_back(rank);
      if (rank == comm.rank()) mine = group;
    }
    const int64_t exchange_count = (round + static_cast<int64_t>(mine)) % 3;
    for (int64_t i = 0; i < exchange_count; ++i) {
      RELAYOUT_RETURN_IF_ERROR(ExchangeRound(comm, round * 3 + i, groups[mine]));
    }
    if (random.OneIn(4)) RELAYOUT_RETURN_IF_ERROR(AllGatherRound(comm, round));
    if (random.OneIn(4)) RELAYOUT_RETURN_IF_ERROR(ExchangeRound(comm, 999, WholeGroup(comm)));
  }
  return OkStatus();
}

// Pairs along the line of ranks, each rank with the one before it and then with the one after.
Status ExchangesOfNeighbours(Comm& comm) {
  for (int64_t round = 0; round < 20; ++round) {
    const int rank = comm.rank();
    if (rank > 0) RELAYOUT_RETURN_IF_ERROR(ExchangeRound(comm, round, {rank - 1, rank}));
    if (rank + 1 < comm.size()) {
      RELAYOUT_RETURN_IF_ERROR(ExchangeRound(comm, round, {rank, rank + 1}));
    }
    RELAYOUT_RETURN_IF_ERROR(ExchangeRound(comm, round, {rank}));
  }
  return OkStatus();
}

// One rank gives much to another, and nobody else anything; then everybody gives the same memory to
// all.
Status OnlyOneGivesToOne(Comm& comm) {
  const std::vector<int> group = WholeGroup(comm);
  for (int from = 0; from < comm.size(); ++from) {
    const int to = (from + 1) % comm.size();
    const std::string given = Payload(8, from, 5'000'011);
    std::vector<std::string_view> give(group.size());
    if (comm.rank() == from) give[static_cast<size_t>(to)] = given;
    bool right = true;
    RELAYOUT_RETURN_IF_ERROR(comm.Exchange(group, give, [&](size_t member, std::string_view bytes) {
      const bool mine = group[member] == from && comm.rank() == to;
      right = right && bytes == (mine ? given : "");
    }));
    RELAYOUT_RETURN_IF_ERROR(Expect(comm, right, Format("rank {} gave 5 MB to {}", from, to)));
  }
  const std::string mine = Payload(9, comm.rank(), 300'007);
  const std::vector<std::string_view> give(group.size(), mine);
  bool right = true;
  RELAYOUT_RETURN_IF_ERROR(comm.Exchange(group, give, [&](size_t member, std::string_view bytes) {
    right = right && bytes == Payload(9, group[member], 300'007);
  }));
  return Expect(comm, right, "the same memory given to all");
}

// A float of any of many sizes, so that sums in another order differ.
float Addend(int64_t round, int rank, size_t i) {
  Random random(oracle::Mix(static_cast<uint64_t>(round)) + static_cast<uint64_t>(rank) * 7919 + i);
  const float value = static_cast<float>(random.Between(-1000, 1000));
  return std::ldexp(value, static_cast<int>(random.Between(-20, 20)));
}

Status SumRound(Comm& comm, int64_t round, size_t length, const std::vector<int>& group) {
  std::vector<float> values(length);
  for (size_t i = 0; i < length; ++i) values[i] = Addend(round, comm.rank(), i);
  RELAYOUT_RETURN_IF_ERROR(AllReduceSum(comm, group, values));
  for (size_t i = 0; i < length; ++i) {
    float sum = Addend(round, group[0], i);
    for (size_t k = 1; k < group.size(); ++k) sum += Addend(round, group[k], i);
    RELAYOUT_RETURN_IF_ERROR(Expect(
        comm, std::bit_cast<uint32_t>(sum) == std::bit_cast<uint32_t>(values[i]),
        Format("sum {} of {}, value {}: {} instead of {}", round, length, i, values[i], sum)));
  }
  return OkStatus();
}

// Every second rank in a group, and all in one; lengths around those where the way changes.
Status SumsOfGroups(Comm& comm) {
  std::vector<int> alike;
  for (int rank = comm.rank() % 2; rank < comm.size(); rank += 2) alike.push_back(rank);
  const size_t lengths[] = {0, 1, 3, 7, 1000, 4096, 4097, 20'011};
  for (int64_t round = 0; round < std::ssize(lengths); ++round) {
    const size_t length = lengths[round];
    RELAYOUT_RETURN_IF_ERROR(SumRound(comm, round, length, alike));
    RELAYOUT_RETURN_IF_ERROR(SumRound(comm, round, length, WholeGroup(comm)));
  }
  return OkStatus();
}

// One rank after the other has something, nobody else has.
Status OnlyOneGives(Comm& comm) {
  for (int giver = 0; giver < comm.size(); ++giver) {
    const std::string given = Payload(7, giver, 5'000'011);
    RELAYOUT_ASSIGN_OR_RETURN(const auto all, comm.AllGather(comm.rank() == giver ? given : ""));
    for (int i = 0; i < comm.size(); ++i) {
      RELAYOUT_RETURN_IF_ERROR(
          Expect(comm, all[static_cast<size_t>(i)] == (i == giver ? given : ""),
                 Format("rank {} gave 5 MB, and of rank {} came {}", giver, i, all[i].size())));
    }
  }
  return OkStatus();
}

// A barrier lets nobody through before the last has come: each rank in turn comes late. All ranks
// run on one machine here, so they read one clock.
Status BarrierWaits(Comm& comm) {
  const auto now = [] { return std::chrono::steady_clock::now().time_since_epoch().count(); };
  for (int late = 0; late < comm.size(); ++late) {
    if (comm.rank() == late) std::this_thread::sleep_for(std::chrono::milliseconds(30));
    const auto came = now();
    RELAYOUT_RETURN_IF_ERROR(comm.Barrier());
    const auto went = now();
    RELAYOUT_ASSIGN_OR_RETURN(const auto all_came, comm.AllGather(std::to_string(came)));
    const auto last_came = ParseDecimal(all_came[static_cast<size_t>(late)]).value_or(-1);
    RELAYOUT_RETURN_IF_ERROR(Expect(comm, last_came > 0 && went >= last_came,
                                    Format("went through before rank {} came", late)));
  }
  return OkStatus();
}

// Who fails how, and what all ranks must then say.
struct AgreeCase {
  const char* what;
  std::function<Status(int rank, int size)> mine;
  StatusCode code;
  int speaker;  // The rank whose label the message has; -1 for none, -2 for the last rank.
  const char* text;
};

const AgreeCase kAgreeCases[] = {
    {"all OK", [](int, int) { return OkStatus(); }, StatusCode::kOk, -1, ""},
    {"the first", [](int r, int) { return r == 0 ? NotFound("no\nfile") : OkStatus(); },
     StatusCode::kNotFound, 0, "no\nfile"},
    {"the last", [](int r, int n) { return r == n - 1 ? IoError("disk") : OkStatus(); },
     StatusCode::kIoError, -2, "disk"},
    {"all, each with other words", [](int r, int) { return InvalidInput(Format("option {}", r)); },
     StatusCode::kInvalidInput, 0, "option 0"},
    {"all, with the same words", [](int, int) { return InvalidInput("option"); },
     StatusCode::kInvalidInput, -1, "option"},
    {"the last fails, the others stop",
     [](int r, int n) { return r == n - 1 ? OutOfMemory("none") : Cancelled("stopped"); },
     StatusCode::kOutOfMemory, -2, "none"},
    {"all stop", [](int, int) { return Cancelled("Ctrl-C"); }, StatusCode::kCancelled, -1,
     "Ctrl-C"},
    {"an empty message", [](int r, int) { return r == 0 ? Unsupported("") : OkStatus(); },
     StatusCode::kUnsupported, 0, ""},
};

Status CheckAgree(Comm& comm, const AgreeCase& c, const std::vector<std::string>& labels) {
  const Status agreed = Agree(comm, c.mine(comm.rank(), comm.size()));
  const size_t speaker = c.speaker == -2 ? labels.size() - 1 : static_cast<size_t>(c.speaker);
  const bool labelled = c.speaker != -1 && comm.size() > 1;
  const std::string message = labelled ? labels[speaker] + ": " + c.text : c.text;
  return Expect(comm, agreed.code() == c.code && agreed.message() == message,
                Format("{}: '{}' ({}) instead of '{}' ({})", c.what, agreed.message(),
                       StatusCodeName(agreed.code()), message, StatusCodeName(c.code)));
}

Status AgreesOnOneFailure(Comm& comm) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto labels, comm.AllGather(comm.label()));
  for (const AgreeCase& c : kAgreeCases) {
    RELAYOUT_RETURN_IF_ERROR(CheckAgree(comm, c, labels));
  }
  return OkStatus();
}

Status StopReachesThreadsOf(Comm& comm) {
  using std::chrono::steady_clock;
  const auto deadline = steady_clock::now() + std::chrono::seconds(1);
  std::vector<char> seen(3, 0);
  std::vector<std::jthread> threads;
  threads.reserve(seen.size());
  for (char& mine : seen) {
    threads.emplace_back([&] {
      while (!comm.StopRequested() && steady_clock::now() < deadline) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
      mine = static_cast<char>(comm.StopRequested());
    });
  }
  threads.clear();
  return Expect(comm, std::ranges::count(seen, 1) == 3, "a stop was not seen within a second");
}

// The last rank asks everybody to stop; three threads of each rank must see it within a second.
// Then all ask at once, and collectives still work.
Status StopReachesAll(Comm& comm) {
  RELAYOUT_RETURN_IF_ERROR(Expect(comm, !comm.StopRequested(), "a stop that nobody asked for"));
  RELAYOUT_RETURN_IF_ERROR(comm.Barrier());
  if (comm.rank() == comm.size() - 1) comm.RequestStop();
  RELAYOUT_RETURN_IF_ERROR(StopReachesThreadsOf(comm));
  comm.RequestStop();
  comm.RequestStop();
  RELAYOUT_RETURN_IF_ERROR(AllGatherRound(comm, 1));
  return Expect(comm, comm.StopRequested(), "a stop was taken back");
}

}  // namespace

const std::vector<Case>& Cases() {
  static const std::vector<Case> cases = {
      {"ranks", Ranks},
      {"many rounds", ManyRounds},
      {"only one gives", OnlyOneGives},
      {"exchanges of groups", ExchangesOfGroups},
      {"exchanges of neighbours", ExchangesOfNeighbours},
      {"only one gives to one", OnlyOneGivesToOne},
      {"sums of groups", SumsOfGroups},
      {"a barrier waits", BarrierWaits},
      {"ranks agree on one failure", AgreesOnOneFailure},
      {"a stop reaches all", StopReachesAll},
  };
  return cases;
}

}  // namespace relayout::comm_contract
