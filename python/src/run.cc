// SPDX-License-Identifier: Apache-2.0
#include "python/src/run.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "relayout/base/text.h"

namespace nb = nanobind;

namespace relayout::python {
namespace {

constexpr auto kLookInterval = std::chrono::milliseconds(50);

// The runs under way, for StopAllRuns.
class Runs {
 public:
  void Add(const Watch* run) {
    const std::lock_guard lock(mutex_);
    ForgetParent();
    running_.push_back(run);
  }
  void Remove(const Watch* run) {
    const std::lock_guard lock(mutex_);
    std::erase(running_, run);
    changed_.notify_all();
  }
  void StopAndWait() {
    std::unique_lock lock(mutex_);
    ForgetParent();
    for (const Watch* run : running_) run->stop();
    changed_.wait(lock, [this] { return running_.empty(); });
  }

 private:
  // In a forked child the threads that would remove these do not exist.
  void ForgetParent() {
    if (process_ == getpid()) return;
    process_ = getpid();
    running_.clear();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  pid_t process_ = getpid();
  std::vector<const Watch*> running_;
};

// Never destroyed: daemon threads may outlive static objects.
Runs& AllRuns() {
  static Runs& runs = *new Runs;
  return runs;
}

class RunRegistration {
 public:
  explicit RunRegistration(const Watch& run) : run_(run) { AllRuns().Add(&run_); }
  ~RunRegistration() { AllRuns().Remove(&run_); }
  RunRegistration(const RunRegistration&) = delete;
  RunRegistration& operator=(const RunRegistration&) = delete;

 private:
  const Watch& run_;
};

// While it lives, this thread, and threads that it starts, get no signals but those of their own
// mistakes.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t blocked;
    sigfillset(&blocked);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) {
      sigdelset(&blocked, fault);
    }
    pthread_sigmask(SIG_SETMASK, &blocked, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_ = {};
};

std::jthread StartWithoutSignals(const std::function<void()>& work) {
  const SignalsBlocked blocked;
  try {
    return std::jthread(work);
  } catch (const std::system_error& error) {
    throw StatusError(OutOfMemory(Format("cannot start a thread: {}", error.what())));
  }
}

class Watcher {
 public:
  explicit Watcher(const Watch& watch) : watch_(watch) {}

  void Run(const std::function<void()>& work) {
    const RunRegistration registration(watch_);
    std::jthread worker = StartWithoutSignals([&] {
      work();
      const std::lock_guard lock(mutex_);
      is_done_ = true;
      wake_.notify_all();
    });
    while (!WaitALittle()) LookAround();
    worker.join();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  // Lets others have the interpreter meanwhile. True when the work is done.
  bool WaitALittle() {
    const nb::gil_scoped_release unlocked;
    std::unique_lock lock(mutex_);
    return wake_.wait_for(lock, kLookInterval, [this] { return is_done_; });
  }

  // A failure stops the work; then nobody is asked any more.
  void LookAround() {
    if (failure_) return;
    try {
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
      // Every other time: ten times a second.
      is_odd_ = !is_odd_;
      if (is_odd_) watch_.look();
    } catch (...) {
      failure_ = std::current_exception();
      watch_.stop();
      watch_.on_failure();
    }
  }

  const Watch& watch_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool is_done_ = false;
  bool is_odd_ = false;
  std::exception_ptr failure_;
};

}  // namespace

void RunWatched(const Watch& watch, const std::function<void()>& work) { Watcher(watch).Run(work); }

void RunWatched(Progress& progress, nb::handle on_progress, const std::function<void()>& work) {
  RunWatched({.stop = [&] { progress.cancel_requested = true; },
              .look =
                  [&] {
                    if (progress.total_bytes > 0) CallProgress(progress, on_progress);
                  }},
             work);
}

void CallProgress(const Progress& progress, nb::handle on_progress) {
  if (on_progress.is_none()) return;
  on_progress(progress.written_bytes.load(), progress.total_bytes.load());
}

void StopAllRuns() {
  const nb::gil_scoped_release unlocked;
  AllRuns().StopAndWait();
}

}  // namespace relayout::python
