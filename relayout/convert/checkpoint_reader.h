// SPDX-License-Identifier: Apache-2.0
//
// CheckpointReader: looks into a checkpoint set without converting it: what a value is, and any box
// of any tensor, put together from the files that hold it.
//
//   auto reader = CheckpointReader::Open(fs, {.path = "ckpt", .strategy_path = "src.ckpt"}, 8);
//   auto value = (*reader)->Describe("layer1.weight");      // f32[784,512], cut in 8
//   std::vector<std::byte> rows(...);
//   (*reader)->Read(*value, Box{{0, 0}, {16, 512}}, rows);  // reads 16 rows and nothing else
//
// Memory: headers, and for each call the result and at most 2 MiB. Any number of threads may call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/convert/checkpoint_set.h"
#include "relayout/convert/source_value.h"
#include "relayout/io/file_system.h"
#include "relayout/io/open_file_cache.h"

namespace relayout {

// A value as it lies in the files.
struct ReadableValue {
  std::string name;
  SourceValue source;
  std::vector<PlacedTensor> placed;  // Of each placement, or of the whole on all ranks.
};

class CheckpointReader {
 public:
  // Reads strategy and headers, as OpenCheckpointSet does. `fs` must outlive the reader.
  static Result<std::unique_ptr<CheckpointReader>> Open(FileSystem& fs,
                                                        const CheckpointSetSpec& spec,
                                                        int thread_count);

  const CheckpointSet& set() const { return set_; }

  // kNotFound, with names near it, when there is no such value; otherwise as DescribeValue.
  Result<ReadableValue> Describe(std::string_view name) const;

  // The elements of `box` in C order, little endian. Fails when `box` is not inside the value, or a
  // slice is in no file. @pre bytes.size() is the box's volume times the element size
  Status Read(const ReadableValue& value, const Box& box, std::span<std::byte> bytes);

 private:
  CheckpointReader(FileSystem& fs, CheckpointSet set);

  // The rank whose file has the shard, or nothing.
  std::optional<int64_t> HolderOf(const PlacedTensor& placed, int64_t shard,
                                  std::span<const Catalog::Place> places) const;
  Status ReadFrom(const PlacedTensor& placed, const ReadableValue& value, const Box& box,
                  std::span<std::byte> bytes);

  CheckpointSet set_;
  OpenFileCache<ReadableFile> files_;
};

}  // namespace relayout
