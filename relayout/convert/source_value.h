// SPDX-License-Identifier: Apache-2.0
//
// What the files of a set and its strategy say together about one value: its type, its whole shape
// and where its slices are. Everything that they could contradict each other in is checked here.
//
//   the strategy         {a:4} (a,-)
//   ranks 0 to 3 store   f32[196,512]
//   so the value is      f32[784,512], 4 shards
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "relayout/base/dims.h"
#include "relayout/base/status.h"
#include "relayout/convert/checkpoint_set.h"
#include "relayout/plan/transfer.h"

namespace relayout {

struct SourceValue {
  ValueKind kind = ValueKind::kTensor;
  DType dtype = DType::kFloat32;
  Dims shape;  // Whole.
  // Where the strategy places it; empty when it does not know the value, which then is whole on
  // every rank that has it.
  std::vector<Placement> placements;
  // A rank of a stage where the strategy does not place it has it too (a tied parameter).
  bool has_unplaced_copies = false;
};

// Fails when ranks store different types, slices do not make one whole, or the strategy does not
// fit what is stored; messages do not repeat the name. @pre set.catalog.Contains(name)
Result<SourceValue> DescribeValue(const CheckpointSet& set, std::string_view name);

// Each placement of `value` as a partition: of the whole on all ranks where there is none. Not all
// of these ranks need have the value.
Result<std::vector<PlacedTensor>> PlaceSources(const CheckpointSet& set, const SourceValue& value);

// A tensor of `shape` that each of `rank_count` ranks holds whole.
PlacedTensor WholeOnAll(int64_t rank_count, const Dims& shape);

// For messages: "f32[4,8]", "a string".
std::string Describe(const ValueView& value);

}  // namespace relayout
