// SPDX-License-Identifier: Apache-2.0
#include "relayout/io/io_errors.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace relayout {
namespace {

using enum StatusCode;

TEST(IoErrorsTest, EachErrnoHasOneCode) {
  struct Case {
    const char* name;
    int error_number;
    StatusCode other;
    StatusCode link;
    StatusCode clone;
  };
  const Case cases[] = {
      {"ENOENT", ENOENT, kNotFound, kNotFound, kNotFound},
      {"ENOTDIR", ENOTDIR, kNotFound, kNotFound, kNotFound},
      {"EEXIST", EEXIST, kAlreadyExists, kAlreadyExists, kAlreadyExists},
      {"ENOTEMPTY", ENOTEMPTY, kAlreadyExists, kAlreadyExists, kAlreadyExists},
      {"EISDIR", EISDIR, kInvalidInput, kInvalidInput, kInvalidInput},
      {"ENOMEM", ENOMEM, kOutOfMemory, kOutOfMemory, kOutOfMemory},
      {"EACCES", EACCES, kIoError, kIoError, kIoError},
      {"EIO", EIO, kIoError, kIoError, kIoError},
      {"ENOSPC", ENOSPC, kIoError, kIoError, kIoError},
      {"EROFS", EROFS, kIoError, kIoError, kIoError},
      {"EPERM", EPERM, kIoError, kUnsupported, kUnsupported},
      {"EXDEV", EXDEV, kIoError, kUnsupported, kUnsupported},
      {"EOPNOTSUPP", EOPNOTSUPP, kIoError, kUnsupported, kUnsupported},
      {"ENOSYS", ENOSYS, kIoError, kUnsupported, kUnsupported},
      {"EMLINK", EMLINK, kIoError, kUnsupported, kIoError},
      {"ENOTTY", ENOTTY, kIoError, kIoError, kUnsupported},
      {"EINVAL", EINVAL, kIoError, kIoError, kUnsupported},
      {"EBADF", EBADF, kIoError, kIoError, kUnsupported},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(ErrnoStatus(c.error_number, "x").code(), c.other) << c.name;
    EXPECT_EQ(HardLinkStatus(c.error_number, "a", "b").code(), c.link) << c.name;
    EXPECT_EQ(CloneStatus(c.error_number, "a", "b").code(), c.clone) << c.name;
  }
}

TEST(IoErrorsTest, MessagesNameWhatWhereAndWhy) {
  EXPECT_EQ(ErrnoStatus(EACCES, "cannot open a").message(), "cannot open a: Permission denied");
  EXPECT_EQ(HardLinkStatus(EMLINK, "a", "b").message(), "cannot link a to b: Too many links");
  EXPECT_EQ(HardLinkStatus(EEXIST, "a", "b").message(), "cannot link a to b: File exists");
  EXPECT_EQ(CloneStatus(EOPNOTSUPP, "a", "b").message(),
            "cannot clone a to b: Operation not supported");
}

}  // namespace
}  // namespace relayout
