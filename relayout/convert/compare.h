// SPDX-License-Identifier: Apache-2.0
//
// verify and diff: two checkpoint sets held against each other, streaming, element by element,
// without the planner. See logical_tensor.h for what makes that independent.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/convert/checkpoint_set.h"
#include "relayout/exec/progress.h"
#include "relayout/io/file_system.h"

namespace relayout {

struct VerifyRequest {
  CheckpointSetSpec source;
  // The result of a conversion; its strategy is the target strategy, nothing = whole on rank 0.
  CheckpointSetSpec target;
  // Only these target ranks; empty = all, and all must be there.
  std::vector<int64_t> ranks;
  // The set was made with keep_extra.
  bool keep_extra = false;
  // ... with remove_redundancy: a value may be in the file of any rank that should hold the same.
  bool remove_redundancy = false;
  int thread_count = 0;  // 0: one for each processor.
  Progress* progress = nullptr;
};

struct VerifyReport {
  int64_t file_count = 0;
  int64_t value_count = 0;  // Of all files.
  int64_t compared_bytes = 0;
  // What is wrong, one line each, at most kMaxProblems; empty = the target is right.
  std::vector<std::string> problems;
  int64_t problem_count = 0;
};
inline constexpr size_t kMaxProblems = 100;

// Checks that every target rank holds exactly the values it should, with the right type, shape and
// bytes. A target that is wrong is an OK Result with problems; fails only when something cannot be
// read.
Result<VerifyReport> VerifyTransform(FileSystem& fs, const VerifyRequest& request);

struct DiffRequest {
  CheckpointSetSpec a;
  CheckpointSetSpec b;
  int thread_count = 0;
  Progress* progress = nullptr;
};

struct ValueDifference {
  std::string name;
  std::string
      text;  // "only in a", "f32[4,8] and f16[4,8]", "12 of 32 elements differ, first at [0,3]".
};

struct DiffReport {
  int64_t equal_count = 0;
  int64_t compared_bytes = 0;
  std::vector<ValueDifference> differences;  // By name of a's files, then those only in b.
};

// Compares whole values by name, whatever their layouts.
Result<DiffReport> DiffCheckpoints(FileSystem& fs, const DiffRequest& request);

}  // namespace relayout
