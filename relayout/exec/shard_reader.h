// SPDX-License-Identifier: Apache-2.0
//
// Reads shards, or boxes of them, from the files that hold them. What a transfer reads, and what
// somebody reads who wants to look at a slice of a tensor, comes through here.
//
//   ShardReader reader(files);
//   reader.ReadBox(location, shard_box, box, 4, buffer, buffer_box);
//
// One object a thread: it keeps a scratch buffer of at most kStridedBufferBytes. The cache of open
// files is shared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "relayout/base/status.h"
#include "relayout/exec/stretch.h"
#include "relayout/exec/work.h"
#include "relayout/io/open_file_cache.h"
#include "relayout/layout/box.h"

namespace relayout {

// Grows, never shrinks, never initialises: a worker's scratch memory.
class ScratchBuffer {
 public:
  std::byte* Reserve(int64_t size_bytes) {
    const auto size = static_cast<size_t>(size_bytes);
    if (size > capacity_) {
      bytes_.reset();  // Before the new one: both at once would break the budget.
      bytes_ = std::make_unique_for_overwrite<std::byte[]>(size);
      capacity_ = size;
    }
    return bytes_.get();
  }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  size_t capacity_ = 0;
};

class ShardReader {
 public:
  // `files` must outlive the reader.
  explicit ShardReader(OpenFileCache<ReadableFile>& files) : files_(files) {}

  // Fills `buffer` with the shard's bytes from `begin_bytes` on.
  Status Read(const ShardLocation& shard, int64_t begin_bytes, std::span<std::byte> buffer);

  // The runs of a stretch into a dense buffer of stretch.wanted_bytes() bytes.
  Status ReadStretchOf(const ShardLocation& shard, const ReadStretch& stretch, std::byte* to);

  // The elements of `box` of a shard that is `shard_box` into `to`, which holds `to_box` densely.
  // @pre box lies in both
  Status ReadBox(const ShardLocation& shard, const Box& shard_box, const Box& box,
                 int64_t element_size_bytes, std::byte* to, const Box& to_box);

  // Asked of files so far, gaps of strided reads included.
  int64_t read_bytes() const { return read_bytes_; }

 private:
  Status ReadPiece(const ShardLocation& shard, const Box& shard_box, const Box& piece,
                   int64_t element_size_bytes, std::byte* to, const Box& to_box);

  OpenFileCache<ReadableFile>& files_;
  ScratchBuffer strided_;
  ScratchBuffer gathered_;
  int64_t read_bytes_ = 0;
};

// Calls `use` for pieces of at most `max_elements` elements that make up `box`, in C order.
// Stops at the first failure. @pre max_elements >= 1
Status ForEachPiece(const Box& box, int64_t max_elements,
                    const std::function<Status(const Box&)>& use);

}  // namespace relayout
