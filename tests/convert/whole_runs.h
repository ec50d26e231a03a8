// SPDX-License-Identifier: Apache-2.0
//
// What tests of whole runs share: runs of several processes over one file system, worlds with
// enough work for several chunks (exec/work.h), and all that a run leaves.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "relayout/base/hash.h"
#include "relayout/base/status.h"

namespace relayout {
class FileSystem;
class MemoryFileSystem;
struct LayoutSpec;
struct TransformReport;
struct TransformRequest;
}  // namespace relayout

namespace relayout::oracle {

struct World;

// RELAYOUT_SEED, or a fresh one; printed.
uint64_t PrintedSeed();

// A layout in the notation of layout/notation.h.
LayoutSpec ParseSpec(const char* text);

// A world with copies of its tensors under other names, until there are `count`: each counts for
// 32 KiB of work, however small, and a chunk is 1 MiB.
World WithManyTensors(World world, int64_t count);

// 12 MiB on 4 ranks, two and two of them alike; chunks meet in the middle of blocks.
World LargeWorld();

// Everything below a folder but the lock, by path.
using Files = std::map<std::string, std::string>;
Files FilesUnder(MemoryFileSystem& fs, const std::string& folder);

// The first difference, for messages; empty when equal.
std::string Compare(const Files& files, const Files& expected);

// The content hash of a checkpoint file by its definition (base/content_hash.h).
Hash128 NaiveContentHash(MemoryFileSystem& fs, const std::string& path);

// A conversion by `process_count` processes, of which each sees the files through its own
// FileSystem; the report of process 0.
using FileSystemOf = std::function<FileSystem&(int process)>;
Result<TransformReport> Convert(int process_count, const FileSystemOf& fs_of,
                                const TransformRequest& request);
Result<TransformReport> Convert(int process_count, FileSystem& fs, const TransformRequest& request);

}  // namespace relayout::oracle
