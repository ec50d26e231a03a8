// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/kernels/threads.h"

#include <atomic>
#include <thread>
#include <vector>

#include "relayout/base/check.h"
#include "relayout/base/parallel.h"

namespace relayout::kernels {
namespace {

// 0 as long as nobody set it.
thread_local int thread_count = 0;

// Waits until `value` is not `old` any more. Kernels follow each other closely, so that it pays to
// look a few times before going to sleep; yielding leaves the processor to who has work.
void WaitForChange(const std::atomic<int64_t>& value, int64_t old) {
  constexpr int kLooks = 64;
  for (int i = 0; i < kLooks; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    std::this_thread::yield();
  }
  value.wait(old, std::memory_order_acquire);
}

// The helpers of one thread. A run is announced by a new round; every helper takes part in each
// round, if only to say that it is through, so that none looks at a run that is over.
class Team {
 public:
  Team() = default;
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;
  ~Team() { Announce(0, nullptr, nullptr); }

  void Run(int64_t parts, void (*work)(void*, int64_t), void* context) {
    while (static_cast<int64_t>(helpers_.size()) < parts - 1) Hire();
    busy_.store(static_cast<int64_t>(helpers_.size()), std::memory_order_relaxed);
    Announce(parts, work, context);
    work(context, 0);
    while (const int64_t busy = busy_.load(std::memory_order_acquire)) WaitForChange(busy_, busy);
  }

 private:
  void Announce(int64_t parts, void (*work)(void*, int64_t), void* context) {
    parts_ = parts;
    work_ = work;
    context_ = context;
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
  }

  void Hire() {
    const auto part = static_cast<int64_t>(helpers_.size()) + 1;
    const int64_t round = round_.load(std::memory_order_relaxed);
    helpers_.emplace_back([this, part, round] { Help(part, round); });
  }

  void Help(int64_t part, int64_t round) {
    thread_count = 1;
    for (;; ++round) {
      WaitForChange(round_, round);
      if (work_ == nullptr) return;
      if (part < parts_) work_(context_, part);
      if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_.notify_one();
    }
  }

  // What a round is about; written while no helper is busy.
  int64_t parts_ = 0;
  void (*work_)(void*, int64_t) = nullptr;
  void* context_ = nullptr;
  std::atomic<int64_t> round_ = 0;
  std::atomic<int64_t> busy_ = 0;
  std::vector<std::jthread> helpers_;  // Last: they end before what they use.
};

}  // namespace

void UseKernelThreads(int count) {
  RELAYOUT_CHECK(count >= 1);
  thread_count = count;
}

int KernelThreads() {
  if (thread_count == 0) thread_count = DefaultThreadCount();
  return thread_count;
}

void RunParts(int64_t parts, void (*work)(void* context, int64_t part), void* context) {
  thread_local Team team;
  const int threads = KernelThreads();
  RELAYOUT_CHECK(parts >= 1 && parts <= threads);
  // A kernel inside of a part finds the team at work, and stays on its thread.
  thread_count = 1;
  team.Run(parts, work, context);
  thread_count = threads;
}

}  // namespace relayout::kernels
