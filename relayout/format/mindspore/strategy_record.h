// SPDX-License-Identifier: Apache-2.0
//
// What a strategy file says in MindSpore's own words, between its bytes (protobuf or JSON) and our
// Layout. Both formats parse into and are written from these records, so the meaning is in one
// place.
//
//   dev_matrix [2,4], tensor_map [0,-1], opt_weight_shard_step 4, _size -1
//
// means: a mesh of 2 x 4; dim 0 cut by the axis 0 places from the right (the 4), dim 1 whole; all
// replicas (the 2, whose ranks are 4 apart) make one optimizer group: {a:2,b:4} (b,-) opt:all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "relayout/base/dims.h"
#include "relayout/base/status.h"
#include "relayout/format/strategy_file.h"
#include "relayout/layout/layout.h"

namespace relayout {

// Bounds on what a hostile file can make us allocate.
inline constexpr size_t kMaxSplitPieces = size_t{1} << 20;     // param_split_shape
inline constexpr size_t kMaxOperatorInputs = 1024;             // of one operator
inline constexpr size_t kMaxStrategyInputs = size_t{1} << 22;  // of all operators
inline constexpr size_t kMaxOperatorDims = 64;                 // of one input

struct LayoutRecord {
  std::vector<int64_t> dev_matrix;
  // For each tensor dim the axes that cut it, outermost first, counted from the right; empty or
  // [-1] = not cut.
  std::vector<std::vector<int64_t>> tensor_map;
  std::vector<int64_t> param_split_shape;
  std::vector<int64_t> indices_offset;  // Matters to Gather at run time only.
  int64_t field = 0;
  int64_t opt_weight_shard_step = 0;
  int64_t opt_weight_shard_size = 0;
  std::optional<Dims> tensor_shape;  // Only JSON has it.

  // Some dim is cut by several axes, which the flat notation cannot say.
  bool IsNested() const;
};

// Many parameters are laid out alike: each distinct record is kept once.
class StrategyRecords {
 public:
  struct NamedLayout {
    std::string name;  // As it is in the file.
    size_t record = 0;
  };

  void AddLayout(std::string name, LayoutRecord record);
  const LayoutRecord& RecordOf(const NamedLayout& layout) const { return records[layout.record]; }

  int64_t current_stage = 0;
  std::vector<StrategyFile::Operator> operators;
  // In the order of the file. A deque, so that it can be taken apart from the front.
  std::deque<NamedLayout> layouts;
  std::vector<LayoutRecord> records;

 private:
  std::unordered_map<std::string, size_t> record_of_key_;
};

// Fails on what contradicts itself or has no Layout (field > 0); does not name the parameter.
Result<Layout> ToLayout(const LayoutRecord& record);
// With the optimizer step that MindSpore's compiler writes. @post ToLayout(...) == layout, but for
// optimizer groups of one, however they were spelled
LayoutRecord ToRecord(const Layout& layout);

// Tells merged files from others, splits stages and names. Errors name the parameter.
Result<StrategyFile> ToStrategyFile(StrategyRecords records);
StrategyRecords ToRecords(const StrategyFile& file);

}  // namespace relayout
