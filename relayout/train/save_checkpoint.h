// SPDX-License-Identifier: Apache-2.0
//
// Saves one checkpoint file, as MindSpore's save_checkpoint writes it, byte for byte. The name says
// the format: .ckpt or .safetensors (which cannot hold text).
//
//   RELAYOUT_RETURN_IF_ERROR(SaveCheckpoint(fs, "out/net.ckpt", values));
//
// Under its final name a file is whole at any moment, that of a power cut included:
//
//   Create    1. make the folder; create PATH.relayout-tmp at its full size, headers written
//   Write     2. the bytes of each value, in any order
//   Finish    3. fsync
//   Publish   4. rename to PATH, which replaces a file of that name; fsync the folder
//
// Who saves on several ranks lets all of them come to 3 before any goes on to 4 (see
// model_checkpoint.h). A failure, or the destructor before 4, removes the temporary file; one that
// a killed process left is removed by the next save to the same path. Unlike MindSpore's, files are
// not read-only.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "relayout/base/status.h"
#include "relayout/format/file_index.h"
#include "relayout/io/file_system.h"
#include "relayout/train/checkpoint_value.h"

namespace relayout {

class NewCheckpoint {
 public:
  // Step 1, for `values` in the order of the file; their bytes are not looked at. `metadata` goes
  // into safetensors files. Fails on a name that says no format, on two values of one name, and on
  // what the format cannot hold, naming it.
  static Result<std::unique_ptr<NewCheckpoint>> Create(FileSystem& fs, const std::string& path,
                                                       std::span<const SavedValue> values,
                                                       const FileMetadata& metadata = {});
  ~NewCheckpoint();
  NewCheckpoint(const NewCheckpoint&) = delete;
  NewCheckpoint& operator=(const NewCheckpoint&) = delete;

  // The bytes of values[i]. @pre as many as its type and shape say
  Status Write(size_t i, std::span<const std::byte> bytes);
  Status Finish();
  // @pre Finish succeeded
  Status Publish();

 private:
  NewCheckpoint(FileSystem& fs, std::string path);
  Status CreateFile(FileFormat format, std::span<const SavedValue> values,
                    const FileMetadata& metadata);
  Status WriteHeaders();

  FileSystem& fs_;
  const std::string path_;
  const std::string temporary_path_;
  FileImage image_;
  std::unique_ptr<WritableFile> file_;  // Until Finish.
  bool is_temporary_ = false;           // There is a temporary file.
};

// Creates a directory and those above it, to stay after a power cut.
Status MakeDurableDirectories(FileSystem& fs, const std::string& path);

// All of it for one file.
Status SaveCheckpoint(FileSystem& fs, const std::string& path, std::span<const SavedValue> values,
                      const FileMetadata& metadata = {});
// What load_checkpoint gave, changed or not.
Status SaveCheckpoint(FileSystem& fs, const std::string& path,
                      std::span<const CheckpointValue> values, const FileMetadata& metadata = {});

}  // namespace relayout
