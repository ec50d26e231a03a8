// SPDX-License-Identifier: Apache-2.0
#include "relayout/comm/thread_comm.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <new>
#include <numeric>
#include <optional>
#include <span>
#include <system_error>
#include <thread>

#include "relayout/base/text.h"

namespace relayout {
namespace {

// What a rank brings to a collective.
struct Contribution {
  const char* collective;
  int root;
  std::string_view bytes;
  std::span<const std::string_view> give = {};  // Of Exchange: for each member of the group.
};

Status Guarded(const std::function<void()>& read) {
  try {
    read();
    return OkStatus();
  } catch (const std::bad_alloc&) {
    return OutOfMemory("the machine has no memory left for what the other ranks sent");
  }
}

// What the ranks share. A collective is three steps: everybody of the group posts and waits for all
// (1); reads what it needs of the others' memory; waits until all have read (2), so that each may
// free what it posted. Nobody can leave between 1 and 2, so what is read is alive.
class Team {
 public:
  // Where the ranks of one group wait for each other. Guarded by the team's mutex.
  struct Meeting {
    std::vector<int> group;
    std::condition_variable changed;
    int waiting = 0;
    uint64_t round = 0;
  };

  explicit Team(int size) : posted_(static_cast<size_t>(size)), left_(posted_.size(), false) {
    std::vector<int> all(posted_.size());
    std::iota(all.begin(), all.end(), 0);
    whole_ = &MeetingOf(all);
  }

  int size() const { return static_cast<int>(posted_.size()); }
  Meeting& whole() { return *whole_; }

  // Groups are few, and met in again and again: none is ever forgotten.
  Meeting& MeetingOf(std::span<const int> group) {
    const std::lock_guard lock(mutex_);
    const std::vector<int> key(group.begin(), group.end());
    Meeting& meeting = meetings_[key];
    if (meeting.group.empty()) meeting.group = key;
    return meeting;
  }

  Status Meet(int rank, Meeting& meeting, const Contribution& mine,
              const std::function<void()>& read) {
    posted_[static_cast<size_t>(rank)] = mine;
    RELAYOUT_RETURN_IF_ERROR(WaitForAll(rank, meeting, mine.collective));
    const Contribution& first = posted(meeting.group.front());
    RELAYOUT_CHECK(std::string_view(first.collective) == mine.collective);
    RELAYOUT_CHECK(first.root == mine.root);
    // Whatever happens, the others may still be reading what this rank posted.
    Status outcome = Guarded(read);
    RELAYOUT_RETURN_IF_ERROR(WaitForAll(rank, meeting, mine.collective));
    return outcome;
  }
  const Contribution& posted(int rank) const { return posted_[static_cast<size_t>(rank)]; }

  void Leave(int rank) {
    const std::lock_guard lock(mutex_);
    // The first is the cause; those that fail because of it leave as well.
    if (!first_left_) first_left_ = rank;
    left_[static_cast<size_t>(rank)] = true;
    ++left_count_;
    for (auto& [group, meeting] : meetings_) meeting.changed.notify_all();
    CheckSomebodyGoesOn();
  }

  void RequestStop() { stop_ = true; }
  bool StopRequested() const { return stop_; }

 private:
  Status WaitForAll(int rank, Meeting& meeting, const char* collective) {
    std::unique_lock lock(mutex_);
    const uint64_t round = meeting.round;
    if (++meeting.waiting == std::ssize(meeting.group)) {
      blocked_count_ -= meeting.waiting - 1;
      meeting.waiting = 0;
      ++meeting.round;
      meeting.changed.notify_all();
      return OkStatus();
    }
    ++blocked_count_;
    CheckSomebodyGoesOn();
    meeting.changed.wait(lock, [&] { return meeting.round != round || LeftOf(meeting.group); });
    // A round that is over was joined by all, also by those that left since.
    if (meeting.round != round) return OkStatus();
    --blocked_count_;
    --meeting.waiting;
    return IoError(Format("rank {} left, and rank {} waits for it in {}", *LeftOf(meeting.group),
                          rank, collective));
  }

  // A rank of the group that left: the one that left first of all, if it is one.
  std::optional<int> LeftOf(const std::vector<int>& group) const {
    if (!first_left_) return std::nullopt;
    if (std::ranges::binary_search(group, *first_left_)) return first_left_;
    const auto left = std::ranges::find_if(
        group, [&](int rank) -> bool { return left_[static_cast<size_t>(rank)]; });
    return left == group.end() ? std::nullopt : std::optional(*left);
  }

  // Ranks that call the exchanges of overlapping groups in different orders would wait for ever.
  void CheckSomebodyGoesOn() const {
    if (blocked_count_ == 0 || blocked_count_ + left_count_ < size()) return;
    const bool somebody_fails = std::ranges::any_of(meetings_, [&](const auto& entry) {
      return entry.second.waiting > 0 && LeftOf(entry.second.group).has_value();
    });
    RELAYOUT_CHECK(somebody_fails);
  }

