// SPDX-License-Identifier: Apache-2.0
//
// WorkOrder: what process 0 tells the others when the files are made: where they are, how the work
// is cut and what of it is done already.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/checkpoint/staged_plan.h"
#include "relayout/checkpoint/writer.h"
#include "relayout/exec/work.h"

namespace relayout {

class Conversion;
struct TransformRequest;

struct WorkOrder {
  // An earlier run has finished and published everything: no more to do.
  bool is_complete = false;
  std::string staging_directory;
  std::vector<std::string> paths;  // Of each of Conversion::files().
  WorkCut cut;
  int64_t attempt = 0;            // Runs before this one on the same staged files.
  std::set<int64_t> done_chunks;  // By them.

  std::string Serialize() const;
  static Result<WorkOrder> Deserialize(std::string_view bytes);
};

// What the work of this run is made from and how it is cut; reads samples of the source files.
Result<StagedPlan> MakePlan(FileSystem& fs, const TransformRequest& request,
                            const Conversion& conversion);

// How the target is written.
CheckpointWriterOptions WriterOptionsOf(const TransformRequest& request,
                                        const Conversion& conversion);

// As many of `thread_count` threads as the memory allows with this cut, which may be another run's.
Result<int> ThreadsFor(const WorkCut& cut, const TransformRequest& request, int thread_count);

// "journal-<attempt>-<process>", and back.
std::string JournalName(int64_t attempt, int64_t process);
std::optional<int64_t> AttemptOfJournal(std::string_view name);

}  // namespace relayout
