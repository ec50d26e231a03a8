// SPDX-License-Identifier: Apache-2.0
#include "relayout/comm/thread_comm.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <optional>
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
};

Status Guarded(const std::function<void()>& read) {
  try {
    read();
    return OkStatus();
  } catch (const std::bad_alloc&) {
    return OutOfMemory("the machine has no memory left for what the other ranks sent");
  }
}

// What the ranks share. A collective is three steps: everybody posts and waits for all (1); reads
// what it needs of the others' memory; waits until all have read (2), so that each may free what it
// posted. Nobody can leave between 1 and 2, so what is read is alive.
class Team {
 public:
  explicit Team(int size) : posted_(static_cast<size_t>(size)) {}

  int size() const { return static_cast<int>(posted_.size()); }

  Status Meet(int rank, const Contribution& mine, const std::function<void()>& read) {
    posted_[static_cast<size_t>(rank)] = mine;
    RELAYOUT_RETURN_IF_ERROR(WaitForAll(rank, mine.collective));
    const Contribution& first = posted_.front();
    RELAYOUT_CHECK(std::string_view(first.collective) == mine.collective);
    RELAYOUT_CHECK(first.root == mine.root);
    // Whatever happens, the others may still be reading what this rank posted.
    Status outcome = Guarded(read);
    RELAYOUT_RETURN_IF_ERROR(WaitForAll(rank, mine.collective));
    return outcome;
  }
  std::string_view posted(int rank) const { return posted_[static_cast<size_t>(rank)].bytes; }

  void Leave(int rank) {
    const std::lock_guard lock(mutex_);
    // The first is the cause; those that fail because of it leave as well.
    if (!first_left_) first_left_ = rank;
    changed_.notify_all();
  }

  void RequestStop() { stop_ = true; }
  bool StopRequested() const { return stop_; }

 private:
  Status WaitForAll(int rank, const char* collective) {
    std::unique_lock lock(mutex_);
    const uint64_t round = round_;
    if (++waiting_ == size()) {
      waiting_ = 0;
      ++round_;
      changed_.notify_all();
      return OkStatus();
    }
    changed_.wait(lock, [&] { return round_ != round || first_left_; });
    // A round that is over was joined by all, also by those that left since.
    if (round_ != round) return OkStatus();
    return IoError(
        Format("rank {} left, and rank {} waits for it in {}", *first_left_, rank, collective));
  }

  std::vector<Contribution> posted_;
  std::atomic<bool> stop_ = false;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<int> first_left_;
  int waiting_ = 0;
  uint64_t round_ = 0;
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
      if (rank_ != root) bytes = team_.posted(root);
    });
  }
  Result<std::vector<std::string>> AllGather(std::string_view mine) override {
    return Collect({"AllGather", 0, mine}, true);
  }
  Result<std::vector<std::string>> Gather(std::string_view mine, int root) override {
    CheckRoot(root);
    return Collect({"Gather", root, mine}, rank_ == root);
  }

  void RequestStop() override { team_.RequestStop(); }
  bool StopRequested() override { return team_.StopRequested(); }

  // Whether another rank left: then this rank's failure is the consequence of that one's.
  bool was_left() const { return failure_.code() == StatusCode::kIoError; }

 private:
  void CheckRoot(int root) const { RELAYOUT_CHECK(root >= 0 && root < size()); }

  Status Meet(const Contribution& mine, const std::function<void()>& read) {
    if (failure_.ok()) failure_ = team_.Meet(rank_, mine, read);
    return failure_;
  }

  Result<std::vector<std::string>> Collect(const Contribution& mine, bool wanted) {
    std::vector<std::string> all;
    RELAYOUT_RETURN_IF_ERROR(Meet(mine, [&] {
      for (int i = 0; wanted && i < size(); ++i) all.emplace_back(team_.posted(i));
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
