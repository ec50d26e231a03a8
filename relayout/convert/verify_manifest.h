// SPDX-License-Identifier: Apache-2.0
//
// verify without the source: does a set hold what its manifest says? (checkpoint/manifest.h)
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/convert/compare.h"
#include "relayout/io/file_system.h"

namespace relayout {

struct VerifyManifestRequest {
  std::string directory;
  // Only these ranks; empty = all, and all must be there.
  std::vector<int64_t> ranks;
  int thread_count = 0;  // 0: one for each processor.
  Progress* progress = nullptr;
};

// Reads each file once and holds size and content hash against its record. Files that are wrong or
// missing are problems of an OK report; fails when there is no manifest or a file cannot be read.
Result<VerifyReport> VerifyManifest(FileSystem& fs, const VerifyManifestRequest& request);

}  // namespace relayout
