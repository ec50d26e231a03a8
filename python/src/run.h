// SPDX-License-Identifier: Apache-2.0
//
// Long calls. Python must stay alive while one runs: other threads of the program want to go on,
// Ctrl-C must stop it, and somebody may want to see how far it is.
//
// The work is done on a thread of its own, which knows nothing of Python. The calling thread lets
// go of the interpreter (the GIL) and takes it back some times a second to look after signals and
// to call the progress function, so that these run where the user expects them: in the thread that
// made the call. Whatever they raise stops the work and is raised when the work has cleaned up.
//
//   * No deadlock: the worker never waits for the interpreter, the caller never holds it while it
//     waits.
//   * Signals are delivered to the program's own threads, not to the worker's.
//   * When the interpreter ends while daemon threads are still in a call, these calls are stopped
//   and
//     waited for (StopAllRuns), so that no half-written files are left.
//   * After a fork the child knows of no runs; those of its parent are not its own.
#pragma once

#include <nanobind/nanobind.h>

#include <functional>
#include <new>
#include <optional>

#include "python/src/errors.h"
#include "relayout/exec/progress.h"

namespace relayout::python {

// What is done about a call while it runs.
struct Watch {
  // Asks the work to end soon. From any thread, perhaps more than once; without the GIL it must not
  // touch Python.
  std::function<void()> stop;
  // In the calling thread, with the GIL, ten times a second; what it throws stops the work.
  std::function<void()> look = [] {};
  // In the calling thread, with the GIL, once after the work was stopped because of what `look` or
  // a signal handler raised.
  std::function<void()> on_failure = [] {};
};

// Runs `work`, which must not throw, as said above. Throws what signal handlers or `look` raised.
void RunWatched(const Watch& watch, const std::function<void()>& work);

// The same; `on_progress`, None or a callable of (written_bytes, total_bytes), is who looks.
void RunWatched(Progress& progress, nanobind::handle on_progress,
                const std::function<void()>& work);

// Tells how far it is. Throws what `on_progress` raises.
void CallProgress(const Progress& progress, nanobind::handle on_progress);

// RunWatched for work with a Result<T>, whose failure is thrown. Success is reported to
// `on_progress` once more.
template <typename T>
T RunForResult(Progress& progress, nanobind::handle on_progress,
               const std::function<Result<T>()>& work) {
  std::optional<Result<T>> result;
  RunWatched(progress, on_progress, [&] {
    try {
      result.emplace(work());
    } catch (const std::bad_alloc&) {
      result.emplace(OutOfMemory("out of memory"));
    }
  });
  ThrowIfFailed(result->status());
  CallProgress(progress, on_progress);
  return std::move(*result).value();
}

// Short work without the GIL; its failure is thrown.
template <typename T>
T RunBriefly(const std::function<Result<T>()>& work) {
  std::optional<Result<T>> result;
  {
    const nanobind::gil_scoped_release unlocked;
    result.emplace(work());
  }
  return ValueOrThrow(*std::move(result));
}

// For atexit: stops the runs of this process that are under way and waits until they have ended.
void StopAllRuns();

}  // namespace relayout::python
