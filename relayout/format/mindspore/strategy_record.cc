// SPDX-License-Identifier: Apache-2.0
#include "relayout/format/mindspore/strategy_record.h"

#include <algorithm>
#include <map>
#include <string_view>

#include "relayout/base/byte_io.h"
#include "relayout/base/name_table.h"
#include "relayout/base/text.h"
#include "relayout/format/value_name.h"

namespace relayout {
namespace {

constexpr int64_t kNotCut = -1;

// Different for different records.
std::string KeyOf(const LayoutRecord& record) {
  ByteWriter key;
  const auto add = [&key](const std::vector<int64_t>& numbers) {
    key.Int(std::ssize(numbers));
    for (const int64_t number : numbers) key.Int(number);
  };
  add(record.dev_matrix);
  key.Int(std::ssize(record.tensor_map));
  for (const auto& axes : record.tensor_map) add(axes);
  add(record.param_split_shape);
  add(record.indices_offset);
  key.Int(record.field);
  key.Int(record.opt_weight_shard_step);
  key.Int(record.opt_weight_shard_size);
  key.Int(record.tensor_shape ? 1 : 0);
  if (record.tensor_shape) WriteDims(key, *record.tensor_shape);
  return key.Take();
}

Result<std::vector<int>> AxesFromLeft(const std::vector<int64_t>& from_right, size_t mesh_axes) {
  std::vector<int> axes;
  if (from_right.size() == 1 && from_right[0] == kNotCut) return axes;
  const auto count = static_cast<int64_t>(mesh_axes);
  for (const int64_t axis : from_right) {
    if (axis < 0 || axis >= count) {
      return InvalidInput(Format("tensor_map names axis {}, but dev_matrix has {}", axis, count));
    }
    axes.push_back(static_cast<int>(count - 1 - axis));
  }
  return axes;
}

// Mesh axes that cut nothing, with more than one device.
std::vector<size_t> ReplicaAxes(const LayoutSpec& spec) {
  std::vector<bool> used(spec.mesh.size(), false);
  for (const auto& axes : spec.dim_axes) {
    for (const int axis : axes) used[static_cast<size_t>(axis)] = true;
  }
  std::vector<size_t> replica_axes;
  for (size_t axis = 0; axis < spec.mesh.size(); ++axis) {
    if (!used[axis] && spec.mesh[axis] > 1) replica_axes.push_back(axis);
  }
  return replica_axes;
}

// The distance in ranks of neighbours on `axis`. Fits: the layout's devices were counted.
int64_t StrideOf(const std::vector<int64_t>& mesh, size_t axis) {
  int64_t stride = 1;
  for (size_t i = axis + 1; i < mesh.size(); ++i) stride *= mesh[i];
  return stride;
}

// MindSpore's (step, size). A step or size of 0 means no split.
Result<int64_t> OptimizerGroup(const LayoutRecord& record) {
  const int64_t size = record.opt_weight_shard_size;
  if (size < -1) return InvalidInput(Format("opt_weight_shard_size is {}", size));
  if (record.opt_weight_shard_step < 0) {
    return InvalidInput(Format("opt_weight_shard_step is {}", record.opt_weight_shard_step));
  }
  if (record.opt_weight_shard_step == 0 || size == 0) return 1;
  return size == -1 ? LayoutSpec::kAllReplicas : size;
}

// Where the replicas are on one axis, the step says again what the mesh says.
Status CheckStep(const LayoutRecord& record, const LayoutSpec& spec) {
  const std::vector<size_t> axes = ReplicaAxes(spec);
  if (spec.optimizer_group == 1 || axes.size() != 1) return OkStatus();
  const int64_t stride = StrideOf(spec.mesh, axes[0]);
  if (record.opt_weight_shard_step == stride) return OkStatus();
  return InvalidInput(Format("opt_weight_shard_step is {}, but its replicas are {} ranks apart",
                             record.opt_weight_shard_step, stride));
}

// "3-layer.weight" -> 3 and "layer.weight"; nothing for names without a stage.
std::optional<std::pair<std::string_view, std::string_view>> SplitStage(std::string_view name) {
  const size_t dash = name.find('-');
  if (dash == 0 || dash == std::string_view::npos || dash + 1 == name.size()) return std::nullopt;
  if (name.substr(0, dash).find_first_not_of("0123456789") != std::string_view::npos) {
    return std::nullopt;
  }
  return std::pair(name.substr(0, dash), name.substr(dash + 1));
}

bool IsMerged(const StrategyRecords& records) {
  return !records.layouts.empty() &&
         std::all_of(records.layouts.begin(), records.layouts.end(),
                     [](const auto& entry) { return SplitStage(entry.name).has_value(); });
}

// Gives records their layouts, each record once.
class LayoutMaker {
 public:
  explicit LayoutMaker(const std::vector<LayoutRecord>& records)
      : records_(records), layouts_(records.size()), shapes_(records.size()) {}

