// SPDX-License-Identifier: Apache-2.0
//
// Generation: from what a target file was made. Runs that each write one rank of a set (one process
// a rank) leave a record a rank, so that the next one can tell its siblings from another set's
// files, and no directory ever mixes the two.
//
// A record is text:
//
//   relayout generation 1
//   request 7d2f...            hash of both strategies and of all options that change the output
//   source 0 93ab...           fingerprint of a source file that was read
//   file rank_3/checkpoint_3.ckpt 356509
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "relayout/base/status.h"
#include "relayout/io/file_system.h"

namespace relayout {

struct Generation {
  std::string request;                            // Hexadecimal hash.
  std::map<int64_t, std::string> source_of_rank;  // Fingerprints of the files that were read.
};

// Could files of both stand side by side? True when the requests are equal and no source rank that
// both read differs.
bool IsSameGeneration(const Generation& a, const Generation& b);

std::string SerializeGeneration(const Generation& generation, std::string_view file_name,
                                int64_t file_size_bytes);
Result<Generation> ParseGeneration(std::string_view text);

// Size and samples spread over the file, hashed: tells a retrained checkpoint from its predecessor
// without reading it whole, and does not change when a file is copied.
Result<std::string> FingerprintFile(const ReadableFile& file);

}  // namespace relayout
