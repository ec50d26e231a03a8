// SPDX-License-Identifier: Apache-2.0
#include "relayout/io/io_errors.h"

#include <cerrno>
#include <system_error>

#include "relayout/base/text.h"

namespace relayout {
namespace {

StatusCode CodeOf(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      return StatusCode::kNotFound;
    case EEXIST:
    case ENOTEMPTY:
      return StatusCode::kAlreadyExists;
    case EISDIR:
      return StatusCode::kInvalidInput;
    case ENOMEM:
      return StatusCode::kOutOfMemory;
    default:
      return StatusCode::kIoError;
  }
}

}  // namespace

Status ErrnoStatus(int error_number, const std::string& what) {
  RELAYOUT_CHECK(error_number != 0);
  return {CodeOf(error_number), what + ": " + std::generic_category().message(error_number)};
}

Status NoSpaceLeft(const std::string& path, int64_t needed_bytes, int64_t free_bytes) {
  return IoError(Format("cannot create {}: no space left: {} needed, {} free", path,
                        HumanBytes(needed_bytes), HumanBytes(free_bytes)));
}

Status EndOfFile(const std::string& path, int64_t offset_bytes, int64_t size_bytes,
                 int64_t file_size_bytes) {
  return IoError(Format("cannot read {} bytes at byte {} of {}: it ends at byte {}", size_bytes,
                        offset_bytes, path, file_size_bytes));
}

Status LockHeld(const std::string& path) {
  return AlreadyExists(Format("cannot lock {}: it is held by another run", path));
}

}  // namespace relayout
