// SPDX-License-Identifier: Apache-2.0
//
// Contributions: the content hashes of all target files, added up from the chunks of all threads,
// processes and earlier runs.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/hash.h"
#include "relayout/base/status.h"
#include "relayout/exec/executor.h"
#include "relayout/io/file_system.h"

namespace relayout {

class Conversion;

class Contributions {
 public:
  void Add(const ChunkResult& chunk);

  // One process's contributions and counts for another one, which adds them to its own.
  std::string Serialize(int64_t read_bytes, int64_t written_bytes) const;
  Status Merge(std::string_view bytes, int64_t& read_bytes, int64_t& written_bytes);

  // When everything is written: reads torn blocks back from the files of `conversion`; the sum of
  // each rank's payload.
  Result<std::map<int64_t, Hash128>> Finish(FileSystem& fs, const Conversion& conversion,
                                            int thread_count) const;

 private:
  struct OfFile {
    Hash128 sum;
    std::vector<TornBlock> torn_blocks;
  };
  std::map<int64_t, OfFile> of_rank_;
};

}  // namespace relayout
