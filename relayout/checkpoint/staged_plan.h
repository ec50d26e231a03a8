// SPDX-License-Identifier: Apache-2.0
//
// StagedPlan: what a run set out to do, kept beside its staged files so that another run can go on
// after a kill. It is there if and only if all files were created, headers and all.
//
//   relayout plan 1
//   source_strategy ...        a generation (manifest.h)
//   modified 0 356509 1700...  size and time of change of each source file, to the nanosecond
//   replicas copy              how equal files are made
//   ranks 0 1 2 3
//   chunk_bytes 4194304        how the work is cut (exec/work.h)
//   thread_memory_bytes 25165824
//   end
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/checkpoint/manifest.h"

namespace relayout {

struct StagedPlan {
  Generation generation;
  std::map<int64_t, std::string> change_of_source;  // "<size> <time>" of each source rank's file.
  std::vector<int64_t> ranks;                       // To be written, ascending.
  std::string replicas;
  int64_t chunk_bytes = 0;
  int64_t thread_memory_bytes = 0;
};

// What keeps the work of `before` from being gone on with by a run that wants `now`, for messages;
// empty when nothing does. How the work is cut does not matter.
std::string DescribeDifference(const StagedPlan& before, const StagedPlan& now);

std::string SerializePlan(const StagedPlan& plan);
Result<StagedPlan> ParsePlan(std::string_view text);

}  // namespace relayout
