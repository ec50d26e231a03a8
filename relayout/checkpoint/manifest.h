// SPDX-License-Identifier: Apache-2.0
//
// Manifest: DIR/.relayout/rank_<r> says what the file of rank r was made from and what its bytes
// hash to.
//
//   relayout manifest 1
//   source_strategy 7d2f...    hashes of what shapes the output ...
//   target_strategy 09c1...
//   options 55aa...
//   source 0 93ab...           ... and fingerprints of the source files that were there
//   ranks 4                    of the whole set
//   file rank_3/checkpoint_3.ckpt 356509 4be0...     size and content hash (base/content_hash.h)
//
// The first half is the file's *generation*: runs that each write one rank of a set (one process a
// rank) can tell siblings from another set's files, so that no directory ever mixes the two. The
// last line lets anybody check the file without its source.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "relayout/base/hash.h"
#include "relayout/base/status.h"
#include "relayout/io/file_system.h"

namespace relayout {

struct Generation {
  // Hexadecimal hashes.
  std::string source_strategy;
  std::string target_strategy;
  std::string options;                            // All options that change the output.
  std::map<int64_t, std::string> source_of_rank;  // Fingerprints of the source files.
};

// Could files of both stand side by side? True when the requests are equal and no source rank that
// both read differs.
bool IsSameGeneration(const Generation& a, const Generation& b);

// What differs between two generations, for messages: "the source strategy", "source rank 3", ...;
// empty when nothing does.
std::string DescribeDifference(const Generation& a, const Generation& b);

struct ManifestRecord {
  Generation generation;
  int64_t rank_count = 0;  // Of the whole set.
  std::string file_name;   // "rank_3/checkpoint_3.ckpt"; may hold blanks.
  int64_t size_bytes = 0;
  Hash128 content_hash;
};

// DIR/.relayout, and in it the record of a rank.
std::string StateDirectory(const std::string& directory);
std::string RecordPath(const std::string& directory, int64_t rank);

std::string SerializeRecord(const ManifestRecord& record);
// Fails on anything but a whole record of this version.
Result<ManifestRecord> ParseRecord(std::string_view text);
// Reads a rank's record; kNotFound when there is none.
Result<ManifestRecord> ReadRecord(FileSystem& fs, const std::string& directory, int64_t rank);

// The lines of a generation, and one such line read back; false when it is another line.
std::string SerializeGeneration(const Generation& generation);
Result<bool> ParseGenerationLine(std::string_view line, Generation& generation);

// Size and samples spread over the file, hashed: tells a retrained checkpoint from its predecessor
// without reading it whole, and does not change when a file is copied.
Result<std::string> FingerprintFile(const ReadableFile& file);

}  // namespace relayout
