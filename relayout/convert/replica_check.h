// SPDX-License-Identifier: Apache-2.0
//
// Do the ranks that should hold the same bytes do so?
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "relayout/base/parallel.h"
#include "relayout/base/status.h"
#include "relayout/convert/contents.h"

namespace relayout {

// Compares every replica of every shard that `contents` reads, by XXH3-128, reading all of them.
// Returns one line for each value that differs, naming the ranks: "layer1.bias: rank 0 and rank 3
// hold the same slice [0:64] with different contents". Stops with kCancelled when *cancel becomes
// true (may be null). Of several processes each compares its share.
Result<std::vector<std::string>> FindDivergingReplicas(FileSystem& fs, const CheckpointSet& source,
                                                       const Contents& contents, int thread_count,
                                                       const std::atomic<bool>* cancel,
                                                       const WorkShare& share = {});

// The same for carried values, which are small: one line for each on which ranks disagree, saying
// whose is taken. Values above 64 KiB are compared by FindDivergingReplicas only.
Result<std::vector<std::string>> FindCarriedDisagreements(FileSystem& fs,
                                                          const CheckpointSet& source,
                                                          const Contents& contents,
                                                          int thread_count);

}  // namespace relayout
