// SPDX-License-Identifier: Apache-2.0
//
// The content hash (base/content_hash.h) of a checkpoint file: of its values, whose names are their
// streams, of everything around them ("headers"), and of the CRC trailer if it has one.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "relayout/base/content_hash.h"
#include "relayout/base/hash.h"
#include "relayout/base/status.h"
#include "relayout/checkpoint/catalog.h"
#include "relayout/io/file_system.h"

namespace relayout {

// For a file's headers, one after the other: adds up what they add.
BlockHasher NewHeaderHasher(int64_t header_bytes);
// What its trailer adds.
Hash128 HashTrailer(std::span<const std::byte> trailer);
// What block `block` of the value `name`, whose bytes are at `extents`, adds.
Result<Hash128> HashStoredBlock(const ReadableFile& file, std::string_view name,
                                std::span<const Extent> extents, int64_t block);

// Of a .ckpt file without any value, which readers refuse: it is empty, or a trailer alone. Nothing
// when it is longer.
Result<std::optional<Hash128>> HashFileWithoutValues(FileSystem& fs, const std::string& path);

// Of a file that is all headers: a map of names.
Result<Hash128> HashTextFile(FileSystem& fs, const std::string& path);

// Of a whole file, read once from begin to end; counts what it has read in *done_bytes and stops
// with kCancelled when *cancel becomes true (both may be null).
Result<Hash128> HashCheckpointFile(FileSystem& fs, const RankFile& file,
                                   std::atomic<int64_t>* done_bytes,
                                   const std::atomic<bool>* cancel);

}  // namespace relayout
