// SPDX-License-Identifier: Apache-2.0
//
// Contents: which values the target set holds, whole shapes and all, and where they come from. This
// file is the rule book; MindSpore's behaviour, which differs where it loses data, is in
// docs/formats.md.
//
// clang-format off
//   in source   in target   in files
//   strategy    strategy
//   yes         yes         yes       cut anew
//   yes         (null)      yes       put together whole on rank 0
//   (null)      yes         yes       whole in one source file, cut for the target
//   (null)      (null)      yes       as it is: another format, other names, unified
//   yes         no          yes       left out and reported (keep_extra: put together whole)
//   no          yes         yes       whole on every rank; all must agree in shape; cut for the target
//   no          no          yes       carried as it is to every target rank; disagreement is reported
//   yes         yes         no        an error (allow_missing: reported)
//   no          yes         no        reported (strict: an error)
// clang-format on
//
// accu_grads.* are scratch of a pipeline's training, saved with shapes that contradict the
// strategy: left out and reported, unless no strategy is there to be contradicted.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "relayout/base/index_iterator.h"
#include "relayout/base/name_table.h"
#include "relayout/base/status.h"
#include "relayout/convert/checkpoint_set.h"
#include "relayout/plan/transfer.h"

namespace relayout {

struct ContentsOptions {
  bool keep_extra = false;
  bool allow_missing = false;
  bool strict = false;
  // Source name -> the name it has in the target, and in the target strategy; nothing = left out.
  // Values that are not listed keep their names.
  std::map<std::string, std::optional<std::string>, std::less<>> renames = {};
};

// Something the user should know about a run that succeeds. `kind` is for programs.
struct Note {
  // "left_out", "missing", "scratch", "carried", "unplaced", "disagreement", "missing_rank",
  // "choice", "dropped", "rename_unused", "empty".
  std::string kind;
  std::string message;
};

// What a value is and where it lies on both sides. Thousands of values share one.
struct ValueForm {
  ValueKind kind = ValueKind::kTensor;
  DType dtype = DType::kFloat32;
  Dims shape;  // Whole.
  std::vector<PlacedTensor> sources;
  std::vector<PlacedTensor> targets;
  // Of each target the replica that stores the value; empty = all do (redundancy.h).
  std::vector<int64_t> keepers = {};
  bool carried = false;  // In neither strategy.

  // Does the file of this target rank hold the value?
  bool IsStoredBy(int64_t rank) const;
};

// A value of the target set, seen in the Contents; valid while these live.
struct TargetValue {
  std::string_view name;
  std::string_view source_name;  // Another one when it is renamed.
  ValueKind kind;
  DType dtype;
  const Dims& shape;  // Whole.
  const std::vector<PlacedTensor>& sources;
  const std::vector<PlacedTensor>& targets;
  bool carried;  // In neither strategy.
};

// Values in order: 8 bytes each, and each form once.
class TargetValues {
 public:
  size_t size() const { return values_.size(); }
  bool empty() const { return values_.empty(); }
  TargetValue operator[](size_t i) const;
  IndexIterator<TargetValues> begin() const { return {this, 0}; }
  IndexIterator<TargetValues> end() const { return {this, size()}; }

  // The same values, value i whole on target rank rank_of(i) alone. (Names and forms are shared or
  // copied; this object need not stay.)
  TargetValues PlacedWhole(const std::function<int64_t(size_t i)>& rank_of) const;

  // The same values, of value i only the replicas keepers_of(i) stored, where that is not empty.
  TargetValues KeptBy(const std::function<std::vector<int64_t>(size_t i)>& keepers_of) const;

  // The form of value i, as an index into forms().
  size_t FormOf(size_t i) const { return values_[i].form; }
  const ValueForm& form(size_t i) const { return forms_[values_[i].form]; }
  const std::deque<ValueForm>& forms() const { return forms_; }

 private:
  friend class ContentsBuilder;
  struct Value {
    uint32_t name = 0;  // In the source.
    uint32_t form = 0;
  };
  std::shared_ptr<const NameTable> names_;
  std::deque<ValueForm> forms_;  // A deque, so that none moves.
  std::vector<Value> values_;
  std::unordered_map<uint32_t, std::string> new_name_of_;  // Of those that are renamed.
};

struct Contents {
  TargetValues values;  // In the order of the source files.
  std::vector<Note> notes;
};

// `target_name` is how messages call the target strategy; `target_has_strategy` false = null
// strategy, `target` then has one rank. Only values that some wanted rank stores are considered.
// Fails on any contradiction between files and strategies; the message names the tensor, ranks and
// both sides.
Result<Contents> DecideContents(const CheckpointSet& source, const Strategy& target,
                                bool target_has_strategy, const std::string& target_name,
                                const std::function<bool(int64_t target_rank)>& is_wanted,
                                const ContentsOptions& options);

// True for values that are never converted (accu_grads.*).
bool IsScratch(std::string_view name);

}  // namespace relayout
