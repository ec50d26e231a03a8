// SPDX-License-Identifier: Apache-2.0
//
// LogicalTensor: any element of a tensor of a checkpoint set, found by the definition of layouts
// and not by the planner's arithmetic. `verify` and `diff` see tensors through it, so that they do
// not repeat a mistake that a conversion made.
//
// To say which rank holds an element it lists every rank's coordinates once, as the definition in
// docs/formats.md reads, and looks the element's pieces up in that list.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "relayout/base/dims.h"
#include "relayout/base/status.h"
#include "relayout/convert/checkpoint_set.h"
#include "relayout/io/file_system.h"

namespace relayout {

// Sequential reading of a value through a small window.
class ValueReader {
 public:
  // `extents` must outlive the reader.
  ValueReader(std::shared_ptr<const ReadableFile> file, std::span<const Extent> extents)
      : file_(std::move(file)), extents_(extents) {}

  // Up to `size_bytes` bytes of the value from `begin_bytes` on, at least one; valid until the next
  // call.
  // @pre begin_bytes < TotalBytes(extents)
  Result<std::span<const std::byte>> Read(int64_t begin_bytes, int64_t size_bytes);

 private:
  std::shared_ptr<const ReadableFile> file_;
  std::span<const Extent> extents_;
  std::vector<std::byte> window_;
  int64_t window_begin_ = 0;
};

class LogicalTensor {
 public:
  // `set` must outlive the tensor. Fails when a shard of it is in no file, or slices do not fit
  // together. Not thread-safe: one object a thread.
  static Result<LogicalTensor> Open(FileSystem& fs, const CheckpointSet& set,
                                    std::string_view name);

  ValueKind kind() const { return kind_; }
  DType dtype() const { return dtype_; }
  const Dims& shape() const { return shape_; }

  // The bytes of up to `max_elements` elements from `index` on along the last dimension, at least
  // one; valid until the next call. @pre index lies in shape()
  Result<std::span<const std::byte>> Read(const Dims& index, int64_t max_elements);

 private:
  // Cuts of one dimension: ascending begins, the length last.
  using Cuts = std::vector<int64_t>;

  LogicalTensor() = default;
  Status UseWholeCopies(FileSystem& fs, const std::vector<HeldValue>& holders);
  Status CutWhole(const LayoutSpec& spec, const Dims& slice);
  Status UseSlices(FileSystem& fs, const std::vector<HeldValue>& holders,
                   const Placement& placement);

  bool HasElements(const std::vector<int64_t>& pieces) const;

  ValueKind kind_ = ValueKind::kTensor;
  DType dtype_ = DType::kFloat32;
  Dims shape_;
  std::vector<Cuts> cuts_;
  std::map<std::vector<int64_t>, ValueReader> reader_of_piece_;
};

// The pieces of each dimension that `local_rank` holds, by listing the ranks before it: the
// definition of layout.h read literally. The optimizer split is part of dimension 0's piece.
std::vector<int64_t> PiecesByDefinition(const LayoutSpec& spec, int64_t local_rank);

// Where the pieces of dimension `d` of a tensor of `length` begin, `length` last. Fails when it
// does not divide.
Result<std::vector<int64_t>> CutsByDefinition(const LayoutSpec& spec, size_t d, int64_t length);

}  // namespace relayout