  Result<ParameterLayout> ToParameter(std::string name, size_t record) {
    std::optional<Layout>& layout = layouts_[record];
    if (!layout) {
      auto made = ToLayout(records_[record]);
      if (!made.ok()) return made.status().WithContext(Printable(name));
      layout = pool_.Share(*made);
      shapes_[record] = records_[record].tensor_shape;
    }
    return ParameterLayout{std::move(name), *layout, shapes_[record]};
  }

 private:
  const std::vector<LayoutRecord>& records_;
  std::vector<std::optional<Layout>> layouts_;
  std::vector<StatedShape> shapes_;
  LayoutPool pool_;
};

// The stages of a merged file must be 0, 1, 2 ...; a stage without parameters of its own exists
// when an operator is in it.
Result<std::vector<StrategyFile::StageLayouts>> ToStages(
    std::map<int64_t, StageStrategy>&& by_stage) {
  std::vector<StrategyFile::StageLayouts> stages;
  for (auto& [stage, layouts] : by_stage) {
    if (stage != std::ssize(stages)) {
      std::vector<std::string> there;
      there.reserve(by_stage.size());
      for (const auto& entry : by_stage) there.push_back(Format("{}", entry.first));
      return InvalidInput(
          Format("stages {} are there but not {}", JoinLimited(there), stages.size()));
    }
    stages.push_back({stage, std::move(layouts)});
  }
  return stages;
}

// Takes parameters as they come.
class StageMaker {
 public:
  // False, and the parameter stays where it is, when its name is there already.
  bool Add(ParameterLayout& parameter) {
    const auto name_of = [this](uint32_t i) -> std::string_view {
      return stage_.parameters[i].name;
    };
    if (index_.Find(parameter.name, name_of)) return false;
    stage_.parameters.push_back(std::move(parameter));
    index_.Insert(static_cast<uint32_t>(stage_.parameters.size() - 1), name_of);
    return true;
  }
  StageStrategy Take() { return std::move(stage_); }

