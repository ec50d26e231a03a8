// SPDX-License-Identifier: Apache-2.0
//
// Probe: copies some of what a conversion will read to where it will write, to learn how fast the
// disks are. The copy has no name while it is written, so nothing is left of it even after a kill.
//
// What it says is as true as the page cache lets it be: sources that were read before may come from
// memory, and without sync the writes go to memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/exec/progress.h"
#include "relayout/io/file_system.h"

namespace relayout {

struct ProbeSource {
  std::string path;
  int64_t size_bytes = 0;
};

struct ProbeOptions {
  int thread_count = 1;
  bool sync = true;
  int64_t limit_bytes = int64_t{128} << 20;
  double limit_seconds = 1;
  const Progress* progress = nullptr;  // May be null.
};

struct ProbeResult {
  int64_t copied_bytes = 0;
  double seconds = 0;
  // Of `seconds` the parts for reading and for writing, syncs included.
  double read_seconds = 0;
  double write_seconds = 0;
};

// Copies pieces of `sources`, taken in turns, into a file in `directory`, which must exist. What is
// begun when the time is up is finished. OK with nothing copied when the sources are empty.
Result<ProbeResult> ProbeDisks(FileSystem& fs, const std::vector<ProbeSource>& sources,
                               const std::string& directory, const ProbeOptions& options);

// How long it takes to read and write so much at the pace of the probe. @pre it copied something
double EstimateSeconds(const ProbeResult& probe, int64_t read_bytes, int64_t written_bytes);

}  // namespace relayout
