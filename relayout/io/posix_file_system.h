// SPDX-License-Identifier: Apache-2.0
//
// The real file system, by way of Linux system calls.
//
//   const std::unique_ptr<FileSystem> fs = NewPosixFileSystem();
//   fs->OpenForRead("in/none.ckpt")
//       // kNotFound "cannot open in/none.ckpt: No such file or directory"
//   fs->CreateForWrite("out/x.ckpt", 6LL << 30)
//       // kIoError "cannot create out/x.ckpt: no space left: 6 GiB needed, 1.5 GiB free"
//
// Beyond the contracts of file_system.h:
// * Only regular files are opened; a directory, a pipe or a device is kInvalidInput, and opening a
//   pipe never waits for its other end.
// * New files and directories get the permissions that the umask leaves.
// * CreateForWrite reserves the blocks with fallocate. Where the file system cannot do that, the
//   file is sparse, and a full disk shows in WriteAt.
// * CloneFile is FICLONE: btrfs, XFS with reflink and some network file systems have it.
// * Incarnation is the boot id of the kernel, which holds what is not synced for all processes. It
//   does not tell that a disk failed to take what the kernel wrote back later, nor that a disk or a
//   server went away: Sync does.
// * Locks exclude threads of one process as well as processes, and on NFS also machines.
#pragma once

#include <cstdint>
#include <memory>

#include "relayout/io/file_system.h"

namespace relayout {

// Has no state; safe for any number of threads.
std::unique_ptr<FileSystem> NewPosixFileSystem();

// Lets this process open as many files as its hard limit allows, and returns how many that is
// (INT64_MAX: no limit). On failure the limit in force. Size an OpenFileCache with it.
int64_t RaiseOpenFileLimit();

}  // namespace relayout