  std::vector<Contribution> posted_;
  std::atomic<bool> stop_ = false;

  std::mutex mutex_;  // Guards what follows.
  std::map<std::vector<int>, Meeting> meetings_;
  Meeting* whole_ = nullptr;
  std::optional<int> first_left_;
  std::vector<bool> left_;
  int left_count_ = 0;
  int blocked_count_ = 0;  // Ranks that wait in a round that is not over.
};

class ThreadComm final : public Comm {
 public:
  ThreadComm(Team& team, int rank) : team_(team), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return team_.size(); }
  std::string label() const override { return Format("rank {}", rank_); }

  Status Barrier() override {
    return Meet({"Barrier", 0, {}}, [] {});
  }
  Status Broadcast(std::string& bytes, int root) override {
    CheckRoot(root);
    return Meet({"Broadcast", root, bytes}, [&] {
      if (rank_ != root) bytes = team_.posted(root).bytes;
    });
  }
  Result<std::vector<std::string>> AllGather(std::string_view mine) override {
    return Collect({"AllGather", 0, mine}, true);
  }
  Result<std::vector<std::string>> Gather(std::string_view mine, int root) override {
    CheckRoot(root);
    return Collect({"Gather", root, mine}, rank_ == root);
  }

  Status Exchange(std::span<const int> group, std::span<const std::string_view> give,
                  const Receive& receive) override {
    const size_t mine = MemberOf(group, rank_);
    RELAYOUT_CHECK(give.size() == group.size() && group.front() >= 0 && group.back() < size());
    if (!failure_.ok()) return failure_;
    failure_ = team_.Meet(rank_, team_.MeetingOf(group), {"Exchange", 0, {}, give}, [&] {
      for (size_t i = 0; i < group.size(); ++i) receive(i, team_.posted(group[i]).give[mine]);
    });
    return failure_;
  }

  void RequestStop() override { team_.RequestStop(); }
  bool StopRequested() override { return team_.StopRequested(); }

  // Whether another rank left: then this rank's failure is the consequence of that one's.
  bool was_left() const { return failure_.code() == StatusCode::kIoError; }

 private:
  void CheckRoot(int root) const { RELAYOUT_CHECK(root >= 0 && root < size()); }

  Status Meet(const Contribution& mine, const std::function<void()>& read) {
    if (failure_.ok()) failure_ = team_.Meet(rank_, team_.whole(), mine, read);
    return failure_;
  }

  Result<std::vector<std::string>> Collect(const Contribution& mine, bool wanted) {
    std::vector<std::string> all;
    RELAYOUT_RETURN_IF_ERROR(Meet(mine, [&] {
      for (int i = 0; wanted && i < size(); ++i) all.emplace_back(team_.posted(i).bytes);
    }));
    return all;
  }

  Team& team_;
  const int rank_;
  Status failure_;
};

struct RankEnd {
  Status status;
  bool was_left = false;
};

RankEnd RunRank(Team& team, int rank, const std::function<Status(Comm&)>& rank_main) {
  ThreadComm comm(team, rank);
  RankEnd end;
  try {
    end.status = rank_main(comm);
  } catch (const std::bad_alloc&) {
    end.status = OutOfMemory("the machine has no memory left");
  }
  end.was_left = comm.was_left();
  team.Leave(rank);
  return end;
}

Status FirstCause(const std::vector<RankEnd>& ends) {
  std::vector<RankOutcome> all;
  std::vector<RankOutcome> causes;
  for (const RankEnd& end : ends) {
    all.push_back({Format("rank {}", all.size()), end.status});
    causes.push_back(end.was_left ? RankOutcome{} : all.back());
  }
  const Status cause = CommonFailure(causes);
  return cause.ok() ? CommonFailure(all) : cause;
}

}  // namespace

Status RunThreadComm(int rank_count, const std::function<Status(Comm&)>& rank_main) {
  RELAYOUT_CHECK(rank_count >= 1);
  Team team(rank_count);
  std::vector<RankEnd> ends(static_cast<size_t>(rank_count));
  const auto run = [&](int rank) {
    ends[static_cast<size_t>(rank)] = RunRank(team, rank, rank_main);
  };
  {
    std::vector<std::jthread> threads;
    for (int rank = 1; rank < rank_count; ++rank) {
      try {
        threads.emplace_back(run, rank);
      } catch (const std::system_error&) {
        ends[static_cast<size_t>(rank)].status = OutOfMemory("the system starts no more threads");
        team.Leave(rank);
      }
    }
    run(0);
  }
  return FirstCause(ends);
}

}  // namespace relayout
