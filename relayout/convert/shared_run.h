// SPDX-License-Identifier: Apache-2.0
//
// What processes need that do one conversion together: to know that it is one, and to stop
// together.
#pragma once

#include <atomic>
#include <thread>

#include "relayout/base/status.h"
#include "relayout/comm/comm.h"
#include "relayout/convert/transform.h"
#include "relayout/exec/progress.h"

namespace relayout {

// Collective. True when all processes were given the same request, false when they differ in the
// target ranks, the source files and the target file only: then each has ranks of its own. Fails
// when they differ in more, or when two would write one rank below the same directory.
Result<bool> IsOneRequest(Comm& comm, const TransformRequest& request);

// While it lives, a wish to stop goes both ways between this process's progress and the others.
class StopRelay {
 public:
  StopRelay(Comm& comm, Progress& progress);
  StopRelay(const StopRelay&) = delete;
  StopRelay& operator=(const StopRelay&) = delete;

 private:
  void Run(const std::stop_token& stop) const;

  Comm& comm_;
  Progress& progress_;
  std::jthread thread_;
};

}  // namespace relayout
