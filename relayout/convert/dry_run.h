// SPDX-License-Identifier: Apache-2.0
//
// Dry run: what a transform would read, write and need, to the byte, without doing it.
//
//   Result<DryRunReport> report = DryRunTransform(fs, request, {.explain = {"layer1.weight"}});
//   report->read_bytes     // of payload, over all files of report->sources
//   report->problems       // Empty, or why the conversion would fail: files that may not be
//                          // replaced, too little space
//
// It opens the conversion as a transform does (headers, and samples of the contents), so what is
// wrong with the inputs fails here as it would there. Files are not read whole: neither CRC
// trailers nor replicas are checked. Nothing is written but the probe's nameless file.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "relayout/base/dtype.h"
#include "relayout/base/status.h"
#include "relayout/convert/probe.h"
#include "relayout/convert/transform.h"
#include "relayout/plan/transfer.h"

namespace relayout {

struct DryRunOptions {
  // Measure the disks and estimate the time.
  bool probe = true;
  // Values whose transfers are wanted in the report. A name that the target does not have is
  // kNotFound; the message has those near it.
  std::vector<std::string> explain = {};
};

// A source file as far as the conversion reads it.
struct DryRunSource {
  int64_t rank = 0;
  std::string path;
  int64_t size_bytes = 0;
  int64_t read_bytes = 0;  // Payload, with the gaps that strided reads do not leave out.
};

struct DryRunTarget {
  int64_t rank = 0;
  std::string path;
  int64_t payload_bytes = 0;
  int64_t size_bytes = 0;  // With headers and trailer; all of it is written.
  // Made from this rank's file as a link or a clone: nothing is written.
  std::optional<int64_t> original;
};

// Source ranks that hold the same shards, and what is read of them from each.
struct DryRunReplicas {
  std::vector<int64_t> ranks;             // Ascending; of those that have a file.
  std::map<int64_t, int64_t> read_bytes;  // Of the ranks that are read; whole shards counted.
};

// The most memory that this process would hold at once, never less than it takes.
struct DryRunMemory {
  int64_t held_bytes = 0;  // What it has held so far: the program, headers and plans.
  int thread_count = 1;
  int64_t buffer_bytes = 0;   // Of each thread, for the tiles of this conversion.
  int64_t work_bytes = 0;     // Tiles handed out, content hashes to be completed, records.
  int64_t headers_bytes = 0;  // Of the file with the largest ones.
  int64_t other_bytes = 0;    // Stacks, what the heap wastes.

  int64_t total_bytes() const {
    return held_bytes + thread_count * buffer_bytes + work_bytes + headers_bytes + other_bytes;
  }
};

struct DryRunReport {
  int64_t source_rank_count = 0;
  int64_t target_rank_count = 0;  // Of the strategy; `targets` has the wanted ones.
  bool is_unified = false;        // The ranks are the files of a unified set.
  int64_t value_count = 0;
  std::vector<DryRunSource> sources;  // Files of which payload is read, ascending ranks.
  std::vector<DryRunTarget> targets;  // Ascending ranks.
  std::vector<DryRunReplicas> replicas;

  int64_t read_bytes = 0;
  // Beside that, for checks: files with CRC trailers are read whole once more.
  int64_t checked_bytes = 0;
  int64_t payload_bytes = 0;  // Written.
  int64_t written_bytes = 0;  // Payload, headers and trailers.
  // At most, beside that: the journal of the run and a record of each file, for DST/.relayout.
  int64_t record_bytes = 0;

  // Shards read and written: so many parts of files at least are asked for one by one. Where they
  // are small, they and not the bytes decide how long it takes.
  int64_t piece_count = 0;

  DryRunMemory memory;
  // The nearest directory of the target that exists, and what its file system has to spare. What
  // is written stands beside what is replaced until the end, so all of it is needed.
  std::string disk_path;
  int64_t free_bytes = 0;
  int64_t disk_bytes() const { return written_bytes + record_bytes; }

  std::optional<ProbeResult> probe;
  std::optional<double> estimated_seconds;  // At the pace of the probe, whose pieces are large.

  struct Explained {
    std::string name;
    DType dtype = DType::kFloat32;
    Transfer transfer;
    std::vector<PlacedTensor> unused_sources;
  };
  std::vector<Explained> explained;  // In the order asked for.

  std::vector<Status> problems;  // Each of them would make the conversion fail.
  std::vector<Note> notes;
};

// Fails where the transform would fail before it looks at the target.
Result<DryRunReport> DryRunTransform(FileSystem& fs, const TransformRequest& request,
                                     const DryRunOptions& options = {});

}  // namespace relayout
