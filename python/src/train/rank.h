// SPDX-License-Identifier: Apache-2.0
//
// A rank in Python's hands, and how long calls are made on it.
//
//   kind of rank                  who makes its calls            signals
//   a thread of run_ranks         that thread                    the caller of run_ranks looks
//   a process of mpirun, or one   the program's thread, which    looked after during the call,
//   that is alone                 watches while another works    see run.h
//
// Its Comm ends when the rank's function has returned; Python may hold the rank, and models on it,
// for longer, and gets an error when it uses them.
#pragma once

#include <nanobind/nanobind.h>

#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include "python/src/errors.h"
#include "python/src/train/python_failure.h"
#include "relayout/comm/comm.h"

namespace relayout::python {

class Rank {
 public:
  // A rank that is alone.
  Rank() : own_(NewSelfComm()), comm_(own_.get()), is_watched_(true) {}
  // One of `comm`, which the caller keeps until End(). It calculates with `thread_count` threads.
  Rank(Comm& comm, bool is_watched, int thread_count)
      : comm_(&comm), is_watched_(is_watched), thread_count_(thread_count) {}

  // Throws StatusError after End().
  Comm& comm() const;
  void End() { comm_ = nullptr; }

  // With the GIL, which `work` does not have. `work` must not throw. Throws what Python functions
  // raised during it, which it called with Guard(), or else its failure.
  template <typename T>
  T Call(const std::function<Result<T>()>& work) {
    (void)comm();
    failure_ = {};
    std::optional<Result<T>> result;
    Run([&] {
      try {
        result.emplace(work());
      } catch (const std::bad_alloc&) {
        result.emplace(OutOfMemory("the machine has no memory left"));
      }
    });
    failure_.Raise();
    return ValueOrThrow(*std::move(result));
  }
  void Call(const std::function<Status()>& work) {
    Call<bool>([&]() -> Result<bool> {
      RELAYOUT_RETURN_IF_ERROR(work());
      return true;
    });
  }

  // Within Call: takes the GIL and calls a function that may throw.
  Status Guard(const std::function<void()>& call);

  // With the GIL: when `exception` was first seen, in the order of the process's exceptions, if
  // Guard saw it; else now.
  uint64_t TimeOf(nanobind::handle exception) const;

 private:
  void Run(const std::function<void()>& work);

  std::unique_ptr<Comm> own_;
  Comm* comm_;
  const bool is_watched_;
  const int thread_count_ = 0;  // 0: as many as there are processors.
  PythonFailure failure_;
  nanobind::object seen_;  // The last that Guard saw first.
  uint64_t seen_time_ = 0;
};

}  // namespace relayout::python
