// SPDX-License-Identifier: Apache-2.0
//
// What MindFormers keeps beside the checkpoints of a rank, in meta.json: its last complete save.
//
//   {"last_epoch": 1, "last_step": 20, "last_ckpt_file": "net_rank_0-1_20.ckpt"}
#pragma once

#include <cstdint>
#include <string>

#include "relayout/base/status.h"
#include "relayout/io/file_system.h"

namespace relayout {

struct LastSave {
  int64_t epoch = 0;
  int64_t step = 0;
  std::string file;
};

// Fails on anything else; errors name the file.
Result<LastSave> ReadLastSave(FileSystem& fs, const std::string& path);

}  // namespace relayout
