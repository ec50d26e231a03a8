// SPDX-License-Identifier: Apache-2.0
//
// Group files: the communication groups of one rank, as MindSpore saves them where the environment
// variable GROUP_INFO_FILE is set (protobuf; MindSpore calls the message ParallelGroupMap).
//
//   0A .. 0A 03 "a-b" 12 04 08 00 08 01    a group: name "a-b", ranks 0 and 1
//   12 04 08 00 08 02                      ckpt_restore_rank_list: ranks 0 and 2
//
// The last list is what such a file is kept for: the ranks whose checkpoint has the same contents
// as the one of the rank that wrote the file, so that a lost checkpoint can be taken from them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/io/file_system.h"

namespace relayout {

struct GroupFile {
  struct Group {
    std::string name;
    std::vector<int64_t> ranks;  // In the order of the file.
    friend bool operator==(const Group&, const Group&) = default;
  };
  std::vector<Group> groups;
  // In the order of the file, the writing rank included.
  std::vector<int64_t> restore_ranks;
  friend bool operator==(const GroupFile&, const GroupFile&) = default;
};

// Fails on a file that is empty or too large, that is no such message, that names a rank beyond 31
// bits, or that has no list of ranks to restore from (MindSpore's reader returns an empty one).
// Errors name the file and the byte.
Result<GroupFile> ReadGroupFile(FileSystem& fs, const std::string& path);

// The bytes MindSpore writes for this file.
std::string SerializeGroupFile(const GroupFile& file);

}  // namespace relayout