 private:
  StageStrategy stage_;
  NameIndex index_;
};

Result<std::vector<StrategyFile::StageLayouts>> MergedStages(StrategyRecords& records) {
  std::map<int64_t, StageMaker> by_stage;
  LayoutMaker maker(records.records);
  for (; !records.layouts.empty(); records.layouts.pop_front()) {
    const auto& [full_name, record] = records.layouts.front();
    const auto [number, name] = *SplitStage(full_name);
    const auto stage = ParseDecimal(number);
    if (!stage) return InvalidInput(Format("{}: impossible stage", Printable(full_name)));
    RELAYOUT_ASSIGN_OR_RETURN(ParameterLayout parameter,
                              maker.ToParameter(std::string(name), record));
    if (!by_stage[*stage].Add(parameter)) {
      return InvalidInput(Format("{}: listed twice in stage {}", Printable(name), *stage));
    }
  }
  for (const auto& op : records.operators) by_stage[op.stage];
  std::map<int64_t, StageStrategy> stages;
  for (auto& [stage, parameters] : by_stage) stages[stage] = parameters.Take();
  return ToStages(std::move(stages));
}

Result<StageStrategy> SingleStage(StrategyRecords& records) {
  StageMaker stage;
  LayoutMaker maker(records.records);
  for (; !records.layouts.empty(); records.layouts.pop_front()) {
    auto& [name, record] = records.layouts.front();
    RELAYOUT_ASSIGN_OR_RETURN(ParameterLayout parameter,
                              maker.ToParameter(std::move(name), record));
    if (!stage.Add(parameter)) {
      return InvalidInput(Format("{}: listed twice", Printable(parameter.name)));
    }
  }
  return stage.Take();
}

}  // namespace

void StrategyRecords::AddLayout(std::string name, LayoutRecord record) {
  const auto [entry, is_new] = record_of_key_.emplace(KeyOf(record), records.size());
  if (is_new) records.push_back(std::move(record));
  layouts.push_back({std::move(name), entry->second});
}

bool LayoutRecord::IsNested() const {
  return std::any_of(tensor_map.begin(), tensor_map.end(),
                     [](const auto& axes) { return axes.size() > 1; });
}

Result<Layout> ToLayout(const LayoutRecord& record) {
  if (record.field < 0) return InvalidInput(Format("field is {}", record.field));
  if (record.field > 0) {
    return Unsupported(Format(
        "field is {}: a table whose rows are interleaved by field is not supported", record.field));
  }
  LayoutSpec spec;
  spec.mesh = record.dev_matrix;
  for (const auto& from_right : record.tensor_map) {
    RELAYOUT_ASSIGN_OR_RETURN(std::vector<int> axes, AxesFromLeft(from_right, spec.mesh.size()));
    spec.dim_axes.push_back(std::move(axes));
  }
  spec.uneven_rows = record.param_split_shape;
  RELAYOUT_ASSIGN_OR_RETURN(spec.optimizer_group, OptimizerGroup(record));
  const int64_t group = spec.optimizer_group;
  RELAYOUT_ASSIGN_OR_RETURN(Layout layout, Layout::Create(std::move(spec)));
  RELAYOUT_RETURN_IF_ERROR(CheckStep(record, layout.spec()));
  if (group == 1 || layout.optimizer_count() > 1) return layout;
  LayoutSpec unsplit = layout.spec();  // All replicas, of which there is one: no split.
  unsplit.optimizer_group = 1;
  return Layout::Create(std::move(unsplit));
}

LayoutRecord ToRecord(const Layout& layout) {
  const LayoutSpec& spec = layout.spec();
  LayoutRecord record;
  record.dev_matrix = spec.mesh;
  for (const auto& axes : spec.dim_axes) {
    std::vector<int64_t>& from_right = record.tensor_map.emplace_back();
    for (const int axis : axes) from_right.push_back(std::ssize(spec.mesh) - 1 - axis);
    if (from_right.empty()) from_right.push_back(kNotCut);
  }
  record.param_split_shape = spec.uneven_rows;
  if (layout.optimizer_count() == 1) return record;
  // (last - first) / (n - 1) over all replicas of rank 0, which is the first.
  int64_t last_rank = 0;
  int64_t replicas = 1;
  for (const size_t axis : ReplicaAxes(spec)) {
    last_rank += (spec.mesh[axis] - 1) * StrideOf(spec.mesh, axis);
    replicas *= spec.mesh[axis];
  }
  RELAYOUT_CHECK(replicas > 1);  // Else there was nothing to split.
  record.opt_weight_shard_step = last_rank / (replicas - 1);
  record.opt_weight_shard_size = spec.optimizer_group;
  return record;
}

Result<StrategyFile> ToStrategyFile(StrategyRecords records) {
  StrategyFile file;
  for (const auto& layout : records.layouts) RELAYOUT_RETURN_IF_ERROR(CheckName(layout.name));
  for (const auto& op : records.operators) {
    if (!IsUtf8(op.name)) {
      return InvalidInput(Format("{}: the operator's name is not UTF-8", Printable(op.name)));
    }
  }
  file.current_stage = records.current_stage;
  file.merged = IsMerged(records);
  if (file.merged) {
    RELAYOUT_ASSIGN_OR_RETURN(file.stages, MergedStages(records));
  } else {
    RELAYOUT_ASSIGN_OR_RETURN(StageStrategy layouts, SingleStage(records));
    const int64_t stage = records.operators.empty() ? 0 : records.operators[0].stage;
    file.stages.push_back({stage, std::move(layouts)});
  }
  file.operators = std::move(records.operators);
  return file;
}

StrategyRecords ToRecords(const StrategyFile& file) {
  StrategyRecords records;
  records.current_stage = file.current_stage;
  records.operators = file.operators;
  for (const auto& [stage, layouts] : file.stages) {
    for (const ParameterLayout& parameter : layouts.parameters) {
      LayoutRecord record = ToRecord(parameter.layout);
      if (parameter.whole_shape) record.tensor_shape = *parameter.whole_shape;
      records.AddLayout(file.merged ? Format("{}-{}", stage, parameter.name) : parameter.name,
                        std::move(record));
    }
  }
  return records;
}

}  // namespace relayout
