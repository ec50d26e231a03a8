// SPDX-License-Identifier: Apache-2.0
//
// How the operating system's failures become Status: the only place that maps errno, shared by all
// file systems so that they fail alike.
//
//   ErrnoStatus(EACCES, "cannot open out/x.ckpt")
//       // kIoError "cannot open out/x.ckpt: Permission denied"
//   EndOfFile("in/x.ckpt", 90, 20, 100)
//       // kIoError "cannot read 20 bytes at byte 90 of in/x.ckpt: it ends at byte 100"
//   HardLinkStatus(EXDEV, "in/x.ckpt", "out/x.ckpt")
//       // kUnsupported "cannot link in/x.ckpt to out/x.ckpt: Invalid cross-device link"
#pragma once

#include <cstdint>
#include <string>

#include "relayout/base/status.h"

namespace relayout {

// "`what`: the system's reason", with the code
//   ENOENT, ENOTDIR      kNotFound
//   EEXIST, ENOTEMPTY    kAlreadyExists
//   EISDIR               kInvalidInput: a directory was named where a file belongs
//   ENOMEM               kOutOfMemory
//   anything else        kIoError
// @pre error_number != 0
Status ErrnoStatus(int error_number, const std::string& what);

// Why `from` could not get the second name `to`: kUnsupported with
//   EPERM                no hard links in this file system (FAT), or not of this file: it is
//                        immutable, or another user's (fs.protected_hardlinks)
//   EMLINK               the file has as many names as this file system can count
//   EXDEV                two file systems, or two mounts of one
//   EOPNOTSUPP, ENOSYS   some network and FUSE file systems
// since a copy may still work; anything else as ErrnoStatus. Linux says EPERM of directories too:
// pass EISDIR for those.
Status HardLinkStatus(int error_number, const std::string& from, const std::string& to);

// Why the new file `to` could not share the blocks of `from`: kUnsupported with
//   EOPNOTSUPP, ENOTTY   this file system does not share blocks
//   EXDEV                two file systems
//   EINVAL               not between these two files (of which one has no checksums, say)
//   EBADF                some FUSE file systems; the descriptors are known to be good
//   ENOSYS, EPERM        an old kernel, a sandbox, a file that forbids it
// since a copy may still work; anything else as ErrnoStatus.
Status CloneStatus(int error_number, const std::string& from, const std::string& to);

// The disk is full, found before any work was done.
//   kIoError "cannot create out/x.ckpt: no space left: 6 GiB needed, 1.5 GiB free"
Status NoSpaceLeft(const std::string& path, int64_t needed_bytes, int64_t free_bytes);

// A read that the file cannot satisfy because it is only `file_size_bytes` long.
Status EndOfFile(const std::string& path, int64_t offset_bytes, int64_t size_bytes,
                 int64_t file_size_bytes);

// kAlreadyExists: someone else holds the lock on `path`.
Status LockHeld(const std::string& path);

}  // namespace relayout
