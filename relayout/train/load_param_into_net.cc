// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/load_param_into_net.h"

#include <cstring>
#include <set>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "relayout/base/byte_io.h"
#include "relayout/base/text.h"
#include "relayout/exec/copy_box.h"
#include "relayout/layout/notation.h"

namespace relayout {
namespace {

constexpr std::string_view kAccumulators = "accu_grads";

// A value on its way into the state.
struct Fill {
  const StateTensor* tensor = nullptr;
  const CheckpointValue* value = nullptr;
  Box value_box;  // What of the whole tensor the value holds.
  Box box;        // What of it this rank takes.
};

struct Matches {
  std::vector<Fill> fills;
  LoadReport report;
};

// `shape` without ones at its end that `wanted` does not have.
Dims WithoutTrailingOnes(const Dims& shape, const Dims& wanted) {
  size_t count = shape.size();
  while (count > wanted.size() && shape[count - 1] == 1) --count;
  Dims rest;
  for (size_t d = 0; d < count; ++d) rest.push_back(shape[d]);
  return rest;
}

// Could a tensor of `whole` be cut into pieces of `shape`?
bool CouldBeShard(const Dims& shape, const Dims& whole) {
  if (shape.size() != whole.size()) return false;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 0 || whole[d] % shape[d] != 0) return false;
  }
  return true;
}

const char* Advice(const StateTensor& tensor, const CheckpointValue& value) {
  if (value.kind != ValueKind::kTensor || value.dtype != tensor.value->dtype()) {
    return "types are not converted here; the checkpoint is of another network";
  }
  if (WithoutTrailingOnes(value.shape, tensor.shape) == tensor.shape) {
    return "it holds the whole tensor; load with slice_whole, so that each rank takes its part, or "
           "cut it with `relayout transform`";
  }
  if (CouldBeShard(value.shape, tensor.shape)) {
    return "it looks as if it was saved under another strategy; convert the checkpoint with "
           "`relayout transform`";
  }
  return "the checkpoint is of another network, or of another size of it";
}

Status DoesNotFit(const StateTensor& tensor, const CheckpointValue& value,
                  const LoadedCheckpoint& checkpoint) {
  return InvalidInput(
      Format("{}: {} has it as {}, and the model wants {}, its shard of {}; {}",
             Printable(tensor.name), checkpoint.path, TypeText(value),
             Format("{}{}", ShortName(tensor.value->dtype()), ToText(tensor.value->shape())),
             ToText(tensor.layout, tensor.value->dtype(), tensor.shape), Advice(tensor, value)));
}

class Matcher {
 public:
  Matcher(const TrainingView& view, const LoadedCheckpoint& checkpoint,
          const LoadIntoNetOptions& options)
      : view_(view), checkpoint_(checkpoint), options_(options) {}

  // Pairs the state with the checkpoint. Fails on the first value that does not fit.
  Status Match(Matches& matches) {
    std::unordered_map<std::string_view, const CheckpointValue*> value_of;
    for (const CheckpointValue& value : checkpoint_.values) value_of.emplace(value.name, &value);
    std::unordered_set<std::string_view> used;
    for (const StateTensor& tensor : view_.state) {
      const auto found = value_of.find(tensor.name);
      if (found == value_of.end()) {
        if (!tensor.name.starts_with(kAccumulators)) {
          matches.report.param_not_load.push_back(tensor.name);
        }
        continue;
      }
      RELAYOUT_ASSIGN_OR_RETURN(const Fill fill, FillOf(tensor, *found->second));
      matches.fills.push_back(fill);
      used.insert(tensor.name);
    }
    for (const CheckpointValue& value : checkpoint_.values) {
      if (!used.contains(value.name)) matches.report.ckpt_not_load.push_back(value.name);
    }
    return OkStatus();
  }

