// SPDX-License-Identifier: Apache-2.0
//
// Strided reads: which stretches of a shard to read when only part of it is wanted.
//
// Runs with a gap below a page between them are read together, gap and all, because the disk reads
// the page anyway and a call costs more than the copy:
//
//   runs of 512 bytes every 1024   -> one stretch of many runs (within the limit)
//   runs of 512 bytes every 65536  -> one stretch a run
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/layout/box.h"

namespace relayout {

// Contiguous bytes of a shard that hold some runs of equal length.
struct ReadStretch {
  int64_t begin_bytes = 0;
  int64_t size_bytes = 0;
  int64_t run_bytes = 0;
  std::vector<int64_t> run_begins_bytes;  // Ascending, from the shard's begin.

  int64_t wanted_bytes() const { return run_bytes * std::ssize(run_begins_bytes); }
};

// Calls `read` for the stretches that cover `box` in a shard that is `shard_box`, ascending. No
// stretch of several runs exceeds `limit_bytes`. Stops at the first failure and returns it.
// @post the runs of all stretches are those of ForEachRun(shard_box, box)
Status ForEachStretch(const Box& shard_box, const Box& box, int64_t element_size_bytes,
                      int64_t limit_bytes, const std::function<Status(const ReadStretch&)>& read);

// Packs the runs of a stretch, whose bytes are `raw`, densely into `to`.
void ExtractRuns(const ReadStretch& stretch, const std::byte* raw, std::byte* to);

}  // namespace relayout
