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

bool IsLinkUnsupported(int error_number) {
  switch (error_number) {
    case EPERM:
    case EMLINK:
    case EXDEV:
    case EOPNOTSUPP:
    case ENOSYS:
      return true;
    default:
      return false;
  }
}

bool IsCloneUnsupported(int error_number) {
  switch (error_number) {
    case EOPNOTSUPP:
    case ENOTTY:
    case EXDEV:
    case EINVAL:
    case EBADF:
    case ENOSYS:
    case EPERM:
      return true;
    default:
      return false;
  }
}

Status WithReason(StatusCode code, const std::string& what, int error_number) {
  return {code, what + ": " + std::generic_category().message(error_number)};
}

}  // namespace

Status ErrnoStatus(int error_number, const std::string& what) {
  RELAYOUT_CHECK(error_number != 0);
  return WithReason(CodeOf(error_number), what, error_number);
}

Status HardLinkStatus(int error_number, const std::string& from, const std::string& to) {
  const std::string what = Format("cannot link {} to {}", from, to);
  if (!IsLinkUnsupported(error_number)) return ErrnoStatus(error_number, what);
  return WithReason(StatusCode::kUnsupported, what, error_number);
}

Status CloneStatus(int error_number, const std::string& from, const std::string& to) {
  const std::string what = Format("cannot clone {} to {}", from, to);
  if (!IsCloneUnsupported(error_number)) return ErrnoStatus(error_number, what);
  return WithReason(StatusCode::kUnsupported, what, error_number);
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