 private:
  Result<Fill> FillOf(const StateTensor& tensor, const CheckpointValue& value) const {
    const bool is_type = value.kind == ValueKind::kTensor && value.dtype == tensor.value->dtype();
    if (!is_type) return DoesNotFit(tensor, value, checkpoint_);
    const auto partition = Partition::Create(tensor.layout, tensor.shape);
    if (!partition.ok()) return partition.status().WithContext(tensor.name);
    const Box box = partition->BoxOf(tensor.layout.CellOf(view_.place.local_rank()));
    if (WithoutTrailingOnes(value.shape, tensor.value->shape()) == tensor.value->shape()) {
      return Fill{&tensor, &value, box, box};
    }
    const bool is_whole = WithoutTrailingOnes(value.shape, tensor.shape) == tensor.shape;
    if (!is_whole || !options_.slice_whole) return DoesNotFit(tensor, value, checkpoint_);
    return Fill{&tensor, &value, Box::Whole(tensor.shape), box};
  }

  const TrainingView& view_;
  const LoadedCheckpoint& checkpoint_;
  const LoadIntoNetOptions& options_;
};

// What a rank found missing, as the others are told.
struct Missing {
  int64_t stage = 0;
  std::string path;
  std::set<std::string> names;
};

std::string Encode(const Missing& missing) {
  ByteWriter writer;
  writer.Int(missing.stage);
  writer.Text(missing.path);
  writer.Int(std::ssize(missing.names));
  for (const std::string& name : missing.names) writer.Text(name);
  return writer.Take();
}

Missing Decode(std::string_view bytes) {
  ByteReader reader(bytes);
  Missing missing;
  missing.stage = reader.Int();
  missing.path = reader.Text();
  for (size_t count = reader.Count(); count > 0; --count) missing.names.emplace(reader.Text());
  return missing;
}

Status Differ(int rank, const Missing& mine, int first_rank, const Missing& first) {
  for (const auto* names : {&mine.names, &first.names}) {
    for (const std::string& name : *names) {
      const bool is_mine = mine.names.contains(name);
      if (is_mine == first.names.contains(name)) continue;
      return InvalidInput(Format(
          "{}: the checkpoint of rank {} ({}) lacks it and that of rank {} ({}), of the same "
          "stage, has it; give all ranks the files of one save",
          Printable(name), is_mine ? rank : first_rank, is_mine ? mine.path : first.path,
          is_mine ? first_rank : rank, is_mine ? first.path : mine.path));
    }
  }
  return OkStatus();
}

// Collective. Every rank holds all ranks against the first of their stage, so that all come to the
// same result.
Status CompareMissing(const TrainingView& view, const Missing& mine) {
  RELAYOUT_ASSIGN_OR_RETURN(const auto all, view.comm.AllGather(Encode(mine)));
  std::unordered_map<int64_t, std::pair<int, Missing>> first_of_stage;
  for (size_t i = 0; i < all.size(); ++i) {
    const int rank = static_cast<int>(i);
    const Missing missing = Decode(all[i]);
    const auto [first, is_first] =
        first_of_stage.try_emplace(missing.stage, std::pair(rank, missing));
    if (is_first) continue;
    RELAYOUT_RETURN_IF_ERROR(Differ(rank, missing, first->second.first, first->second.second));
  }
  return OkStatus();
}

void CarryOut(const Fill& fill) {
  CopyBox(fill.value->bytes.data(), fill.value_box, fill.tensor->value->bytes().data(), fill.box,
          fill.box, ElementSize(fill.value->dtype));
}

}  // namespace

Result<LoadReport> LoadParamIntoNet(const TrainingView& view, const LoadedCheckpoint& checkpoint,
                                    const LoadIntoNetOptions& options) {
  Matches matches;
  RELAYOUT_RETURN_IF_ERROR(Agree(view.comm, Matcher(view, checkpoint, options).Match(matches)));
  const auto& names = matches.report.param_not_load;
  RELAYOUT_RETURN_IF_ERROR(
      CompareMissing(view, {view.place.stage, checkpoint.path, {names.begin(), names.end()}}));
  for (const Fill& fill : matches.fills) CarryOut(fill);
  return std::move(matches.report);
}

Result<LoadReport> LoadCheckpointIntoNet(const TrainingView& view, FileSystem& fs,
                                         const std::string& path,
                                         const LoadCheckpointOptions& load_options,
                                         const LoadIntoNetOptions& options) {
  const Result<LoadedCheckpoint> checkpoint = LoadCheckpoint(fs, path, load_options);
  RELAYOUT_RETURN_IF_ERROR(Agree(view.comm, checkpoint.status()));
  return LoadParamIntoNet(view, *checkpoint, options);
}

}  // namespace relayout
