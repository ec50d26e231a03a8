// SPDX-License-Identifier: Apache-2.0
#include "python/src/train/rank.h"

#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "python/src/comm_capsule.h"
#include "python/src/run.h"
#include "python/src/train/bindings.h"
#include "relayout/base/text.h"
#include "relayout/comm/thread_comm.h"
#include "relayout/spmd/kernels/threads.h"

namespace nb = nanobind;

namespace relayout::python {
namespace {

uint64_t Now() {
  static std::atomic<uint64_t> time = 0;
  return ++time;
}

}  // namespace

Comm& Rank::comm() const {
  if (comm_ == nullptr) {
    ThrowIfFailed(InvalidInput("the rank has ended; models and comms work within run_ranks only"));
  }
  return *comm_;
}

void Rank::Run(const std::function<void()>& work) {
  const auto calculate = [&] {
    if (thread_count_ > 0) kernels::UseKernelThreads(thread_count_);
    work();
  };
  if (is_watched_) {
    RunWatched({.stop = [&] { comm_->RequestStop(); }}, calculate);
  } else {
    const nb::gil_scoped_release unlocked;
    calculate();
  }
}

Status Rank::Guard(const std::function<void()>& call) {
  const nb::gil_scoped_acquire locked;
  const bool is_first = !failure_.kept().is_valid();
  Status status = failure_.Guard(call);
  if (is_first && failure_.kept().is_valid()) {
    seen_ = nb::borrow(failure_.kept());
    seen_time_ = Now();
  }
  return status;
}

uint64_t Rank::TimeOf(nb::handle exception) const {
  return exception.is(seen_) ? seen_time_ : Now();
}

namespace {

// --- Ranks that are threads ---------------------------------------------------------------------

// What became of a rank's function.
struct RankEnd {
  nb::object result;
  nb::object exception;
  uint64_t time = 0;  // Of the exception.
};

class ThreadRanks {
 public:
  ThreadRanks(int count, nb::handle main, int thread_count)
      : main_(main),
        thread_count_(thread_count),
        ranks_(static_cast<size_t>(count)),
        ends_(ranks_.size()) {}

  // With the GIL. What the functions returned, by rank; or throws what was raised first.
  nb::dict Run() {
    Status status;
    RunWatched({.stop = [this] { RequestStop(); }, .on_failure = [this] { Interrupt(); }}, [&] {
      status = RunThreadComm(static_cast<int>(ranks_.size()),
                             [this](Comm& comm) { return RunRank(comm); });
    });
    RaiseFirst();
    ThrowIfFailed(status);
    nb::dict results;
    for (size_t rank = 0; rank < ends_.size(); ++rank) results[nb::int_(rank)] = ends_[rank].result;
    return results;
  }

 private:
  // A rank that is under way.
  struct Running {
    Comm* comm = nullptr;
    nb::object thread;  // threading.get_ident() there.
  };

  // On the rank's thread. What Python raised is kept in ends_; the status only says that there is
  // something.
  Status RunRank(Comm& comm) {
    const nb::gil_scoped_acquire locked;
    const auto number = static_cast<size_t>(comm.rank());
    RankEnd& end = ends_[number];
    const auto rank = std::make_shared<Rank>(comm, false, thread_count_);
    PythonFailure failure;
    Enter(number, {&comm, nb::module_::import_("threading").attr("get_ident")()});
    Status status = failure.Guard([&] { end.result = main_(rank); });
    Leave(number);
    rank->End();
    if (failure.kept().is_valid()) {
      end.exception = nb::borrow(failure.kept());
      end.time = rank->TimeOf(end.exception);
    }
    return status;
  }

  void Enter(size_t number, Running running) {
    const std::lock_guard lock(mutex_);
    ranks_[number] = std::move(running);
    if (is_stopped_) ranks_[number].comm->RequestStop();
  }
  void Leave(size_t number) {
    const std::lock_guard lock(mutex_);
    ranks_[number] = {};
  }

  void RequestStop() {
    const std::lock_guard lock(mutex_);
    is_stopped_ = true;
    for (const Running& rank : ranks_) {
      if (rank.comm != nullptr) rank.comm->RequestStop();
    }
  }

  // With the GIL: ranks that are in Python code leave it.
  void Interrupt() {
    const std::lock_guard lock(mutex_);
    for (const Running& rank : ranks_) {
      if (rank.comm == nullptr) continue;
      PyThreadState_SetAsyncExc(nb::cast<unsigned long>(rank.thread), PyExc_KeyboardInterrupt);
    }
  }

  void RaiseFirst() const {
    const RankEnd* first = nullptr;
    for (const RankEnd& end : ends_) {
      if (!end.exception.is_valid()) continue;
      if (first == nullptr || end.time < first->time) first = &end;
    }
    if (first != nullptr) RaiseAgain(first->exception);
  }

  const nb::handle main_;
  const int thread_count_;
  // Taken with the GIL held but for RequestStop, which takes nothing else: no deadlock.
  std::mutex mutex_;
  bool is_stopped_ = false;
  std::vector<Running> ranks_;
  std::vector<RankEnd> ends_;
};

constexpr int64_t kMaxThreads = 1024;

// How many threads a rank calculates with; 0: its share of the processors.
int ThreadCount(int64_t wanted, int64_t rank_count) {
  if (wanted < 0 || wanted > kMaxThreads) {
    ThrowIfFailed(
        InvalidInput(Format("threads={}: give 1 to {}, or 0 for this rank's share of the "
                            "processors",
                            wanted, kMaxThreads)));
  }
  if (wanted > 0) return static_cast<int>(wanted);
  const int64_t processors = std::thread::hardware_concurrency();
  return static_cast<int>(std::max<int64_t>(1, processors / rank_count));
}

nb::dict RunRanks(int64_t count, nb::handle main, int64_t threads) {
  if (count < 1 || count > kMaxThreads) {
    ThrowIfFailed(InvalidInput(Format("{}: give 1 to {}", Count(count, "rank"), kMaxThreads)));
  }
  return ThreadRanks(static_cast<int>(count), main, ThreadCount(threads, count)).Run();
}

// This process, of the processes whose Comm relayout._mpi has put into a capsule.
std::shared_ptr<Rank> ProcessRank(nb::handle world, int64_t threads) {
  void* const pointer = PyCapsule_GetPointer(world.ptr(), kCommCapsuleName);
  if (pointer == nullptr) throw nb::python_error();
  Comm& comm = *static_cast<Comm*>(pointer);
  return std::make_shared<Rank>(comm, true, ThreadCount(threads, comm.size()));
}

}  // namespace

void BindRanks(nb::module_& module) {
  nb::class_<Rank>(module, "Comm", "See relayout/comm/comm.h.")
      .def(nb::init<>())
      .def_prop_ro("rank", [](const Rank& self) { return self.comm().rank(); })
      .def_prop_ro("size", [](const Rank& self) { return self.comm().size(); })
      .def("barrier", [](Rank& self) {
        Comm& comm = self.comm();
        self.Call([&] { return comm.Barrier(); });
      });
  module.def("run_ranks", &RunRanks, nb::arg("count"), nb::arg("main"), nb::arg("threads"));
  module.def("process_rank", &ProcessRank, nb::arg("world"), nb::arg("threads"));
  module.def("stop_all_runs", &StopAllRuns);
}

}  // namespace relayout::python
